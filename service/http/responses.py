"""Responses in JSON."""

from collections.abc import Mapping
from datetime import datetime

import msgspec
from aiohttp import web

from service.http.content_negotiation import prefers

_JSON = "application/json; charset=utf-8"
_STRING_IDS = "application/json+canvas-string-ids"
_NO_HEADERS: Mapping[str, str] = {}
_encoder = msgspec.json.Encoder()

Id = int | str
"""An id as clients get it: a number, or a string where they ask for that."""


def json_response(
    answer: object, status: int = 200, headers: Mapping[str, str] = _NO_HEADERS
) -> web.Response:
    """An answer encoded as JSON."""
    return raw_response(_encoder.encode(answer), status, headers)


def raw_response(
    body: bytes, status: int = 200, headers: Mapping[str, str] = _NO_HEADERS
) -> web.Response:
    """An answer that is JSON already."""
    return web.Response(body=body, status=status, headers={"Content-Type": _JSON, **headers})


def wants_string_ids(request: web.Request) -> bool:
    """Whether the client asked for ids as strings, as JavaScript clients of Canvas do."""
    return prefers(request, _STRING_IDS)


def timestamp(moment: datetime) -> str:
    """ISO 8601 to the second, as Canvas writes times.

    Args:
        moment: In UTC, as the database gives it.
    """
    return f"{moment.isoformat()[:19]}Z"
