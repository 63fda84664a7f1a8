"""Which media type a client wants, and its entity tags (RFC 9110, sections 12.5.1 and 13.1)."""

import re
from collections.abc import Iterator

import msgspec
from aiohttp import hdrs, web
from aiohttp.helpers import ETAG_ANY, LIST_QUOTED_ETAG_RE

JSON = "application/json"
"""What is answered where nothing else is asked for."""

_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_PARAMETER = re.compile(r';\s*([^\s;=]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;]*)\s*')
_WEIGHT = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


class EntityTag(msgspec.Struct, frozen=True):
    """A tag of a conditional request; `value` is without its quotes, `*` for any."""

    value: str
    weak: bool = False


def prefers(request: web.Request, media_type: str) -> bool:
    """Whether the client names this type, and likes JSON no better.

    A wildcard asks for JSON. A range whose weight cannot be read does not count.

    Args:
        media_type: In lower case, without parameters.
    """
    weights = dict(_accepted(request))
    wanted = weights.get(media_type, 0.0)
    plain = next((weights[r] for r in (JSON, "application/*", "*/*") if r in weights), 0.0)
    return wanted > 0 and wanted >= plain


def entity_tags(request: web.Request, name: str) -> tuple[EntityTag, ...] | None:
    """The tags in all lines of `If-Match` or `If-None-Match`; None where there is no such header.

    What follows something that is no tag does not count.
    """
    if name not in request.headers:
        return None
    value = _joined(request, name)
    if value.strip() == ETAG_ANY:
        return (EntityTag(ETAG_ANY),)
    return tuple(_tags(value))


def _tags(value: str) -> Iterator[EntityTag]:
    for match in LIST_QUOTED_ETAG_RE.finditer(value):
        weak, tag, garbage = match.group(2, 3, 4)
        if garbage:
            return
        yield EntityTag(tag, bool(weak))


def _accepted(request: web.Request) -> Iterator[tuple[str, float]]:
    """Media ranges in lower case with their weights; of one named twice the last counts."""
    for element in _ELEMENT.findall(_joined(request, hdrs.ACCEPT)):
        name, _, _ = element.partition(";")
        given = {key.lower(): value for key, value in _PARAMETER.findall(element)}
        weight = given.get("q", "1")
        if _WEIGHT.fullmatch(weight):
            yield name.strip().lower(), float(weight)


def _joined(request: web.Request, name: str) -> str:
    """A list header's lines as one (RFC 9110, section 5.3)."""
    return ", ".join(request.headers.getall(name, ()))
