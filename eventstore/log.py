"""The log: append events, read a stream, a turn or a request."""

from collections.abc import Awaitable, Callable, Sequence

from eventstore.append_batch import new_pending_append
from eventstore.codec import decode_row
from eventstore.connections import AccountPool
from eventstore.envelope import NO_END, Metadata, NewEvent, RecordedEvent
from eventstore.errors import AppendRefused, LimitReached
from eventstore.group_commit import GroupCommit
from eventstore.guards import Guard
from sql.loader import query

PAGE = 500
"""Events that one read of a log returns at most."""


class EventLog:
    """All accounts' logs in one database.

    Args:
        pool: For reading; its role needs SELECT on the log.
        commits: The queue through which events are appended.
    """

    def __init__(self, pool: AccountPool, commits: GroupCommit) -> None:
        self._pool = pool
        self._commits = commits

    @property
    def is_failing(self) -> bool:
        """Whether an append failed in the last five seconds and none has succeeded since."""
        return self._commits.is_failing

    async def append(
        self,
        account_id: int,
        stream: str,
        events: Sequence[NewEvent],
        *,
        expected: int | None,
        metadata: Metadata,
        guard: Guard | None = None,
    ) -> list[RecordedEvent]:
        """Appends events to one stream, all or none; returns when they are on disk.

        Args:
            expected: The revision that the stream must be at, `NO_STREAM` for a new one, None
                for any.
            guard: Preconditions that the storing transaction checks.

        Returns:
            The events with their positions and revisions.

        Raises:
            WrongExpectedRevision: The stream is at another revision; nothing is stored.
            AppendRefused: The database refused the events, for example for an unknown account, or
                an event cannot be decoded again.
            GuardBroken, LimitReached: The guard does not hold; nothing is stored.
            LogUnavailable: The database did not answer within the queue's timeout, so that the
                events may be stored; or it lacks objects or rights that an append needs.
            DatabaseBusy: Each retry found the database busy.
            LogBusy: Too many appends are waiting.
            ValueError: No event, or content without a subject.
        """
        pending = new_pending_append(account_id, stream, expected, events, metadata, guard)
        return await self._commits.submit(pending)

    async def append_once(
        self,
        account_id: int,
        metadata: Metadata,
        append: Callable[[], Awaitable[Sequence[RecordedEvent]]],
    ) -> RecordedEvent:
        """Appends for a request, unless an earlier request with its idempotency key did.

        Args:
            metadata: The request's, with its actor and key. Without a key it is never a repeat.
            append: Appends with this metadata; called at most once. The database accepts an
                actor's key only once, so of two concurrent requests one gets the other's event.

        Returns:
            The first event appended, or that of the earlier request; their ids differ.

        Raises:
            Exception: The error of `append`, if no earlier request appended.
        """
        if earlier := await self.find_request(account_id, metadata):
            return earlier
        try:
            return (await append())[0]
        except (AppendRefused, LimitReached):
            if earlier := await self.find_request(account_id, metadata):
                return earlier
            raise

    async def read_stream(
        self,
        account_id: int,
        stream: str,
        *,
        after: int = 0,
        upto: int = NO_END,
        since_last: str | None = None,
    ) -> list[RecordedEvent]:
        """A stream's events in order.

        Args:
            after: Only revisions above this one.
            upto: Only revisions up to this one.
            since_last: An event type: start at its last event up to `upto`, if there is one.
        """
        rows = await self._pool.fetch(
            account_id,
            query("read_stream"),
            *(account_id, stream, after, since_last, upto),
        )
        return [decode_row(row) for row in rows]

    async def read_turn(
        self, account_id: int, conversation_id: int, turn_id: str, *, since: int = 0
    ) -> list[RecordedEvent]:
        """A turn's events in order, beginning with the one that requested it; none if unknown.

        Args:
            turn_id: A UUID in its usual form, in lower case.
            since: The position of the requesting event if it is known; earlier events of the
                conversation are not read.
        """
        rows = await self._pool.fetch(
            account_id, query("read_turn"), account_id, conversation_id, turn_id, since
        )
        return [decode_row(row) for row in rows]

    async def find_request(self, account_id: int, metadata: Metadata) -> RecordedEvent | None:
        """The first event of the actor's request with this idempotency key, or None."""
        user_id, key = metadata.actor.id, metadata.idempotency_key
        if user_id is None or key is None:
            return None
        row = await self._pool.fetchrow(account_id, query("find_request"), account_id, user_id, key)
        return decode_row(row) if row else None

    async def head(self, account_id: int) -> int:
        """The position of the account's last event, 0 for an empty log."""
        head = await self._pool.fetchval(account_id, query("get_log_head"), account_id)
        return int(head or 0)
