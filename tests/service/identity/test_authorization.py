"""Ids in paths and tokens in headers."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from service.http.request import path_id


class Match(dict[str, str]):
    """What the router has found in a path."""

    def add_app(self, app: web.Application) -> None: ...


def request_with(number: str | None = None) -> web.Request:
    request = make_mocked_request("GET", "/")
    request._match_info = Match({} if number is None else {"id": number})  # type: ignore[assignment]
    return request


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), ("007", 7), ("42", 42), (str(2**63 - 1), 2**63 - 1), ("0" * 18 + "1", 1)],
)
def test_a_number_is_an_id(text: str, number: int) -> None:
    assert path_id(request_with(text), "id") == number


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "00", "-1", "+1", "1.0", "1e3", "0x1", " 1", "1 ", "1\n", "1\0", "1_0", "abc"),
        *(str(2**63), "9" * 19, "9" * 20, "9" * 10_000, "0" * 19 + "1"),
        *("١", "１", "²", "Ⅷ", "\udcff"),
    ],
)
def test_all_else_is_none(text: str) -> None:
    assert path_id(request_with(text), "id") is None


def test_a_path_without_the_name_has_no_id() -> None:
    assert path_id(request_with(), "id") is None
