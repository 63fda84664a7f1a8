"""Streams of events: as JSON lines, and as server-sent events."""

from collections.abc import AsyncIterator
from functools import partial

import msgspec
import structlog
from aiohttp import web

from eventstore.database_errors import DATABASE_ERRORS
from eventstore.log import PAGE
from service.audit.app_keys import EVENT_SEARCH, LIVE_TAIL
from service.audit.audit_request import auditor_of
from service.audit.event_search import EventFilter, EventPage
from service.audit.live_tail import ReadPermission
from service.errors import ServiceError
from service.http.request_keys import TIMING
from service.http.server_sent_events import STREAM_HEADERS, write_in_time

LINES = "application/x-ndjson"
"""The media type of all matching events, one a line."""

_LINES_HEADERS = {"Content-Type": LINES, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_PART = 16 * 1024
_encoder = msgspec.json.Encoder()

log = structlog.get_logger("colloquy.audit")


class _Refused(Exception):
    """The client has lost its permission to read."""


async def send_lines(
    request: web.Request, account_id: int, event_filter: EventFilter, after: int, upto: int
) -> web.StreamResponse:
    """Sends all events up to a position as JSON lines, while the client may read."""
    pages = request.app[EVENT_SEARCH].steps(account_id, event_filter, after, upto, PAGE)
    permission = _permission_of(request)

    async def lines() -> AsyncIterator[bytes]:
        async for page in pages:
            await _check(permission)
            yield _lines(page)

    return await _send(request, lines(), _LINES_HEADERS)


async def send_tail(
    request: web.Request, account_id: int, event_filter: EventFilter, after: int
) -> web.StreamResponse:
    """Sends events and follows the log, while the client may read.

    The stream also ends when the client disconnects or the service stops.
    """
    may_read = partial(_may_read, request)
    pages = request.app[LIVE_TAIL].follow(account_id, event_filter, after, may_read)
    return await _send(request, (_frames(page) async for page in pages), STREAM_HEADERS)


def _permission_of(request: web.Request) -> ReadPermission:
    return ReadPermission(partial(_may_read, request), request.app[TIMING].keep_alive)


async def _may_read(request: web.Request) -> bool:
    """Whether the client may still read: its token may be revoked or expire meanwhile."""
    try:
        await auditor_of(request)
    except ServiceError as refusal:
        log.info("audit_stream_refused", error=repr(refusal))
        return False
    return True


async def _send(
    request: web.Request, pieces: AsyncIterator[bytes], headers: dict[str, str]
) -> web.StreamResponse:
    """Sends a stream, and ends it in order only if it was sent completely."""
    response, permission = web.StreamResponse(headers=headers), _permission_of(request)
    timeout = request.app[TIMING].write
    await response.prepare(request)
    try:
        async for piece in pieces:
            for start in range(0, len(piece), _PART):
                if start:  # a slow client takes long over a page
                    await _check(permission)
                await write_in_time(response, piece[start : start + _PART], timeout)
        await response.write_eof()
    except _Refused:
        await _break_off(request, response)
    except (*DATABASE_ERRORS, ConnectionError, TimeoutError) as error:
        log.info("audit_stream_cut", error=repr(error))
        if request.transport:
            request.transport.abort()
    return response


async def _break_off(request: web.Request, response: web.StreamResponse) -> None:
    """Breaks off a stream; JSON lines are cut, so that they do not look complete."""
    if response.content_type != LINES:
        await response.write_eof()
    elif request.transport:
        request.transport.abort()


async def _check(permission: ReadPermission) -> None:
    if not await permission.holds():
        raise _Refused


def _lines(page: EventPage) -> bytes:
    return b"".join(_encoder.encode(event) + b"\n" for event in page.events)


def _frames(page: EventPage) -> bytes:
    """Frames of events; without events, a comment with the id to resume from."""
    if not page.events:
        return b": keep-alive\nid: %d\n\n" % page.reached
    return b"".join(
        b"id: %d\ndata: %b\n\n" % (event.position, _encoder.encode(event)) for event in page.events
    )
