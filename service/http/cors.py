"""What browsers need: who may call from other sites (CORS), and headers that keep pages safe."""

from collections.abc import Awaitable, Callable, MutableMapping

from aiohttp import hdrs, web

from service.http.request_keys import REQUEST_ID

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_METHODS = "GET, HEAD, POST, PUT, DELETE"
_REQUEST_HEADERS = (
    "Accept, Authorization, Content-Encoding, Content-Type, Idempotency-Key, If-Match, "
    "If-None-Match, Last-Event-ID, X-Audit-Reason, X-Request-Id"
)
_SHOWN_HEADERS = "Accept-Encoding, Allow, ETag, Link, Retry-After, WWW-Authenticate, X-Request-Id"
_A_DAY = "86400"
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    hdrs.CACHE_CONTROL: "private, no-cache",
}


def cross_origin(origins: frozenset[str]) -> Callable[..., Awaitable[web.StreamResponse]]:
    """A middleware that answers preflight requests of the allowed origins.

    Args:
        origins: Such as ``https://lms.example.edu``; none: no other site may call.
    """

    @web.middleware
    async def answer_preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
        if (
            request.method == hdrs.METH_OPTIONS
            and asked
            and request.headers.get(hdrs.ORIGIN) in origins
        ):
            return web.Response(
                status=204,
                headers={
                    hdrs.ACCESS_CONTROL_ALLOW_METHODS: _METHODS,
                    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _REQUEST_HEADERS,
                    hdrs.ACCESS_CONTROL_MAX_AGE: _A_DAY,
                },
            )
        return await handler(request)

    return answer_preflight


def response_headers(
    origins: frozenset[str],
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """A signal handler that completes the headers of every response before it is sent."""

    async def complete(request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        make_safe(headers, request.get(REQUEST_ID, ""))
        if not origins:
            return
        headers.add(hdrs.VARY, hdrs.ORIGIN)
        origin = request.headers.get(hdrs.ORIGIN)
        if origin in origins:
            headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _SHOWN_HEADERS

    return complete


def make_safe(headers: MutableMapping[str, str], request_id: str) -> None:
    """Adds the headers that every answer has, where they are not there yet."""
    headers.setdefault("X-Request-Id", request_id)
    for name, value in _SAFE.items():
        headers.setdefault(name, value)
