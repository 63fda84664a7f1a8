"""The queue in front of the log: many waiting appends, one commit.

Two lanes (connections) take turns: while one waits for its commit to reach the disk, the
other's batch fills up and queues behind it on the head row's lock.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from eventstore.append_batch import Item, take_batch
from eventstore.batch_writer import Lane, fail
from eventstore.connections import LogGrowth
from eventstore.envelope import RecordedEvent
from eventstore.errors import LogBusy, LogClosed, LogUnavailable
from eventstore.primary import Primary

LANES = 2
PATIENCE = 30.0
"""Seconds for which an append outlasts a database that is away, for example restarting."""

MAX_WAITING = 10_000
"""Appends that may wait; a second or so of work, so that nobody waits for long in vain."""


class GroupCommit:
    """Commits what is waiting, in batches.

    Args:
        url: The owner's connection URL.
        on_commit: Called with the account whose log has grown.
        patience: Seconds to outlast a database that is away.
        growth: Is told how long the logs have become.
        primary: Shared with the process's other connections.
    """

    def __init__(
        self,
        url: str,
        on_commit: Callable[[int], None],
        patience: float = PATIENCE,
        growth: LogGrowth | None = None,
        primary: Primary | None = None,
    ) -> None:
        shared = growth or LogGrowth(), primary or Primary(url)
        self._lanes = [Lane(url, on_commit, patience, *shared) for _ in range(LANES)]
        self._patience = patience
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting: deque[Item] = deque()
        self._arrived = asyncio.Event()
        self._closing = False

    @property
    def is_failing(self) -> bool:
        """Whether the database just did not take an append, and has taken none since."""
        return any(lane.is_failing for lane in self._lanes)

    def start(self) -> None:
        """Starts the lanes; they connect when there is something to append."""
        self._tasks = [asyncio.create_task(lane.run(self._next)) for lane in self._lanes]

    async def submit(self, item: Item) -> list[RecordedEvent]:
        """Waits until the item is on disk; it gets there even if the caller is cancelled.

        Raises:
            EventStoreError: It is not stored, or (LogUnavailable) nobody can tell.
        """
        if self._closing:
            raise LogClosed
        if len(self._waiting) >= MAX_WAITING:
            raise LogBusy
        self._waiting.append(item)
        self._arrived.set()
        return await asyncio.shield(item.done)

    async def close(self) -> None:
        """Commits what is still waiting, then ends the lanes."""
        self._closing = True
        self._arrived.set()
        await asyncio.gather(*self._tasks)

    async def _next(self) -> list[Item]:
        """The next batch; empty when there will be none."""
        while True:
            self._drop_expired()
            if self._waiting:
                return take_batch(self._waiting)
            if self._closing:
                return []
            self._arrived.clear()
            await self._arrived.wait()

    def _drop_expired(self) -> None:
        oldest = asyncio.get_running_loop().time() - self._patience
        while self._waiting and self._waiting[0].since < oldest:
            fail([self._waiting.popleft()], LogUnavailable())
