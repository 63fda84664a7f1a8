"""The queue of appends: many waiting appends share one commit.

Two writers, each with a connection, take turns: while one waits for its commit to reach the disk,
the other's batch waits for the head row's lock.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from eventstore.append_batch import PendingAppend, take_batch
from eventstore.batch_writer import BatchWriter, fail
from eventstore.connections import LogGrowth
from eventstore.envelope import RecordedEvent
from eventstore.errors import LogBusy, LogClosed, LogUnavailable
from eventstore.primary import Primary

WRITERS = 2
APPEND_TIMEOUT = 30.0
"""Seconds for which an append is retried while the database is away, for example restarting."""

MAX_WAITING = 10_000
"""Appends that may wait: about a second of work, so that an append fails or succeeds soon."""


class GroupCommit:
    """Commits waiting appends in batches.

    Args:
        url: The owner's connection URL.
        on_commit: Called with the account whose log has grown.
        timeout: Seconds for which an append is retried while the database is away.
        growth: Updated with each log's new head.
        primary: Shared with the process's other connections.
    """

    def __init__(
        self,
        url: str,
        on_commit: Callable[[int], None],
        timeout: float = APPEND_TIMEOUT,
        growth: LogGrowth | None = None,
        primary: Primary | None = None,
    ) -> None:
        shared = growth or LogGrowth(), primary or Primary(url)
        self._writers = [BatchWriter(url, on_commit, timeout, *shared) for _ in range(WRITERS)]
        self._timeout = timeout
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting: deque[PendingAppend] = deque()
        self._arrived = asyncio.Event()
        self._closing = False

    @property
    def is_failing(self) -> bool:
        """Whether an append failed in the last five seconds and none has succeeded since."""
        return any(writer.is_failing for writer in self._writers)

    def start(self) -> None:
        """Starts the writers; they connect at the first append."""
        self._tasks = [asyncio.create_task(writer.run(self._next)) for writer in self._writers]

    async def submit(self, append: PendingAppend) -> list[RecordedEvent]:
        """Waits until the append is on disk; cancelling the caller does not cancel the append.

        Raises:
            EventStoreError: The append was not stored; after LogUnavailable it may have been.
        """
        if self._closing:
            raise LogClosed
        if len(self._waiting) >= MAX_WAITING:
            raise LogBusy
        self._waiting.append(append)
        self._arrived.set()
        return await asyncio.shield(append.done)

    async def close(self) -> None:
        """Commits the waiting appends, then ends the writers."""
        self._closing = True
        self._arrived.set()
        await asyncio.gather(*self._tasks)

    async def _next(self) -> list[PendingAppend]:
        """The next batch; empty once the queue is closed."""
        while True:
            self._drop_expired()
            if self._waiting:
                return take_batch(self._waiting)
            if self._closing:
                return []
            self._arrived.clear()
            await self._arrived.wait()

    def _drop_expired(self) -> None:
        oldest = asyncio.get_running_loop().time() - self._timeout
        while self._waiting and self._waiting[0].since < oldest:
            fail([self._waiting.popleft()], LogUnavailable())
