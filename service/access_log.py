"""The access record: that somebody read what a learner said is itself recorded, in the log.

A page that asks again and again is recorded once an hour: the record of a reader, a learner's
conversation and an hour has a name of its own, an idempotency key that no client can send, and
the log takes each only once. It is looked up by its index before anything is appended.
"""

import msgspec

from eventstore.clock import DatabaseClock
from eventstore.envelope import Actor, Metadata, NewEvent
from eventstore.errors import AppendRefused
from eventstore.guards import Guard
from eventstore.log import EventLog
from eventstore.privacy_events import HistoryRead, stream_of_reads

OPERATOR = Metadata(actor=Actor(None, "operator"))
"""Who runs a command: whoever may reach the database as its owner."""


class Reads:
    """Records who reads of whom.

    Args:
        log: Where that is recorded.
        clock: The database's.
    """

    def __init__(self, log: EventLog, clock: DatabaseClock) -> None:
        self._log = log
        self._clock = clock

    async def note(
        self, account_id: int, read: HistoryRead, metadata: Metadata, guard: Guard
    ) -> None:
        """Records a reading before it happens, once an hour for a reader and what they read.

        Args:
            metadata: Its actor is the reader. One who has no id is recorded every time.
            guard: What must still be so when it is recorded.

        Raises:
            GuardBroken: It is so no more, so nothing may be read.
            EventStoreError: It could not be recorded, so nothing may be read.
        """
        once = msgspec.structs.replace(metadata, idempotency_key=self._name(read, metadata))
        if await self._log.find_request(account_id, once):
            return
        try:
            await self._log.append(
                account_id,
                stream_of_reads(read.learner_id),
                [NewEvent(event=read)],
                expected=None,
                metadata=once,
                guard=guard,
            )
        except AppendRefused:  # the database lets one in, and another request was faster
            if not await self._log.find_request(account_id, once):
                raise

    def _name(self, read: HistoryRead, metadata: Metadata) -> str | None:
        """Names the record. A client's keys have no space in them."""
        if metadata.actor.id is None:
            return None
        of = f"{read.learner_id} {read.conversation_id} {metadata.real_user_id}"
        return f"read {read.what} {of} {self._clock.now():%Y-%m-%dT%H}"
