"""The liveness and readiness endpoints."""

from aiohttp import web

from service.http.readiness import Readiness
from service.http.responses import json_response

READINESS = web.AppKey("readiness", Readiness)


async def healthz(request: web.Request) -> web.Response:
    """GET /healthz: the process answers."""
    return json_response(request, {"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """GET /readyz: the database answers, has the views and takes writes."""
    await request.app[READINESS].check()
    return json_response(request, {"status": "ready"})
