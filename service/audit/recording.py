"""Who reads by a command, and the record of it in the log, before anything is shown."""

import os
import pwd

import msgspec

from eventstore.connections import AccountPool
from eventstore.envelope import Actor, Metadata
from eventstore.log import EventLog
from service.audit.event_search import Wanted
from service.audit.reads import AuditReads
from service.audit.replays import Replays
from service.errors import UnknownUser
from sql.loader import query

_HOW = "give --reason"


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Of whom or what a reading is; all None where it is of nobody in particular."""

    learner_id: int | None = None
    conversation_id: int | None = None
    course_id: int | None = None


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
        if self.user_id is None:
            return Metadata(actor=Actor(None, "operator"))
        return Metadata(actor=Actor(self.user_id, "auditor"))


class CommandReads:
    """Records who reads by commands.

    Args:
        log: Where it is recorded.
        pool: For looking up whose a conversation is.
        reason_required: Whether nobody may read without saying why.
    """

    def __init__(self, log: EventLog, pool: AccountPool, *, reason_required: bool) -> None:
        self._reads = AuditReads(log, reason_required=reason_required)
        self._pool = pool

    async def record(
        self, account_id: int, reader: Reader, what: str, subject: Subject | None = None
    ) -> None:
        """Records a reading; when it returns, that is on disk, and no sooner may it begin.

        Args:
            what: The words of the command, with what it was asked for.
            subject: Its learner is looked up where only a conversation is named.

        Raises:
            BadRequest, TextTooLong: The reason is missing where one is required, or unfit.
            UnknownUser: The account has no such reader.
            EventStoreError: The log did not take it.
        """
        reason = self._reads.checked(reader.reason, _HOW)
        user = reader.user_id
        if user is not None and await self._name(account_id, user) is None:
            raise UnknownUser(f"there is no user {user}")
        of = await learner_found(Replays(self._pool), account_id, subject or Subject())
        await self._reads.record(
            account_id,
            reader.metadata,
            what,
            reason,
            learner_id=of.learner_id,
            conversation_id=of.conversation_id,
            course_id=of.course_id,
            operator=reader.operator,
        )

    async def _name(self, account_id: int, user_id: int) -> str | None:
        name: str | None = await self._pool.fetchval(
            account_id, query("get_user_name"), account_id, user_id
        )
        return name


async def learner_found(replays: Replays, account_id: int, subject: Subject) -> Subject:
    """The subject with the learner whose the conversation is, where one is named.

    Where somebody asks for a conversation and for a learner who had no part in it, there is nothing
    to read of the conversation.
    """
    if subject.conversation_id is None:
        return subject
    opened = await replays.find(account_id, subject.conversation_id)
    owner = opened.user_id if opened else None
    if subject.learner_id not in (None, owner):
        return msgspec.structs.replace(subject, conversation_id=None)
    return msgspec.structs.replace(subject, learner_id=owner)


def subject_of(wanted: Wanted) -> Subject:
    """Of whom or what the events are that somebody asks for."""
    return Subject(
        learner_id=wanted.user_id,
        conversation_id=wanted.conversation_id,
        course_id=wanted.course_id,
    )


def system_user() -> str:
    """What the system calls the user who runs this; with sudo, the one who asked for it."""
    number = os.getuid()
    if number == 0 and (behind := os.environ.get("SUDO_USER")):
        return behind
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"
