"""Follows the log: existing events first, then each new one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from eventstore.log import PAGE
from eventstore.notifier import Notifier
from service.audit.event_search import EventFilter, EventPage, EventSearch

SILENCE = 15.0
"""Seconds after which a tail tells how far it is, though nothing has come.

As often it asks whether its reader may still read.
"""

_POLL = 1.0
_PAUSE = 0.05

Ask = Callable[[], Awaitable[bool]]
"""Tells whether a tail's reader may still read."""


async def _always() -> bool:
    return True


class LiveTail:
    """Follows logs for auditors.

    Args:
        log: Finds the events.
        notifier: Tells when there are new ones.
    """

    def __init__(self, log: EventSearch, notifier: Notifier) -> None:
        self._log = log
        self._notifier = notifier
        self._closed = False

    async def follow(
        self, account_id: int, event_filter: EventFilter, after: int, ask: Ask = _always
    ) -> AsyncIterator[EventPage]:
        """Yields matching events above `after`, existing and new ones, until the service stops.

        What comes may have no events: then it only tells how far everything is looked through.

        Args:
            ask: Whether the reader may still read; nothing comes once they may not.
        """
        told = _Pause()
        leave = Leave(ask)
        while not self._closed and await leave.holds():
            wake_event = self._notifier.wake_event(account_id)
            head = await self._log.head(account_id)
            while after < head and not self._closed:
                page = await self._log.scan(account_id, event_filter, after, head, PAGE)
                after = page.reached
                if not await leave.holds():
                    return
                if page.events or told.is_over():
                    told = _Pause()
                    yield page
            if told.is_over():
                told = _Pause()
                yield EventPage([], after)
            await asyncio.sleep(_PAUSE)  # the wake_event rings for every append of the account
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL):
                    await wake_event.wait()

    def close(self) -> None:
        """Ends all tails within about a second."""
        self._closed = True


class _Pause:
    """Measures the time since its creation."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    def is_over(self) -> bool:
        return self._loop.time() - self._began >= SILENCE


class Leave:
    """A reader's permission, checked again after a while."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._told = _Pause()

    async def holds(self) -> bool:
        """Whether the reader may go on."""
        if not self._told.is_over():
            return True
        self._told = _Pause()
        return await self._ask()
