"""Events as they come: those that there are, then each when it is recorded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from eventstore.link import Link
from eventstore.log import PAGE
from service.audit.reading import AuditedLog, Found, Wanted

SILENCE = 15.0
"""Seconds after which a tail tells how far it is, though nothing has come."""

_POLL = 1.0
_PAUSE = 0.05


class Tails:
    """Follows logs for auditors.

    Args:
        log: Finds the events.
        link: Tells when there are new ones.
    """

    def __init__(self, log: AuditedLog, link: Link) -> None:
        self._log = log
        self._link = link
        self._closed = False

    async def follow(self, account_id: int, wanted: Wanted, after: int) -> AsyncIterator[Found]:
        """Wanted events above `after`, those to come included, until the service stops.

        What comes may have no events: then it only tells how far everything is looked through.
        """
        loop = asyncio.get_running_loop()
        told = loop.time()
        while not self._closed:
            bell = self._link.bell(account_id)
            head = await self._log.head(account_id)
            while after < head and not self._closed:
                found = await self._log.look(account_id, wanted, after, head, PAGE)
                after = found.reached
                if found.events:
                    told = loop.time()
                    yield found
            if loop.time() - told >= SILENCE:
                told = loop.time()
                yield Found([], after)
            await asyncio.sleep(_PAUSE)  # the bell rings for every append of the account
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL):
                    await bell.wait()

    def close(self) -> None:
        """Ends all tails, within about a second."""
        self._closed = True
