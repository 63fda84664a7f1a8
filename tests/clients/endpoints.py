"""Which of the contract's endpoints a client has driven."""

import re
from collections.abc import Iterable

from aiohttp import web

from service.routes import ROUTES

CONTRACT = "/api/v1/courses/"
"""Below it is what Canvas has as well; the rest is our own."""


def undriven(requests: Iterable[tuple[str, str]]) -> set[str]:
    """The contract's endpoints that none of these requests, method and path, was for."""
    made = list(requests)
    wanted = [route for route in ROUTES if route.path.startswith(CONTRACT)]
    return {
        f"{route.method} {route.path}"
        for route in wanted
        if not any(_is_for(route, method, path) for method, path in made)
    }


def _is_for(route: web.RouteDef, method: str, path: str) -> bool:
    pattern = re.sub(r"\{\w+\}", "[^/]+", route.path)
    return method == route.method and re.fullmatch(pattern, path) is not None
