"""Prints the events that `colloquy audit events` finds."""

import asyncio
from contextlib import suppress

from eventstore.log import PAGE
from service.audit.event_search import EventFilter, EventPage, EventSearch
from service.audit.live_tail import LiveTail
from service.cli.event_lines import line_of
from service.cli.terminal import tell_either, warn
from service.process.server import stop_event


async def print_events(
    log: EventSearch, account: int, wanted: EventFilter, *, as_json: bool
) -> None:
    """Prints what there is."""
    after, upto = await log.bounds(account, wanted)
    number = 0
    async for found in log.steps(account, wanted, after, upto, PAGE):
        _print(found, as_json)
        number += len(found.events)
    if not number:
        warn("there are no such events")


async def follow_events(
    tails: LiveTail, account: int, wanted: EventFilter, log: EventSearch, *, as_json: bool
) -> None:
    """Prints what there is and what comes, until the process is told to stop."""
    after, _ = await log.bounds(account, wanted)
    closing = asyncio.create_task(_close(tails, stop_event()))
    try:
        async for found in tails.follow(account, wanted, after):
            _print(found, as_json)
    finally:
        closing.cancel()
        with suppress(asyncio.CancelledError):
            await closing


def _print(found: EventPage, as_json: bool) -> None:
    for event in found.events:
        tell_either(event, line_of, as_json=as_json)


async def _close(tails: LiveTail, stop: asyncio.Event) -> None:
    await stop.wait()
    tails.close()
