"""A connection that commits batches, and its retries when a batch or the database fails."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC
from math import inf

import asyncpg
import structlog

from eventstore.append_batch import PendingAppend, arguments, offsets, recorded
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
_BUSY_TIMEOUT = 5.0
"""Seconds for which an append is retried while the database is busy."""

_FAILING = 5.0
"""Seconds for which the writer counts as failing after an append that failed."""

_KEYS = "events_idempotency_key"
log = structlog.get_logger("colloquy.log")


class BatchWriter:
    """Commits one batch after another; reconnects when the connection breaks.

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
        timeout: float,
        growth: LogGrowth,
        primary: Primary,
    ) -> None:
        self._url = url
        self._primary = primary
        self._growth = growth
        self._on_commit = on_commit
        self._timeout = timeout
        self._connection: AccountConnection | None = None
        self._doubtful: set[PendingAppend] = set()
        self._failing_until = 0.0

    @property
    def is_failing(self) -> bool:
        """Whether an append failed in the last five seconds and none has succeeded since."""
        return asyncio.get_running_loop().time() < self._failing_until

    async def run(self, next_batch: Callable[[], Awaitable[list[PendingAppend]]]) -> None:
        """Commits batches until `next_batch` returns an empty one."""
        try:
            while batch := await next_batch():
                await self._settle(batch)
                self._doubtful.clear()
        finally:
            self._disconnect()

    async def _settle(self, batch: Sequence[PendingAppend]) -> None:
        """Commits a batch; halves a refused batch until the refused append is alone."""
        try:
            await self._commit_with_retries(batch)
        except Exception as error:
            if len(batch) == 1 or meaning(error) is Meaning.AWAY:
                for append in batch:
                    fail([append], _failure(append, error))
                return
            half = len(batch) // 2
            await self._settle(batch[:half])
            await self._settle(batch[half:])

    async def _commit_with_retries(self, batch: Sequence[PendingAppend]) -> None:
        """Commits a batch once, retrying over new connections until the timeout."""
        since = max(append.since for append in batch)
        while True:
            try:
                await self._commit(batch)
                self._failing_until = 0.0
                return
            except Exception as error:
                late_commit = self._doubtful and _is_duplicate(error)
                timeout = self._timeout if late_commit else self._retry_time(error)
                if asyncio.get_running_loop().time() > since + timeout:
                    raise
                log.warning("append_interrupted", error=_error_name(error), items=len(batch))
            self._doubtful.update(batch)
            await asyncio.sleep(_RETRY)

    async def _commit(self, batch: Sequence[PendingAppend]) -> None:
        """Sends a batch. A doubtful batch was sent before and may have committed."""
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
            # If the first sending committed late, its own events cause the conflict.
            kept = await self._without_appended(list(rejected))
            rejected = {append: rejected[append] for append in kept}
        for append, error in rejected.items():
            fail([append], error)

    async def _without_appended(self, batch: Sequence[PendingAppend]) -> list[PendingAppend]:
        """Resolves the appends that are in the log already; returns the others."""
        connection = await self._connected()
        missing = {append.events[0].event_id: append for append in batch}
        await connection.enter(batch[0].account_id)
        rows = await connection.fetch(query("find_appended"), batch[0].account_id, list(missing))
        for row in rows:
            append = missing.pop(row["event_id"])
            _resolve(append, recorded(append, row["position"], row["revision"], row["recorded_at"]))
        return list(missing.values())

    async def _connected(self) -> AccountConnection:
        if self._connection is None:
            self._connection = await connect(
                self._url, "colloquy_service", KEPT_PLANS, self._primary
            )
        return self._connection

    def _retry_time(self, error: Exception) -> float:
        """Seconds after its submission for which an append is retried after this error."""
        match meaning(error):
            case Meaning.AWAY:
                self._disconnect()
                timeout = self._timeout
            case Meaning.BUSY:
                timeout = min(self._timeout, _BUSY_TIMEOUT)
            case Meaning.UNFIT:
                timeout = -inf
            case _:
                return -inf
        self._failing_until = asyncio.get_running_loop().time() + _FAILING
        return timeout

    def _disconnect(self) -> None:
        if self._connection:
            self._connection.terminate()
            self._connection = None


def _resolve_accepted(
    batch: Sequence[PendingAppend], row: asyncpg.Record
) -> dict[PendingAppend, EventStoreError]:
    """Resolves the appends that were stored; returns the rejected ones with their errors."""
    position, recorded_at = row["head"] + 1, row["recorded_at"]
    rejected: dict[PendingAppend, EventStoreError] = {}
    for append, offset, current, refusal in zip(
        batch, offsets(batch), row["currents"], row["refusals"], strict=True
    ):
        match refusal:
            case None:
                _resolve(append, recorded(append, position, current + offset, recorded_at))
                position += len(append.events)
            case "revision":
                rejected[append] = WrongExpectedRevision(
                    append.stream, append.expected or 0, current
                )
            case "limit":
                rejected[append] = LimitReached(recorded_at.astimezone(UTC).date())
            case changed:
                rejected[append] = GuardBroken(changed)
    return rejected


def _resolve(append: PendingAppend, events: list[RecordedEvent]) -> None:
    if not append.done.done():
        append.done.set_result(events)


def fail(batch: Sequence[PendingAppend], error: EventStoreError) -> None:
    """Fails these appends: they are not stored."""
    for append in batch:
        if not append.done.done():
            append.done.set_exception(error)
            append.done.exception()  # retrieved: the caller may be gone


def _is_duplicate(error: Exception) -> bool:
    """Whether an event is in the log already, rather than a request's idempotency key."""
    return isinstance(error, asyncpg.UniqueViolationError) and error.constraint_name != _KEYS


def _failure(append: PendingAppend, error: Exception) -> EventStoreError:
    """The error to fail the append with."""
    kind = meaning(error)
    if kind is Meaning.UNFIT:
        log.error("database_unfit", error=repr(error))
    refusal = AppendRefused if kind is Meaning.REFUSED else AppendFaulty
    return unavailable(error) or refusal(
        f"the append to {append.stream} was refused: {_error_name(error)}"
    )


def _error_name(error: Exception) -> str:
    """The error's name and SQLSTATE; its message may quote personal text."""
    return f"{type(error).__name__} {getattr(error, 'sqlstate', None) or ''}".strip()
