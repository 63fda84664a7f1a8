"""A turn as server-sent events: `accepted`, `delta`…, then `done` or `error`.

Ids rise within a turn: `accepted` is 1, the first piece of the reply 2, and the last event has
`LAST_ID`, whichever process sends it. Where another process has taken the turn over for the `n`th
time, `restarted` comes first, with the id `n` million, and then the pieces of that process: the
deltas since the last `restarted` are the reply. A reader that lost its connection names the last id
that it got and goes on after it. The format is that of the HTML Living Standard, section
"Server-sent events".
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import msgspec
from aiohttp import web

from service.dialogue.state import Dialogue
from service.errors import NotFound, TurnCancelled, TurnFailed, TurnIsOver
from service.http.request_keys import TIMING
from service.http.responses import encoded
from service.http.server_sent_events import STREAM_HEADERS, WRITE_SIZE, event_frame, write_in_time
from service.json_values import Id
from service.timing import Timing
from service.turns.live import LiveTurn

"""Seconds of silence after which a comment shows that the connection lives."""

LAST_ID = 999_999_999
"""Of the last event of every turn: any process knows by it that a reader has all of it.

An error that ends a stream and not the turn, such as that of a process that stops, has no id: the
reader goes on elsewhere after the id that it has.
"""

_ENDS = (Dialogue, TurnFailed, TurnCancelled, TurnIsOver, NotFound)
"""Outcomes that are the turn's."""

_ACCEPTED_ID = 1
_RESTART = 1_000_000
_WRITE_PIECES = 256
_encoder = msgspec.json.Encoder()

Ending = tuple[str, bytes]
"""Name and JSON of a stream's last event."""


def last_event_id(request: web.Request) -> int:
    """The id in `Last-Event-ID`; 0 if it is missing or malformed."""
    text = request.headers.get("Last-Event-ID", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


async def stream_turn(
    request: web.Request,
    live: LiveTurn,
    ending: Callable[[Dialogue | Exception], Ending],
    after: int = 0,
) -> web.StreamResponse:
    """Sends a turn's events with ids above `after`, until its end.

    A reader that is slow gets more pieces at a time; what waits for it is the turn's own list,
    and the few that are on their way. One that goes away stops nothing.

    Args:
        ending: Gives the last event, as this client reads it.
    """
    if after >= LAST_ID:
        return web.Response(status=204)  # by which event sources know not to come again
    response = web.StreamResponse(headers=STREAM_HEADERS)
    await response.prepare(request)
    try:
        await _send(response, live, _accepted(request, live), ending, after, request.app[TIMING])
    except (ConnectionError, TimeoutError):
        if request.transport:
            request.transport.abort()
    return response


async def _send(
    response: web.StreamResponse,
    live: LiveTurn,
    accepted: bytes,
    ending: Callable[[Dialogue | Exception], Ending],
    after: int,
    timing: Timing,
) -> None:
    write = partial(write_in_time, response, seconds=timing.write)
    after = await _begin(write, live, accepted, after)
    while True:
        start = _first_id(live)
        if after < start:
            await write(event_frame(start, "restarted", b"{}"))
            after = start
        seen = after - start if live.own else 0
        if not await live.news(live.number, seen, timing.keep_alive):
            await write(b": keep-alive\n\n")
        elif start != _first_id(live):  # restarted again
            continue
        elif pieces := _missing(live, seen):
            frames, number = _together(after, pieces)
            await write(frames)
            after += number
        elif live.outcome is not None:
            last = LAST_ID if isinstance(live.outcome, _ENDS) else None
            await write(event_frame(last, *ending(live.outcome)))
            await response.write_eof()
            return


async def _begin(
    write: Callable[[bytes], Awaitable[None]], live: LiveTurn, accepted: bytes, after: int
) -> int:
    """Sends what comes before the reply; returns the id after which to go on."""
    if after < _ACCEPTED_ID:
        await write(event_frame(_ACCEPTED_ID, "accepted", accepted))
        after = _ACCEPTED_ID
    return min(after, _first_id(live) + len(live.pieces)) if live.own else after


def _first_id(live: LiveTurn) -> int:
    """Of the event before the first piece."""
    return live.number * _RESTART or _ACCEPTED_ID


def _missing(live: LiveTurn, seen: int) -> Sequence[str]:
    # Only the owner knows where the pieces were cut; elsewhere the last event has the whole
    # reply, so that who goes on at the owner's never gets a piece twice.
    return live.pieces[seen : seen + _WRITE_PIECES]


def _together(after: int, pieces: Sequence[str]) -> tuple[bytes, int]:
    """Joins the pieces that go into one write; returns the text and their number."""
    frames: list[bytes] = []
    size = 0
    for piece in pieces:
        frames.append(_delta(after + len(frames) + 1, piece))
        size += len(frames[-1])
        if size >= WRITE_SIZE:
            break
    return b"".join(frames), len(frames)


def _accepted(request: web.Request, live: LiveTurn) -> bytes:
    return encoded(
        request,
        {
            "turn_id": live.turn_id,
            "message_id": live.message_id,
            "conversation_id": Id(live.conversation_id),
        },
    )


def _delta(number: int, piece: str) -> bytes:
    return event_frame(number, "delta", _encoder.encode({"text": piece}))
