"""Records auditors' reads, of the API and of commands, before they begin."""

import msgspec

from eventstore.connections import AccountPool
from eventstore.envelope import Metadata
from eventstore.guards import Guard
from eventstore.log import EventLog
from eventstore.privacy_events import HistoryRead
from service.access_log import MAX_WHAT, AccessLog, Reader, check_reason
from service.audit.event_search import EventFilter
from service.audit.replays import Replays
from service.errors import UnknownUser
from sql.loader import query

_OPTION = "give --reason"


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """The subject of a read; all fields are None if it has no particular one."""

    learner_id: int | None = None
    conversation_id: int | None = None
    course_id: int | None = None


class AuditService:
    """Records auditors' reads.

    Args:
        log: Where they are recorded.
        pool: Looks up the learner of a conversation, and the reader.
        reason_required: Whether each read needs a reason.
    """

    def __init__(self, log: EventLog, pool: AccountPool, *, reason_required: bool) -> None:
        self._access_log = AccessLog(log)
        self._pool = pool
        self._replays = Replays(pool)
        self._reason_required = reason_required

    def check_reason(self, reason: str | None, how: str) -> str | None:
        """A reason as it is recorded; None if there is none.

        Args:
            how: How to give a reason, for the error message.

        Raises:
            BadRequest: It is required and missing, or cannot be stored.
            TextTooLong: It is too long.
        """
        return check_reason(reason, how, required=self._reason_required)

    async def record(
        self,
        account_id: int,
        metadata: Metadata,
        what: str,
        reason: str | None,
        subject: Subject,
        *,
        operator: str | None = None,
        guard: Guard | None = None,
    ) -> None:
        """Records a read. The read may begin when this returns: the record is on disk then.

        Args:
            what: The endpoint or the command, with its parameters.
            reason: The result of `check_reason`.
            subject: The learner of a conversation is looked up. The course is recorded only
                without a learner and a conversation: theirs need not belong to it.
            operator: The operating system's name of the user who runs a command.
            guard: Conditions that must still hold when it is recorded.

        Raises:
            GuardBroken: One does not hold any more: nothing may be read.
            EventStoreError: It could not be recorded: nothing may be read.
        """
        subject = await self._with_learner(account_id, subject)
        whole_course = subject.learner_id is None and subject.conversation_id is None
        read = HistoryRead(
            what=what[:MAX_WHAT],
            learner_id=subject.learner_id,
            conversation_id=subject.conversation_id,
            course_id=subject.course_id if whole_course else None,
            reason=reason,
            operator=operator,
        )
        await self._access_log.record(account_id, read, metadata, guard)

    async def record_command(
        self, account_id: int, reader: Reader, what: str, subject: Subject | None = None
    ) -> None:
        """Records a command's read before it begins.

        Args:
            what: The words of the command, with its options.

        Raises:
            BadRequest, TextTooLong: As `check_reason`.
            UnknownUser: The account has no such reader.
            EventStoreError: It could not be recorded: nothing may be read.
        """
        reason = self.check_reason(reader.reason, _OPTION)
        user = reader.user_id
        if user is not None and await self._name(account_id, user) is None:
            raise UnknownUser(f"there is no user {user}")
        await self.record(
            account_id,
            reader.metadata,
            what,
            reason,
            subject or Subject(),
            operator=reader.operator,
        )

    async def _name(self, account_id: int, user_id: int) -> str | None:
        name: str | None = await self._pool.fetchval(
            account_id, query("get_user_name"), account_id, user_id
        )
        return name

    async def _with_learner(self, account_id: int, subject: Subject) -> Subject:
        """The subject with the learner of its conversation, if it names one.

        A conversation of another learner than the subject's is left out: nothing of it is read.
        """
        if subject.conversation_id is None:
            return subject
        opened = await self._replays.find(account_id, subject.conversation_id)
        owner = opened.user_id if opened else None
        if subject.learner_id not in (None, owner):
            return msgspec.structs.replace(subject, conversation_id=None)
        return msgspec.structs.replace(subject, learner_id=owner)


def subject_of(event_filter: EventFilter) -> Subject:
    """The subject of a search for events."""
    return Subject(
        learner_id=event_filter.user_id,
        conversation_id=event_filter.conversation_id,
        course_id=event_filter.course_id,
    )
