"""How turns and conversations end."""

from typing import Any

import msgspec

from eventstore.dialogue_events import ConversationCompleted
from eventstore.envelope import Metadata
from eventstore.reply_records import ReplyRecord
from service.dialogue.commands import Failure, Spent
from service.model.errors import CANCELLED
from tests.bench.term.institution import Institution, PendingEvent
from tests.bench.term.people import Conversation


def delete(house: Institution, conversation: Conversation, metadata: Metadata) -> None:
    """Somebody ends the active conversation."""
    over = ConversationCompleted(conversation_id=conversation.id, reason="deleted")
    house.record(conversation.dialogue.stream, metadata, PendingEvent(over))
    conversation.dialogue.active = None
    complete(house, conversation)


def complete(house: Institution, conversation: Conversation) -> None:
    """Notes that a conversation is over, and that its texts may go some day."""
    conversation.completed_at = house.now
    course = conversation.dialogue.experience.course
    if course.keeps is not None:
        course.expiring.append(conversation)


def seconds(milliseconds: int | None) -> float:
    """How long it takes until what took so long is in the log."""
    return (milliseconds or 0) / 1000 + 0.012


def unanswered(failure: Failure) -> dict[str, Any]:
    """A failure as the fields of an event."""
    return {
        "code": failure.code,
        "detail": failure.detail,
        "retryable": failure.retryable,
        "retry_after": failure.retry_after,
        **msgspec.structs.asdict(failure.spent),
    }


def spent_so_far(answer: ReplyRecord | Failure) -> Spent:
    """What an answer has taken that is stopped in its last attempt."""
    if isinstance(answer, Failure):
        return answer.spent
    *before, last = answer.attempt_records
    stopped = msgspec.structs.replace(
        last, outcome=CANCELLED, usage=None, cost_microusd=None, duration_ms=None
    )
    return Spent(
        model=answer.model,
        provider_request_id=answer.provider_request_id,
        duration_ms=answer.first_token_ms,
        attempt_records=(*before, stopped),
        price_version=answer.price_version,
        cost_microusd=None,
    )
