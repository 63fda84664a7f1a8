"""Server-sent events (HTML Living Standard), and writing to readers that may be slow."""

import asyncio

from aiohttp import web

from service.http.content_negotiation import prefers

MEDIA_TYPE = "text/event-stream"

STREAM_HEADERS = {
    "Content-Type": f"{MEDIA_TYPE}; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}
WRITE_SIZE = 16 * 1024


def wants_stream(request: web.Request) -> bool:
    """Whether the client asked for server-sent events."""
    return prefers(request, MEDIA_TYPE)


def event_frame(number: int | None, name: str, data: bytes) -> bytes:
    """An event as it goes over the wire.

    Args:
        number: Its id, if it has one.
        data: On one line.
    """
    frame = b"event: %b\ndata: %b\n\n" % (name.encode(), data)
    return frame if number is None else b"id: %d\n%b" % (number, frame)


async def write_in_time(response: web.StreamResponse, data: bytes, seconds: float) -> None:
    """Writes in parts that a slow client can take.

    Args:
        seconds: Time that the client may take nothing.

    Raises:
        TimeoutError: It has taken nothing for so long.
    """
    for start in range(0, len(data), WRITE_SIZE):
        async with asyncio.timeout(seconds):
            await response.write(data[start : start + WRITE_SIZE])
