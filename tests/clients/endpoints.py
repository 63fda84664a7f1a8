"""Which of the API's endpoints a client has driven."""

import re
from collections.abc import Iterable

from aiohttp import web

from service.routes import ROUTES


def undriven(requests: Iterable[tuple[str, str]]) -> set[str]:
    """The API's endpoints that none of these requests, method and path, was for."""
    made = list(requests)
    wanted = [route for route in ROUTES if route.path.startswith("/api/v1/")]
    return {
        f"{route.method} {route.path}"
        for route in wanted
        if not any(_is_for(route, method, path) for method, path in made)
    }


def _is_for(route: web.RouteDef, method: str, path: str) -> bool:
    pattern = re.sub(r"\{\w+\}", "[^/]+", route.path)
    return method == route.method and re.fullmatch(pattern, path) is not None
