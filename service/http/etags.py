"""Conditional requests (RFC 9110, section 13): entity tags made of a conversation's revision."""

import re

from aiohttp import hdrs, web
from aiohttp.helpers import ETAG_ANY

from service.http.content_negotiation import entity_tags
from service.http.responses import wants_string_ids

_TAG = re.compile(r"([0-9]{1,19})-([0-9]{1,19})(?:-s)?")
NOTHING = '"none"'
"""The tag of the answer that there is no conversation."""


def is_known(request: web.Request, tag: str) -> bool:
    """Whether the client has this answer already (`If-None-Match`)."""
    known = entity_tags(request, hdrs.IF_NONE_MATCH) or ()
    return any(etag.value == ETAG_ANY or f'"{etag.value}"' == tag for etag in known)


def revisions_to_match(request: web.Request, conversation_id: int) -> frozenset[int] | None:
    """Revisions at which the conversation must be (`If-Match`); None where any will do."""
    given = entity_tags(request, hdrs.IF_MATCH)
    if given is None or any(etag.value == ETAG_ANY for etag in given):
        return None
    tags = (_TAG.fullmatch(etag.value) for etag in given if not etag.weak)
    return frozenset(int(tag[2]) for tag in tags if tag and int(tag[1]) == conversation_id)


def entity_tag(request: web.Request, conversation_id: int, revision: int) -> str:
    """The `ETag` of a conversation, in the form that this client reads."""
    return f'"{conversation_id}-{revision}{"-s" if wants_string_ids(request) else ""}"'
