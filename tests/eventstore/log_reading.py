"""Reads and follows a whole log."""

from collections.abc import AsyncIterator

from eventstore.codec import decode_row
from eventstore.connections import AccountPool
from eventstore.envelope import RecordedEvent
from eventstore.log import EventLog
from eventstore.notifier import Notifier
from sql.loader import query

PAGE = 500
"""Events that one read returns by default."""


async def read_all(
    log: EventLog, account_id: int = 1, *, after: int = 0, limit: int = PAGE
) -> list[RecordedEvent]:
    """At most `limit` events of an account's log with positions above `after`, in order."""
    return await _read(log._pool, account_id, query("read_all"), after, limit)


async def read_conversation(
    log: EventLog, account_id: int, conversation_id: int, *, after: int = 0, limit: int = PAGE
) -> list[RecordedEvent]:
    """At most `limit` events of one conversation with positions above `after`, in order."""
    statement = query("read_conversation")
    return await _read(log._pool, account_id, statement, conversation_id, after, limit)


async def follow(
    log: EventLog, notifier: Notifier, account_id: int = 1, *, after: int = 0, limit: int = PAGE
) -> AsyncIterator[list[RecordedEvent]]:
    """Batches of events above position `after`, later appends included, without end."""
    while True:
        wake_event = notifier.wake_event(account_id)
        batch = await read_all(log, account_id, after=after, limit=limit)
        if batch:
            after = batch[-1].position
            yield batch
            continue
        await notifier.wait(wake_event)


async def _read(
    pool: AccountPool, account_id: int, statement: str, *args: int
) -> list[RecordedEvent]:
    rows = await pool.fetch(account_id, statement, account_id, *args)
    return [decode_row(row) for row in rows]
