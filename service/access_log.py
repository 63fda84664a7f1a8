"""The access record: that somebody reads what a learner said is itself recorded, in the log.

A page that asks again and again is recorded once an hour: the record of a reader, a learner's
conversation and an hour has a name of its own, an idempotency key that no client can send, and
the log takes each only once. It is looked up by its index before anything is appended. What
auditors read, and what commands show, is recorded every time.
"""

import os
import pwd
from datetime import datetime

import msgspec

from eventstore.envelope import Actor, Metadata, NewEvent, RecordedEvent
from eventstore.errors import AppendRefused, LogUnavailable
from eventstore.guards import Guard
from eventstore.log import EventLog
from eventstore.privacy_events import HistoryRead, stream_of_reads
from service.errors import BadRequest
from service.escaping import is_blank
from service.parsing import checked_reason

MAX_WHAT = 500
"""Characters that are kept of what was asked for."""

OPERATOR = Metadata(actor=Actor(None, "operator"))
"""Who runs a command: whoever may reach the database as its owner."""


class Reader(msgspec.Struct, frozen=True, kw_only=True):
    """Who reads by a command.

    Attributes:
        operator: What the system calls the user who runs it.
        user_id: The user of the account who reads, if they say so.
        reason: Why, as it was given.
    """

    operator: str
    user_id: int | None = None
    reason: str | None = None

    @property
    def metadata(self) -> Metadata:
        """The circumstances of what they do."""
        return OPERATOR if self.user_id is None else Metadata(actor=Actor(self.user_id, "auditor"))


class AccessLog:
    """Records who reads of whom.

    Args:
        log: Where that is recorded.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def record(
        self, account_id: int, read: HistoryRead, metadata: Metadata, guard: Guard | None = None
    ) -> None:
        """Records a reading; when it returns, that is on disk, and no sooner may it begin.

        Args:
            metadata: Its actor is the reader.
            guard: What must still be so when it is recorded.

        Raises:
            GuardBroken: It is so no more: nothing may be read.
            EventStoreError: It could not be recorded: nothing may be read.
        """
        try:
            await self._append(account_id, read, metadata, guard)
        except AppendRefused as error:
            raise LogUnavailable("the read could not be recorded") from error

    async def record_hourly(
        self,
        account_id: int,
        read: HistoryRead,
        metadata: Metadata,
        guard: Guard,
        now: datetime,
    ) -> None:
        """Records a reading before it begins, once an hour for a reader and what they read.

        Args:
            metadata: Its actor is the reader. One who has no id is recorded every time.
            now: The database's time.

        Raises:
            GuardBroken, EventStoreError: As `record`.
        """
        key = _hourly_key(read, metadata, now)
        once = msgspec.structs.replace(metadata, idempotency_key=key)
        await self._log.append_once(
            account_id, once, lambda: self._append(account_id, read, once, guard)
        )

    async def _append(
        self, account_id: int, read: HistoryRead, metadata: Metadata, guard: Guard | None
    ) -> list[RecordedEvent]:
        return await self._log.append(
            account_id,
            stream_of_reads(read.learner_id),
            [NewEvent(event=read)],
            expected=None,
            metadata=metadata,
            guard=guard,
        )


def check_reason(reason: str | None, how: str, *, required: bool) -> str | None:
    """A reason for reading as it goes into the log, if there is one.

    Args:
        how: Where a reason is given, for the message.

    Raises:
        BadRequest: It is missing where one is required, or cannot be stored.
        TextTooLong: It is too long.
    """
    kept = checked_reason(reason or "")
    if not is_blank(kept):
        return kept
    if required:
        raise BadRequest(f"a reason is required: {how}")
    return None


def system_user() -> str:
    """What the system calls the user who runs this; with sudo, the one who asked for it."""
    number = os.getuid()
    if number == 0 and (behind := os.environ.get("SUDO_USER")):
        return behind
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"


def _hourly_key(read: HistoryRead, metadata: Metadata, now: datetime) -> str | None:
    """Names the record. A client's keys have no space in them."""
    if metadata.actor.id is None:
        return None
    of = f"{read.learner_id} {read.conversation_id} {metadata.real_user_id}"
    return f"read {read.what} {of} {now:%Y-%m-%dT%H}"
