"""Responses in JSON."""

from collections.abc import Mapping

from aiohttp import web

from service.http.content_negotiation import prefers
from service.json_values import NUMBER_IDS, STRING_IDS

_JSON = "application/json; charset=utf-8"
_WANTS_STRING_IDS = "application/json+canvas-string-ids"
_NO_HEADERS: Mapping[str, str] = {}


def encoded(request: web.Request, answer: object) -> bytes:
    """An answer as JSON, with ids as this client reads them."""
    encoder = STRING_IDS if wants_string_ids(request) else NUMBER_IDS
    return encoder.encode(answer)


def json_response(
    request: web.Request,
    answer: object,
    status: int = 200,
    headers: Mapping[str, str] = _NO_HEADERS,
) -> web.Response:
    """An answer encoded as JSON."""
    return raw_response(encoded(request, answer), status, headers)


def raw_response(
    body: bytes, status: int = 200, headers: Mapping[str, str] = _NO_HEADERS
) -> web.Response:
    """A response with a body that is JSON text already."""
    return web.Response(body=body, status=status, headers={"Content-Type": _JSON, **headers})


def wants_string_ids(request: web.Request) -> bool:
    """Whether the client asked for ids as strings, as JavaScript clients of Canvas do."""
    return prefers(request, _WANTS_STRING_IDS)
