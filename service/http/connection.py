"""A client's connection: how long it may take over a request's head, and how large that may be."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import msgspec
import structlog
from aiohttp import HttpVersion11, web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader
from uuid_utils import uuid7

from service.errors import BadRequest, HeadersTooLarge, Stopping
from service.http.connection_bounds import Connections, Place
from service.http.cors import make_safe

MAX_HEAD = 32 * 1024
"""Bytes of a request's head that are parsed at most; what is below may still be too large.

As many may follow one another in a chunked body without being part of it: sizes of chunks, their
extensions, trailers.
"""

_PIECE = 512
"""Bytes that are parsed at once: fewer requests than the parser itself would make wait."""

_HEAD_END = b"\r\n\r\n"

_NO_BOUND = 2 * MAX_HEAD
"""Of one line: the head as a whole is bounded, and refused in the contract's form."""

_AHEAD = 4
"""Requests that wait for those before them, from which on no more are read."""

_SURPLUS_TIMEOUT = 5.0
_LINGERING = 1.0
_REASONS = {408: "Request Timeout", 431: "Request Header Fields Too Large"}
_LATE = "the headers did not arrive in time"

log = structlog.get_logger("colloquy.requests")


class HttpConnection(web.RequestHandler):
    """Like its base, but that a head is bounded in size and time before it is parsed.

    Args:
        server: Handles the requests.
        connections: Is told when a request is under way.
        place: This connection's.
    """

    def __init__(self, server: web.Server, connections: Connections, place: Place) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # which is how it is turned off
            keepalive_timeout=connections.bounds.idle_timeout,
            max_line_size=_NO_BOUND,
            max_field_size=_NO_BOUND,
            auto_decompress=False,  # it knows other codings, and their faults end the parsing
        )
        # Of its base, which would let heads of a megabyte in all wait behind a slow answer.
        self._max_msg_queue_size, self._msg_queue_resume_size = _AHEAD, _AHEAD // 2
        self._connections = connections
        self._place = place
        self._timer: asyncio.TimerHandle | None = None
        self._unparsed = bytearray()
        self._head = 0
        self._line_end = b""
        self._known = 0
        self._length = 0
        self._framing = 0
        self._chunked = False
        self._payload: StreamReader | None = None
        self._busy = False
        self._stopping = False
        self._body_timeout: asyncio.Timeout | None = None
        self._abort: Callable[[], None] = self.force_close

    @property
    def surplus(self) -> bool:
        """It is beyond the bounds, and only for probes."""
        return self._place.surplus

    @asynccontextmanager
    async def awaiting_body(self, request: web.BaseRequest, seconds: float) -> AsyncIterator[None]:
        """Bounds how long a request's body is awaited in this context.

        Raises:
            Stopping: The service stops, and reads no more of it.
            TimeoutError: It did not arrive in time.
        """
        if self._stopping and not request.content.is_eof():
            raise Stopping
        try:
            async with asyncio.timeout(seconds) as self._body_timeout:
                yield
        except TimeoutError:
            if self._stopping:
                raise Stopping from None
            raise
        finally:
            self._body_timeout = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there; its first head is awaited."""
        super().connection_made(transport)
        connected = cast("asyncio.Transport", transport)
        # An answer is under way until it is with the system: what is idle has nothing to lose.
        connected.set_write_buffer_limits(high=0)
        self._abort = connected.abort
        self._place.evict = self._evict
        self._connections.idle(self._place)
        self._await_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The client is gone."""
        self._connections.leave(self._place)
        self._stop_timer()
        if self._payload is not None and self._current_request is None:
            self._payload.feed_eof()  # what follows an early answer is awaited no longer
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses in pieces what may be parsed now; the rest waits until it is asked for with b"".

        The last byte is a piece of its own: what ends with it is followed by nothing.
        """
        if self._force_close or self._close:
            return
        self._unparsed += data
        if not data:
            self._parse(b"")
        while self._unparsed and self._may_parse():
            size = self._piece_size()
            piece = bytes(self._unparsed[:size])
            del self._unparsed[:size]
            self._parse(piece)
        if self._unparsed and self._upgraded and not self._buffer_paused:
            self._pause_reading_for_buffer()

    def close(self) -> None:
        """Ends the connection once the requests under way are answered; an idle one ends now.

        No more is read: the body of a request that has not arrived is not awaited any longer.
        """
        ending = self._close  # after its last answer, which is still being read
        super().close()
        if ending:
            return
        self._stopping = True
        self._lingering_time = _LINGERING
        if not self._busy:
            self.force_close()
        elif self._body_timeout is not None:
            self._body_timeout.reschedule(self._loop.time())

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Answers; then the connection is idle, unless more requests were sent ahead.

        It ends where the body is not there yet: nobody needs it any more, nor parses it. The client
        is told so at once, and has a while to stop sending.
        """
        cut = not request.content.is_eof()
        if cut:
            resp.force_close()
            self._end_after_answer()
        answered = await super().finish_response(request, resp, start_time)
        if cut and self.transport is not None and not self.transport.is_closing():
            self.transport.write_eof()
        if self._request_count != self._known:  # behind an upgrade that was declined
            self._begin()
        if self._unparsed and not self._messages:
            self._resume_reading_if_drained()
        if not self._messages:
            self._busy = False
            self._connections.idle(self._place)
        return answered

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answers what cannot be parsed, with nothing of it: it may hold a token."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        request._version = HttpVersion11  # noqa: SLF001  # what was not parsed has none
        headers, content = _error(400, str(BadRequest()))
        return web.Response(status=400, body=content, headers=headers)

    def _piece_size(self) -> int:
        """Up to the end of a head or body: what is broken takes along all that is in its piece."""
        size = max(1, min(_PIECE, len(self._unparsed) - 1))
        if self._payload is not None and not self._payload.is_eof():
            left = self._length - self._payload.total_bytes
            return min(size, left) if left > 0 else size
        end = (self._line_end + self._unparsed[:size]).find(_HEAD_END)
        return size if end < 0 else end + len(_HEAD_END) - len(self._line_end)

    def _may_parse(self) -> bool:
        waiting = len(self._messages) >= self._max_msg_queue_size
        held = waiting or self._reading_paused or self._upgraded
        return not (held or self._close or self._force_close)

    def _parse(self, data: bytes) -> None:
        payload = self._payload
        awaited = payload is None or payload.is_eof()
        super().data_received(data)
        if payload is not None and not awaited:
            self._take_body(payload, len(data))
        elif self._request_count != self._known:
            self._begin()
        elif awaited and data:
            self._head += len(data)
            self._line_end = (self._line_end + data)[1 - len(_HEAD_END) :]
            self._await_head()
            if self._head > MAX_HEAD:
                self._refuse(431, str(HeadersTooLarge()))

    def _take_body(self, payload: StreamReader, parsed: int) -> None:
        """Looks at a body of which more was parsed, and at what has come behind it."""
        self._framing += parsed
        around = self._framing - payload.total_bytes
        if self._is_broken() or around > MAX_HEAD + payload.total_bytes:
            self._drop_behind(self._request_count - self._known)
            self._end_with(payload)
        elif payload.is_eof() and self._chunked:
            self._drop_behind(self._request_count - self._known)
            self._end_after_answer()
        elif self._request_count != self._known:
            self._begin()

    def _is_broken(self) -> bool:
        """What was parsed last could not be."""
        broken = self._request_count != self._known and self._messages
        return bool(broken) and not isinstance(self._messages[-1][0], RawRequestMessage)

    def _drop_behind(self, number: int) -> None:
        for _ in range(number):
            self._messages.pop()
        self._request_count -= number

    def _end_with(self, payload: StreamReader) -> None:
        """A body is broken, or what stands around it too large: its request fails, no other one."""
        if payload.exception() is None:
            payload.set_exception(web.RequestPayloadError("broken"))
        self._lingering_time = 0.0  # there is nothing to wait for
        self._end_after_answer()

    def _end_after_answer(self) -> None:
        """What follows is no request."""
        self._close = True
        self._unparsed.clear()

    def _begin(self) -> None:
        """One head or more are whole; the body of the last, if it has one, may follow.

        The parser takes the last trailer of a chunked body for a header of the request behind it.
        So there is none: the connection ends with the answer.
        """
        new = self._request_count - self._known
        for number in range(new, 0, -1):
            message, payload = self._messages[-number]
            if isinstance(message, RawRequestMessage) and message.chunked:
                self._messages[-number] = (message._replace(should_close=True), payload)
                self._drop_behind(number - 1)
                break
        self._head = self._framing = 0
        self._line_end = b""
        self._known = self._request_count
        message, self._payload = self._messages[-1]
        self._chunked = isinstance(message, RawRequestMessage) and message.chunked
        self._length = _length(message)
        self._busy = True
        self._connections.busy(self._place)
        self._stop_timer()
        if self._chunked and self._payload.is_eof():
            self._end_after_answer()

    def _await_head(self) -> None:
        if self._timer is None:
            seconds = _SURPLUS_TIMEOUT if self.surplus else self._connections.bounds.header_timeout
            self._timer = self._loop.call_later(seconds, self._head_is_late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _evict(self) -> None:
        self.force_close()
        self._abort()

    def _head_is_late(self) -> None:
        self._timer = None
        if self._head:
            self._refuse(408, _LATE)
        else:
            self.force_close()

    def _refuse(self, status: int, why: str) -> None:
        """Ends the connection, after the requests under way; where there is none with an answer."""
        super().close()
        if self._busy or self.transport is None:
            return
        self.transport.write(_answer(status, why))
        # Closed at once, it would be reset where the client is still sending, and the answer lost.
        self.transport.write_eof()
        self._stop_timer()
        self._timer = self._loop.call_later(_LINGERING, self._evict)


def _length(message: object) -> int:
    """Bytes of a request's body, 0 where they are not known."""
    if not isinstance(message, RawRequestMessage):
        return 0
    return int(message.headers.get("Content-Length", 0))


def _answer(status: int, why: str) -> bytes:
    """An answer to what never became a request."""
    headers, content = _error(status, why)
    lines = (
        f"HTTP/1.1 {status} {_REASONS[status]}",
        *(f"{name}: {value}" for name, value in headers.items()),
        f"Content-Length: {len(content)}",
    )
    return "\r\n".join([*lines, "", ""]).encode() + content


def _error(status: int, why: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of an error on which the connection ends; the log is told."""
    request_id = str(uuid7())
    log.info("request", method=None, path=None, status=status, why=why, request_id=request_id)
    headers = {"Content-Type": "application/json; charset=utf-8", "Connection": "close"}
    make_safe(headers, request_id)
    return headers, msgspec.json.encode({"error": why, "reference_id": request_id})
