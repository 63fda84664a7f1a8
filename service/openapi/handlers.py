"""The endpoints of the description: for programs, and for people."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache

from aiohttp import web

from service.http.endpoint import Endpoint
from service.http.etags import is_known
from service.openapi.document import document_bytes
from service.openapi.page import PAGE, page_bytes

ENDPOINTS = web.AppKey("endpoints", tuple[Endpoint, ...])
"""Those that are described."""

_CACHE = {"Cache-Control": "public, max-age=300"}


async def get_description(request: web.Request) -> web.Response:
    """GET /api/v1/openapi.json: the contract as an OpenAPI document."""
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return _unless_known(request, document_bytes(request.app[ENDPOINTS]), kind)


async def get_page(request: web.Request) -> web.Response:
    """GET /docs: the contract as a page to read."""
    return _unless_known(request, page_bytes(request.app[ENDPOINTS]), PAGE.headers)


def _unless_known(request: web.Request, body: bytes, headers: Mapping[str, str]) -> web.Response:
    tagged = {"ETag": _tag(body), **_CACHE}
    if is_known(request, tagged["ETag"]):
        return web.Response(status=304, headers=tagged)
    return web.Response(body=body, headers={**headers, **tagged})


@lru_cache(maxsize=2)
def _tag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:24]}"'
