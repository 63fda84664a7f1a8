"""One connection that commits batches, and what it does when a batch or the database fails."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC
from math import inf

import asyncpg
import structlog

from eventstore.append_batch import Item, arguments, offsets, recorded
from eventstore.connections import KEPT_PLANS, AccountConnection, LogGrowth, connect
from eventstore.database_errors import Meaning, meaning, unavailable
from eventstore.envelope import RecordedEvent
from eventstore.errors import (
    AppendFaulty,
    AppendRefused,
    EventStoreError,
    GuardBroken,
    LimitReached,
    WrongExpectedRevision,
)
from eventstore.primary import Primary
from sql.loader import query

_RETRY = 0.1
_BUSY_PATIENCE = 5.0
"""Seconds to try again while the database says that it cannot do it at the moment."""

_FAILING = 5.0
"""Seconds for which nobody should rely on appends after one that failed."""

_KEYS = "events_idempotency_key"
log = structlog.get_logger("colloquy.log")


class Lane:
    """Commits one batch after another over a connection that it renews when it breaks.

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
        patience: float,
        growth: LogGrowth,
        primary: Primary,
    ) -> None:
        self._url = url
        self._primary = primary
        self._growth = growth
        self._on_commit = on_commit
        self._patience = patience
        self._connection: AccountConnection | None = None
        self._doubtful: set[Item] = set()
        self._failing_until = 0.0

    @property
    def is_failing(self) -> bool:
        """Whether the database just did not take an append, and has taken none since."""
        return asyncio.get_running_loop().time() < self._failing_until

    async def run(self, next_batch: Callable[[], Awaitable[list[Item]]]) -> None:
        """Settles batches until an empty one comes."""
        try:
            while batch := await next_batch():
                await self._settle(batch)
                self._doubtful.clear()
        finally:
            self._hang_up()

    async def _settle(self, batch: Sequence[Item]) -> None:
        """Commits a batch; if the database refuses it, halves it until the bad item is alone."""
        try:
            await self._outlast(batch)
        except Exception as error:
            if len(batch) == 1 or meaning(error) is Meaning.AWAY:
                for item in batch:
                    fail([item], _failure(item, error))
                return
            half = len(batch) // 2
            await self._settle(batch[:half])
            await self._settle(batch[half:])

    async def _outlast(self, batch: Sequence[Item]) -> None:
        """Commits a batch once, however often the connection breaks within the patience."""
        since = max(item.since for item in batch)
        while True:
            try:
                await self._commit(batch)
                self._failing_until = 0.0
                return
            except Exception as error:
                late_commit = self._doubtful and _is_twice(error)
                patience = self._patience if late_commit else self._patience_with(error)
                if asyncio.get_running_loop().time() > since + patience:
                    raise
                log.warning("append_interrupted", error=_named(error), items=len(batch))
            self._doubtful.update(batch)
            await asyncio.sleep(_RETRY)

    async def _commit(self, batch: Sequence[Item]) -> None:
        """Sends a batch. A doubtful one was sent before, and perhaps committed, unknown to us."""
        doubtful = not self._doubtful.isdisjoint(batch)
        if doubtful and not (batch := await self._without_appended(batch)):
            return
        connection = await self._connected()
        await connection.renew_plans(self._growth)
        row = await connection.fetchrow(query("append_events"), *arguments(batch))
        assert row is not None
        self._growth.reached(row["head"])
        rejected = _resolve_accepted(batch, row)
        self._on_commit(batch[0].account_id)
        if doubtful and rejected:
            # A first sending that committed late looks like somebody else's append.
            kept = await self._without_appended(list(rejected))
            rejected = {item: rejected[item] for item in kept}
        for item, error in rejected.items():
            fail([item], error)

    async def _without_appended(self, batch: Sequence[Item]) -> list[Item]:
        """Resolves the items that the log has already; returns the others."""
        connection = await self._connected()
        left = {item.events[0].event_id: item for item in batch}
        await connection.enter(batch[0].account_id)
        rows = await connection.fetch(query("find_appended"), batch[0].account_id, list(left))
        for row in rows:
            item = left.pop(row["event_id"])
            _resolve(item, recorded(item, row["position"], row["revision"], row["recorded_at"]))
        return list(left.values())

    async def _connected(self) -> AccountConnection:
        if self._connection is None:
            self._connection = await connect(
                self._url, "colloquy_service", KEPT_PLANS, self._primary
            )
        return self._connection

    def _patience_with(self, error: Exception) -> float:
        """Seconds for which an append is tried again after this error, from when it was asked."""
        match meaning(error):
            case Meaning.AWAY:
                self._hang_up()
                patience = self._patience
            case Meaning.BUSY:
                patience = min(self._patience, _BUSY_PATIENCE)
            case Meaning.UNFIT:
                patience = -inf
            case _:
                return -inf
        self._failing_until = asyncio.get_running_loop().time() + _FAILING
        return patience

    def _hang_up(self) -> None:
        if self._connection:
            self._connection.terminate()
            self._connection = None


def _resolve_accepted(batch: Sequence[Item], row: asyncpg.Record) -> dict[Item, EventStoreError]:
    """Resolves what was stored; returns the other items with the reason of each."""
    position, recorded_at = row["head"] + 1, row["recorded_at"]
    rejected: dict[Item, EventStoreError] = {}
    for item, offset, current, refusal in zip(
        batch, offsets(batch), row["currents"], row["refusals"], strict=True
    ):
        match refusal:
            case None:
                _resolve(item, recorded(item, position, current + offset, recorded_at))
                position += len(item.events)
            case "revision":
                rejected[item] = WrongExpectedRevision(item.stream, item.expected or 0, current)
            case "limit":
                rejected[item] = LimitReached(recorded_at.astimezone(UTC).date())
            case changed:
                rejected[item] = GuardBroken(changed)
    return rejected


def _resolve(item: Item, events: list[RecordedEvent]) -> None:
    if not item.done.done():
        item.done.set_result(events)


def fail(batch: Sequence[Item], error: EventStoreError) -> None:
    """Tells whoever waits for these items that they are not stored."""
    for item in batch:
        if not item.done.done():
            item.done.set_exception(error)
            item.done.exception()  # who waited may be gone; then the error is nobody's


def _is_twice(error: Exception) -> bool:
    """Whether an event is in the log already; a request's key that is there says nothing of it."""
    return isinstance(error, asyncpg.UniqueViolationError) and error.constraint_name != _KEYS


def _failure(item: Item, error: Exception) -> EventStoreError:
    """What whoever waits for the item is told."""
    kind = meaning(error)
    if kind is Meaning.UNFIT:
        log.error("database_unfit", error=repr(error))
    refusal = AppendRefused if kind is Meaning.REFUSED else AppendFaulty
    return unavailable(error) or refusal(
        f"the append to {item.stream} was refused: {_named(error)}"
    )


def _named(error: Exception) -> str:
    """The error without its own words, which may quote what somebody wrote."""
    return f"{type(error).__name__} {getattr(error, 'sqlstate', None) or ''}".strip()
