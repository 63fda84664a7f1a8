"""Which media type a client wants, and its entity tags (RFC 9110, sections 12.5.1 and 13.1)."""

from collections.abc import Iterator

import msgspec
from aiohttp import hdrs, web
from aiohttp.helpers import ETAG_ANY, LIST_QUOTED_ETAG_RE

from service.http.header_fields import elements, joined

JSON = "application/json"
"""What is answered where nothing else is asked for."""


class EntityTag(msgspec.Struct, frozen=True):
    """A tag of a conditional request; `value` is without its quotes, `*` for any."""

    value: str
    weak: bool = False


def prefers(request: web.Request, media_type: str) -> bool:
    """Whether the client accepts this type at least as much as JSON.

    A wildcard asks for JSON. A range whose weight cannot be read does not count.

    Args:
        media_type: In lower case, without parameters.
    """
    accepted = elements(request, hdrs.ACCEPT)
    weights = {e.value: e.weight for e in accepted if e.weight is not None}
    weight = weights.get(media_type, 0.0)
    plain = next((weights[r] for r in (JSON, "application/*", "*/*") if r in weights), 0.0)
    return weight > 0 and weight >= plain


def entity_tags(request: web.Request, name: str) -> tuple[EntityTag, ...] | None:
    """The tags in all lines of `If-Match` or `If-None-Match`; None where there is no such header.

    What follows something that is no tag does not count.
    """
    if name not in request.headers:
        return None
    value = joined(request, name)
    if value.strip() == ETAG_ANY:
        return (EntityTag(ETAG_ANY),)
    return tuple(_tags(value))


def _tags(value: str) -> Iterator[EntityTag]:
    for match in LIST_QUOTED_ETAG_RE.finditer(value):
        weak, tag, garbage = match.group(2, 3, 4)
        if garbage:
            return
        yield EntityTag(tag, bool(weak))
