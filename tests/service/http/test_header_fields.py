"""A list is the same list, however its lines, blanks, quotes and letters are written."""

import time

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from service.errors import UnsupportedBody, UnsupportedCoding
from service.http import header_fields
from service.http.content_codings import coding_of
from service.http.forms import FORM, body_type
from service.http.header_fields import Element, content_type, elements, only, parse_list


def asking(name: str, *lines: str) -> "object":
    return make_mocked_request("POST", "/", CIMultiDict([(name, line) for line in lines]))


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ((), []),
        (("",), []),
        ((" , ,",), []),
        (("a",), [Element("a")]),
        (("A , b",), [Element("a"), Element("b")]),
        (("a", "b, c"), [Element("a"), Element("b"), Element("c")]),
        (("a;q=0.5",), [Element("a", {"q": "0.5"})]),
        (("a ; Q = 0.5 ;; x",), [Element("a", {"q": "0.5", "x": ""})]),
        (('a;t="b, c;d=\\"e\\""',), [Element("a", {"t": 'b, c;d="e"'})]),
        (('a;t="never closed, b',), [Element("a", {"t": "never closed, b"})]),
        (("a;q=1;q=0",), [Element("a", {"q": "0"})]),
        (("\ta\t,\tb\t",), [Element("a"), Element("b")]),
    ],
)
def test_a_list_is_read_in_whatever_form_it_comes(
    lines: tuple[str, ...], found: list[Element]
) -> None:
    assert list(elements(asking("Accept", *lines), "Accept")) == found  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "weight"),
    [
        *((given, float(given)) for given in ("0", "0.", "0.0", "0.123", "1", "1.", "1.000")),
        *((given, None) for given in ("", "2", "-1", "1.001", "0.1234", "1e0", "nan", ".5", "x")),
    ],
)
def test_a_weight_is_from_0_to_1_with_three_digits(given: str, weight: float | None) -> None:
    assert parse_list(f"a;q={given}")[0].weight == weight


@pytest.mark.parametrize(
    "text", ['"\\"' * 5000, '"' + '\\"' * 8000, ';a="\\' * 4000, '"a' * 8001, "," * 16000]
)
def test_no_header_takes_long(text: str) -> None:
    """Of any text, each letter is looked at once: twice as long takes no four times as long."""

    def seconds(times: int) -> float:
        begun = time.process_time()
        for n in range(20):
            parse_list(text * times + str(n))
        return time.process_time() - begun

    assert seconds(8) < 8 * 8 * max(seconds(1), 0.001)


@pytest.mark.parametrize(
    ("lines", "value"), [((), None), (("a",), "a"), (("a", "a"), None), (("a", "b"), None)]
)
def test_a_header_that_is_no_list_is_given_once(lines: tuple[str, ...], value: str | None) -> None:
    assert only(asking("X-Request-Id", *lines), "X-Request-Id") == value  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "media"),
    [
        ("application/x-www-form-urlencoded", FORM),
        ("Application/X-WWW-Form-URLencoded ; Charset=UTF-8", FORM),
        ('application/json;charset="Utf-8"', "application/json"),
        ("application/json;a=b;charset=utf8", "application/json"),
        ("application/json; charset=us-ascii", "application/json"),
        ("application/json, text/plain", ""),
        (";", ""),
        ("", ""),
    ],
)
def test_a_body_has_one_media_type_in_utf_8(line: str, media: str) -> None:
    request = asking("Content-Type", line)
    assert body_type(request) == content_type(request).value == media  # type: ignore[arg-type]


@pytest.mark.parametrize("charset", ["iso-8859-1", '"UTF-16"', "windows-1252", "", "latin1"])
@pytest.mark.parametrize("media", ["application/json", FORM])
def test_another_charset_is_refused(charset: str, media: str) -> None:
    """Its letters would be taken for others."""
    with pytest.raises(UnsupportedBody, match="charset"):
        body_type(asking("Content-Type", f"{media}; Charset={charset}"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lines", "coding"),
    [
        ((), "identity"),
        (("GZIP",), "gzip"),
        (("identity", "deflate"), "deflate"),
        ((" , x-gzip ,",), "x-gzip"),
    ],
)
def test_a_body_has_one_coding(lines: tuple[str, ...], coding: str) -> None:
    assert coding_of(asking("Content-Encoding", *lines)) == coding  # type: ignore[arg-type]


@pytest.mark.parametrize("lines", [("br",), ("gzip", "gzip"), ("gzip, br",), ('"gzip"',)])
def test_other_codings_are_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(UnsupportedCoding):
        coding_of(asking("Content-Encoding", *lines))  # type: ignore[arg-type]


def test_nothing_long_is_remembered() -> None:
    """Anybody can send 16 KiB of commas, again and again."""
    before = header_fields._parse_remembered.cache_info().currsize
    for n in range(50):
        assert len(header_fields.parse_list(f"x{n}," * 200)) == 200
    assert header_fields._parse_remembered.cache_info().currsize == before
