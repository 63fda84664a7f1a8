"""Follows the log: existing events first, then each new one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from eventstore.log import PAGE
from eventstore.notifier import Notifier
from service.audit.event_search import EventFilter, EventPage, EventSearch
from service.timing import USUAL

_POLL = 1.0
_PAUSE = 0.05

PermissionCheck = Callable[[], Awaitable[bool]]
"""Looks up whether a stream's reader may still read."""


async def _always() -> bool:
    return True


class LiveTail:
    """Follows logs for auditors.

    Args:
        log: Finds the events.
        notifier: Wakes the tails when events are appended.
        keep_alive: Seconds without events after which a tail yields the position that it has
            reached, and after which it checks its reader's permission again.
    """

    def __init__(
        self, log: EventSearch, notifier: Notifier, keep_alive: float = USUAL.keep_alive
    ) -> None:
        self._log = log
        self._notifier = notifier
        self._keep_alive = keep_alive
        self._closed = False

    async def follow(
        self,
        account_id: int,
        event_filter: EventFilter,
        after: int,
        check: PermissionCheck = _always,
    ) -> AsyncIterator[EventPage]:
        """Yields matching events above `after`, existing and new ones, until the service stops.

        A page may be empty: it then says up to which position the log has been searched.

        Args:
            check: Whether the reader may still read; the tail ends once they may not.
        """
        silence = _Timer(self._keep_alive)
        permission = ReadPermission(check, self._keep_alive)
        while not self._closed and await permission.holds():
            wake_event = self._notifier.wake_event(account_id)
            head = await self._log.head(account_id)
            while after < head and not self._closed:
                page = await self._log.scan(account_id, event_filter, after, head, PAGE)
                after = page.reached
                if not await permission.holds():
                    return
                if page.events or silence.is_over():
                    silence = _Timer(self._keep_alive)
                    yield page
            if silence.is_over():
                silence = _Timer(self._keep_alive)
                yield EventPage([], after)
            await asyncio.sleep(_PAUSE)  # every append of the account sets the wake event
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL):
                    await wake_event.wait()

    def close(self) -> None:
        """Ends all tails within about a second."""
        self._closed = True


class _Timer:
    """Runs for some seconds from its creation."""

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.time() + seconds

    def is_over(self) -> bool:
        return self._loop.time() >= self._end


class ReadPermission:
    """A reader's permission, which is looked up again from time to time.

    Args:
        interval: Seconds between two checks.
    """

    def __init__(self, check: PermissionCheck, interval: float) -> None:
        self._check = check
        self._interval = interval
        self._timer = _Timer(interval)

    async def holds(self) -> bool:
        """Whether the reader may still read, as of the last check."""
        if not self._timer.is_over():
            return True
        self._timer = _Timer(self._interval)
        return await self._check()
