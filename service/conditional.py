"""Conditional requests (RFC 9110, section 13): entity tags made of a conversation's revision."""

import re

from aiohttp import web
from aiohttp.helpers import ETAG_ANY

_TAG = re.compile(r"([0-9]{1,19})-([0-9]{1,19})(?:-s)?")
NOTHING = '"none"'
"""The tag of the answer that there is no conversation."""


def is_known(request: web.Request, tag: str) -> bool:
    """Whether the client has this answer already (`If-None-Match`)."""
    known = request.if_none_match or ()
    return any(etag.value == ETAG_ANY or f'"{etag.value}"' == tag for etag in known)


def wanted_revisions(request: web.Request, conversation_id: int) -> frozenset[int] | None:
    """Revisions at which the conversation must be (`If-Match`); None where any will do."""
    given = request.if_match
    if given is None or any(etag.value == ETAG_ANY for etag in given):
        return None
    tags = (_TAG.fullmatch(etag.value) for etag in given if not etag.is_weak)
    return frozenset(int(tag[2]) for tag in tags if tag and int(tag[1]) == conversation_id)
