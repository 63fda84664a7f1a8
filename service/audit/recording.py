"""Records in the log that an operator has read it."""

from eventstore.protection import MAX_REASON, HistoryRead, stream_of_reads
from eventstore.records import Actor, Metadata, NewEvent
from service.app import running_log
from service.errors import BadRequest
from service.settings import Settings

_BY_OPERATOR = Metadata(actor=Actor(None, "operator"))


def check_reason(settings: Settings, reason: str | None) -> None:
    """Raises BadRequest where a reason is required and none is given, or it is too long."""
    if settings.audit_reason == "required" and not (reason and reason.strip()):
        raise BadRequest("a reason is required: give --reason")
    if reason and len(reason) > MAX_REASON:
        raise BadRequest(f"a reason has at most {MAX_REASON} characters")


async def record_reading(
    url: str,
    account_id: int,
    what: str,
    *,
    reason: str | None,
    learner_id: int | None = None,
    conversation_id: int | None = None,
) -> None:
    """Appends `history_read.v1`.

    Args:
        url: The owner's connection URL.
        what: The words of the command.

    Raises:
        EventStoreError: The log did not take it.
    """
    read = HistoryRead(
        what=what, learner_id=learner_id, conversation_id=conversation_id, reason=reason
    )
    async with running_log(url) as (log, _pool, _link):
        await log.append(
            account_id,
            stream_of_reads(learner_id),
            [NewEvent(event=read)],
            expected=None,
            metadata=_BY_OPERATOR,
        )
