"""Prints the events that `colloquy audit events` finds."""

import asyncio
from contextlib import suppress

from eventstore.log import PAGE
from service.audit.desk import Desk
from service.audit.reading import Found, Wanted
from service.cli.lines import line_of
from service.cli.terminal import tell_either, warn
from service.server import stop_event


async def print_events(
    desk: Desk, account: int, wanted: Wanted, *, as_json: bool, follow: bool
) -> None:
    """Prints what there is; with `follow` also what comes, until the process is told to stop."""
    after, upto = await desk.log.bounds(account, wanted)
    if not follow:
        number = 0
        async for found in desk.log.steps(account, wanted, after, upto, PAGE):
            _print(found, as_json)
            number += len(found.events)
        if not number:
            warn("there are no such events")
        return
    closing = asyncio.create_task(_close(desk, stop_event()))
    try:
        async for found in desk.tails.follow(account, wanted, after):
            _print(found, as_json)
    finally:
        closing.cancel()
        with suppress(asyncio.CancelledError):
            await closing


def _print(found: Found, as_json: bool) -> None:
    for event in found.events:
        tell_either(event, line_of, as_json=as_json)


async def _close(desk: Desk, stop: asyncio.Event) -> None:
    await stop.wait()
    desk.tails.close()
