"""Records who reads the log, before they get anything of it."""

from eventstore.envelope import Metadata, NewEvent
from eventstore.errors import AppendRefused, LogUnavailable
from eventstore.guards import Guard
from eventstore.log import EventLog
from eventstore.privacy_events import HistoryRead, stream_of_reads
from service.errors import BadRequest
from service.escaping import is_blank
from service.parsing import checked_reason

MAX_WHAT = 500
"""Characters that are kept of what was asked for."""


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


class AuditReads:
    """The record of auditors' reads: each of them, unlike those of the learners' own teachers.

    Args:
        log: Where they are recorded.
        reason_required: Whether nobody may read without saying why.
    """

    def __init__(self, log: EventLog, *, reason_required: bool) -> None:
        self._log = log
        self._reason_required = reason_required

    def checked(self, reason: str | None, how: str) -> str | None:
        """A reason as it goes into the log, if there is one.

        Args:
            how: Where a reason is given, for the message.

        Raises:
            BadRequest, TextTooLong: As `check_reason`.
        """
        return check_reason(reason, how, required=self._reason_required)

    async def record(
        self,
        account_id: int,
        metadata: Metadata,
        what: str,
        reason: str | None,
        *,
        learner_id: int | None = None,
        conversation_id: int | None = None,
        course_id: int | None = None,
        operator: str | None = None,
        guard: Guard | None = None,
    ) -> None:
        """Records a read; when it returns, that is on disk.

        Args:
            what: The endpoint or the command, with what it was asked for.
            course_id: Counts only where no learner and no conversation is named: else the read is
                not of the course, nor what was read necessarily in it.
            operator: What the system calls the user who runs a command.
            guard: What must still be so when it is recorded.

        Raises:
            GuardBroken: It is so no more: nothing may be read.
            EventStoreError: It could not be recorded: nothing may be read.
        """
        event = HistoryRead(
            what=what[:MAX_WHAT],
            learner_id=learner_id,
            conversation_id=conversation_id,
            course_id=course_id if learner_id is None and conversation_id is None else None,
            reason=reason,
            operator=operator,
        )
        try:
            await self._log.append(
                account_id,
                stream_of_reads(learner_id),
                [NewEvent(event=event)],
                expected=None,
                metadata=metadata,
                guard=guard,
            )
        except AppendRefused as error:
            raise LogUnavailable("the read could not be recorded") from error
