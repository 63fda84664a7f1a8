"""Middlewares of all requests: a request id, one log line, and errors in the contract's form."""

import re
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache

import structlog
from aiohttp import hdrs, web
from uuid_utils import uuid7

from eventstore.database_errors import DATABASE_ERRORS, Meaning, meaning
from eventstore.errors import AppendRefused, EventStoreError, GuardBroken, LimitReached
from service.errors import (
    BadRequest,
    ExpectationFailed,
    HeaderRepeated,
    HeadersTooLarge,
    ServiceError,
    TooManyConnections,
    TurnFailed,
)
from service.hosts import is_host
from service.http.connection import HttpConnection
from service.http.cors import make_safe
from service.http.error_responses import error_response
from service.http.header_fields import elements, only
from service.http.request_keys import ACCESS, CLOCK, RECORDED, REQUEST_ID, SCOPE
from service.identity.authorization import Access

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Outermost = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
"""Other ids are replaced: they could carry personal data into the log, which keeps them."""

_PARAMETER = re.compile(r"\{(\w+)[^}]*\}")
_MAX_HEADERS = 16 * 1024
_ONCE = ("Authorization", "Idempotency-Key", "Last-Event-ID", "Origin", "X-Audit-Reason")
_CHECKS = 4
"""How often a request is carried out at most while its preconditions keep changing."""

_NO_HOST = "localhost"
"""Stands in for a missing Host header, which HTTP/1.0 does not require."""

_SCHEMES = ("http", "https")
_CONTINUE = "100-continue"
_QUIET = frozenset({"/healthz", "/readyz"})

log = structlog.get_logger("colloquy.requests")


@web.middleware
async def identify_and_log(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Sets the request's id, and writes its log line after the response."""
    began = time.monotonic()
    _identify(request)
    request[SCOPE] = _scope(request)
    response = await handler(request)
    if _is_surplus(request):
        response.force_close()
    if request.path not in _QUIET or 400 <= response.status < 500:
        _log(request, response.status, began)
    return response


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns each exception of a handler into the contract's error response."""
    try:
        _check(request)
        return await handler(request)
    except Exception as error:
        return _answer(request, error)


def _of_database(request: web.Request, error: Exception) -> Exception:
    """Logs an error of the database and returns the error to answer with."""
    kind = meaning(error)
    match kind:
        case Meaning.AWAY:
            log.warning("database_away", error=repr(error))
        case Meaning.BUSY:
            log.warning("database_busy", error=repr(error))
        case Meaning.UNFIT:
            log.error("database_unfit", path=request.path, error=repr(error))
        case Meaning.REFUSED | Meaning.OURS:
            log.error("request_broke", path=request.path, exc_info=error)
    stores = request.method not in ("GET", "HEAD")
    return AppendRefused() if kind is Meaning.REFUSED and stores else error


@web.middleware
async def check_again(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Repeats a request whose preconditions changed between its checks and its append.

    The append has recorded nothing then, and the body is kept, so the request runs as if it had
    arrived now: its checks see the change and accept or refuse it. A request from before its
    learner's erasure is not repeated, even with a valid token of an identity provider, since the
    learner's texts up to then are to be gone.
    """
    for _ in range(_CHECKS - 1):
        try:
            return await handler(request)
        except GuardBroken as broken:
            answering = request.writer.output_size > 0
            if broken.changed != "stream" or RECORDED in request or answering:
                raise
    return await handler(request)


def always_answered(handle: Outermost) -> Outermost:
    """Wraps the application's handler: errors before the middlewares get the contract's form, too.

    Args:
        handle: The application's own handler, which looks for a route first.
    """

    async def answered(request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.Request), "the application makes them"
        began = time.monotonic()
        try:
            _check_expectations(request)
            return await handle(request)
        except Exception as error:
            _identify(request)
            response = _answer(request, error)
            make_safe(response.headers, request[REQUEST_ID])
            response.force_close()  # a body may follow that nobody has asked for
            _log(request, response.status, began)
            return response

    return answered


def _check_expectations(request: web.Request) -> None:
    if any(expected.value != _CONTINUE for expected in elements(request, hdrs.EXPECT)):
        raise ExpectationFailed


def _identify(request: web.Request) -> None:
    given = only(request, "X-Request-Id")
    request_id = given if given and _UUID.fullmatch(given) else str(uuid7())
    request[REQUEST_ID] = request_id
    # Not unbound afterwards: the connection's next request binds its own.
    structlog.contextvars.bind_contextvars(request_id=request_id)


def _answer(request: web.Request, error: Exception) -> web.Response:
    if isinstance(error, DATABASE_ERRORS):
        return error_response(_of_database(request, error), request[REQUEST_ID])
    now = request.app[CLOCK].now() if isinstance(error, LimitReached) else None
    response = error_response(error, request[REQUEST_ID], now)
    match error:
        case ServiceError() | EventStoreError() | web.HTTPException():
            broken = response.status >= 500 or isinstance(error, AppendRefused)
            if broken and not isinstance(error, TurnFailed | GuardBroken):
                log.error("request_failed", path=request.path, error=repr(error))
        case _:
            log.error("request_broke", path=request.path, exc_info=error)
    return response


def _check(request: web.Request) -> None:
    """Refuses requests over the bounds, with too large headers, or with ambiguous headers."""
    if _is_surplus(request) and request.path not in _QUIET:
        raise TooManyConnections
    if sum(len(name) + len(value) for name, value in request.raw_headers) > _MAX_HEADERS:
        raise HeadersTooLarge
    for name in _ONCE:
        if len(request.headers.getall(name, ())) > 1:
            raise HeaderRepeated(name)
    if not is_host(request.headers.get(hdrs.HOST, _NO_HOST)):
        raise BadRequest("Host must be a name or an address, with a port or without")
    if any(e.value != "chunked" for e in elements(request, hdrs.TRANSFER_ENCODING)):
        raise BadRequest("Transfer-Encoding must be chunked")
    if request.scheme not in _SCHEMES:
        raise BadRequest("the URL must begin with http or https")


def _is_surplus(request: web.Request) -> bool:
    connection = request.protocol
    return isinstance(connection, HttpConnection) and connection.surplus


def _scope(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return scope_of(request.method, resource.canonical if resource else request.path)


@lru_cache(maxsize=1000)
def scope_of(method: str, path: str) -> str:
    """An endpoint's scope as Canvas writes it: ``url:GET|/api/v1/courses/:course_id/…``.

    Args:
        path: The route's path, with its parameters in braces.
    """
    template = _PARAMETER.sub(r":\1", path)
    return f"url:{'GET' if method == 'HEAD' else method}|{template}"


def _log(request: web.Request, status: int, began: float) -> None:
    access: Access | None = request.get(ACCESS)
    write = log.warning if status >= 500 else log.info
    real = access.real_user_id if access else None
    write(
        "request",
        method=request.method,
        path=request.path,
        status=status,
        duration_ms=round((time.monotonic() - began) * 1000, 1),
        account_id=access.account_id if access else None,
        user_id=access.user_id if access else None,
        token_id=access.token_id if access else None,
        **({} if real is None else {"real_user_id": real}),
    )
