"""A learner's record: what is kept about them, and who has read it, without texts."""

import re
from datetime import UTC, datetime

import asyncpg
import msgspec

from eventstore.connections import AccountPool
from eventstore.log import EventLog
from eventstore.privacy_events import LearnerErased, stream_of_learner, stream_of_reads
from service.errors import UnknownUser
from service.json_values import Id, read_id, timestamp
from service.privacy.legal_holds import LegalHolds
from sql.loader import query


class RecordedVote(msgspec.Struct, frozen=True, kw_only=True):
    """A vote on a message of the model; `words` is None if there were none or they were deleted."""

    vote: str
    voter_id: Id
    words: str | None
    voted_at: str


class RecordedConversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation: counts of messages, and whether texts are still kept."""

    id: Id
    course_id: Id
    experience_id: Id
    experience_title: str | None
    workflow_state: str
    all_objectives_met: bool
    created_at: str
    completed_at: str | None
    messages_by_learner: int
    messages_by_model: int
    evaluations: tuple[str, ...]
    votes: tuple[RecordedVote, ...]
    text_kept: bool
    text_removed_at: str | None


class RecordedHold(msgspec.Struct, frozen=True, kw_only=True):
    """A legal hold; its reason is for administrators only."""

    id: Id
    placed_at: str
    released_at: str | None
    reason: str | None


class RecordedErasure(msgspec.Struct, frozen=True, kw_only=True):
    """An erasure, and how many texts it removed."""

    erased_at: str
    reason: str
    texts: int


class RecordedRead(msgspec.Struct, frozen=True, kw_only=True):
    """A read of the learner's data. `acting_user_id` is the user who acted as the reader.

    `what` is the endpoint or the command. Its parameters and the reason are for auditors only,
    since they may concern others. `course_id` is set if a course was read, or a part of it.
    """

    read_at: str
    reader_id: Id | None
    reader_name: str | None
    role: str
    acting_user_id: Id | None
    what: str
    conversation_id: Id | None
    course_id: Id | None


class LearnerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All that is kept about a learner, and who has read it."""

    user_id: Id
    name: str
    made_at: str
    conversations: tuple[RecordedConversation, ...]
    holds: tuple[RecordedHold, ...]
    erasures: tuple[RecordedErasure, ...]
    reads: tuple[RecordedRead, ...]


class LearnerRecords:
    """Assembles learners' records.

    Args:
        log: Has the erasures.
        pool: Reads the views.
        holds: Has the holds.
    """

    def __init__(self, log: EventLog, pool: AccountPool, holds: LegalHolds) -> None:
        self._log = log
        self._pool = pool
        self._holds = holds

    async def of(self, account_id: int, user_id: int, *, reasons: bool) -> LearnerRecord:
        """The record of a learner as it is now.

        Args:
            reasons: Whether to include the reasons of holds.

        Raises:
            UnknownUser: The account has no such user.
        """
        name = await self._pool.fetchval(account_id, query("get_user_name"), account_id, user_id)
        if name is None:
            raise UnknownUser(f"there is no user {user_id}")
        conversations = await self._pool.fetch(
            account_id, query("list_learners_conversations"), account_id, user_id
        )
        reads = await self._pool.fetch(
            account_id, query("list_reads"), account_id, stream_of_reads(user_id), user_id
        )
        return LearnerRecord(
            user_id=Id(user_id),
            name=name,
            made_at=timestamp(datetime.now(UTC)),
            conversations=tuple(_conversation(row) for row in conversations),
            holds=await self._holds_of(account_id, user_id, reasons=reasons),
            erasures=await self._erasures(account_id, user_id),
            reads=tuple(_read(row) for row in reads),
        )

    async def _holds_of(
        self, account_id: int, user_id: int, *, reasons: bool
    ) -> tuple[RecordedHold, ...]:
        return tuple(
            RecordedHold(
                id=Id(hold.hold_id),
                placed_at=timestamp(hold.placed_at),
                released_at=_moment(hold.released_at),
                reason=hold.reason if reasons else None,
            )
            for hold in await self._holds.list(account_id, user_id)
        )

    async def _erasures(self, account_id: int, user_id: int) -> tuple[RecordedErasure, ...]:
        history = await self._log.read_stream(account_id, stream_of_learner(user_id))
        return tuple(
            RecordedErasure(
                erased_at=timestamp(recorded.recorded_at),
                reason=recorded.event.reason,
                texts=recorded.event.texts,
            )
            for recorded in history
            if isinstance(recorded.event, LearnerErased)
        )


_ENDPOINT = re.compile(r"[A-Z]{1,10} /[a-z0-9_/]*|[a-z_]+(?: [a-z_]+)*(?![^ ,])")


class _Vote(msgspec.Struct, frozen=True):
    vote: str
    voter_id: int
    words: str | None
    voted_at: datetime


_votes = msgspec.json.Decoder(list[_Vote])


def _conversation(row: asyncpg.Record) -> RecordedConversation:
    return RecordedConversation(
        id=Id(row["conversation_id"]),
        course_id=Id(row["course_id"]),
        experience_id=Id(row["experience_id"]),
        experience_title=row["experience_title"],
        workflow_state=row["workflow_state"],
        all_objectives_met=row["all_objectives_met"],
        created_at=timestamp(row["created_at"]),
        completed_at=_moment(row["completed_at"]),
        messages_by_learner=row["by_learner"],
        messages_by_model=row["by_model"],
        evaluations=tuple(timestamp(at) for at in row["evaluated_at"]),
        votes=tuple(
            RecordedVote(
                vote=vote.vote,
                voter_id=Id(vote.voter_id),
                words=vote.words,
                voted_at=timestamp(vote.voted_at.astimezone(UTC)),
            )
            for vote in _votes.decode(row["votes"])
        ),
        text_kept=row["text_kept"],
        text_removed_at=_moment(row["text_removed_at"]),
    )


def _read(row: asyncpg.Record) -> RecordedRead:
    changed = {"what": endpoint_of(row["what"]), "read_at": timestamp(row["read_at"])}
    return msgspec.convert({**row, **changed}, RecordedRead, dec_hook=read_id)


def endpoint_of(what: str) -> str:
    """The endpoint or command of a read, without its arguments.

    Only text that has the form of either is returned: earlier releases also recorded clients' text.
    """
    match = _ENDPOINT.match(what)
    return match[0] if match else ""


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp(moment)
