"""Headers mean what RFC 9110 says, in whatever letters, order and number of lines they come."""

import pytest
from aiohttp import hdrs
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from service.http.content_negotiation import EntityTag, entity_tags, prefers

STREAM = "text/event-stream"


def asking(name: str, *lines: str) -> "object":
    return make_mocked_request("GET", "/", CIMultiDict([(name, line) for line in lines]))


@pytest.mark.parametrize(
    "lines",
    [
        (STREAM,),
        ("Text/Event-Stream",),
        (f"{STREAM}; charset=utf-8",),
        (f"application/json, {STREAM}",),
        (f"{STREAM};q=0.5, application/json;q=0.4",),
        (f"{STREAM} ; Q=0.5,*/*;q=0.1",),
        ("application/json", STREAM),
        ("application/json;q=0.2", f"{STREAM};q=0.3"),
        (f'text/html;title="a, {STREAM};q=0, b", {STREAM}',),
        (f"{STREAM};q=1.000",),
        (f"*/*;q=0.9, application/json;q=0.1, {STREAM};q=0.5",),
    ],
)
def test_a_type_that_is_named_and_liked_as_well_as_json_is_wanted(lines: tuple[str, ...]) -> None:
    assert prefers(asking(hdrs.ACCEPT, *lines), STREAM)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("*/*",),
        ("text/*",),
        (f"{STREAM};q=0",),
        (f"{STREAM};q=0.000",),
        (f"application/json, {STREAM};q=0.1",),
        (f"*/*, {STREAM};q=0.9",),
        (f"application/*;q=0.5, {STREAM};q=0.4",),
        (f"x{STREAM}",),
        (f"{STREAM}x",),
        (f'text/html;title="{STREAM}"',),
        (f"{STREAM};q=high",),
        (f"{STREAM};q=-1",),
        (f"{STREAM};q=1e3",),
        (f"{STREAM};q=nan",),
        (",,;q=1,",),
        (STREAM, f"{STREAM};q=0"),
    ],
)
def test_any_other_gets_json(lines: tuple[str, ...]) -> None:
    assert not prefers(asking(hdrs.ACCEPT, *lines), STREAM)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lines", "tags"),
    [
        ((), None),
        (("*",), (EntityTag("*"),)),
        (('"1-2"',), (EntityTag("1-2"),)),
        (('"1-2"', '"1-3"'), (EntityTag("1-2"), EntityTag("1-3"))),
        (('W/"1-2" , "a,b"',), (EntityTag("1-2", weak=True), EntityTag("a,b"))),
        (("1-2",), ()),
        (("",), ()),
    ],
)
def test_tags_of_all_lines_count(
    lines: tuple[str, ...], tags: tuple[EntityTag, ...] | None
) -> None:
    assert entity_tags(asking(hdrs.IF_MATCH, *lines), hdrs.IF_MATCH) == tags  # type: ignore[arg-type]
