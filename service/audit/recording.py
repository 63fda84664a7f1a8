"""Records in the log that an operator has read it."""

from service.app import running_log
from service.audit.reads import AuditReads
from service.audit.replays import Replays
from service.learners.reads import OPERATOR


async def record_reading(
    url: str,
    account_id: int,
    what: str,
    *,
    reason: str | None,
    learner_id: int | None = None,
    conversation_id: int | None = None,
    course_id: int | None = None,
) -> None:
    """Records that somebody read the log by a command.

    Args:
        url: The owner's connection URL.
        what: The words of the command.
        learner_id: Looked up where only a conversation is named.

    Raises:
        EventStoreError: The log did not take it.
    """
    async with running_log(url) as (log, pool, _link):
        if learner_id is None and conversation_id is not None:
            opened = await Replays(pool).find(account_id, conversation_id)
            learner_id = opened.user_id if opened else None
        await AuditReads(log, reason_required=False).record(
            account_id,
            OPERATOR,
            what,
            reason,
            learner_id=learner_id,
            conversation_id=conversation_id,
            course_id=course_id,
        )
