"""The endpoints of feedback: votes on the model's messages."""

from uuid import UUID

import msgspec
from aiohttp import web
from uuid_utils import uuid7

from eventstore.dialogue_events import FeedbackGiven, FeedbackWithdrawn
from eventstore.envelope import NewEvent, RecordedEvent
from service.conversations.answer_types import FeedbackGivenAnswer, SuccessAnswer
from service.conversations.answers import feedback_answer
from service.conversations.app_keys import DIALOGUES
from service.conversations.bodies import FeedbackBody
from service.dialogue.repository import DialogueKey
from service.dialogue.state import Feedback
from service.errors import AlreadyAsked, FeedbackOnLearner, KeyReused, NotFound, TextRemoved
from service.http.authentication import participant_of
from service.http.bodies import read_body
from service.http.rate_limits import LimitedAction
from service.http.request import conversation_id, guard_of, metadata_of
from service.http.request_keys import POOL
from service.http.responses import json_response
from service.identity.authorization import Access
from sql.loader import query


async def give_feedback(request: web.Request) -> web.Response:
    """POST …/messages/:message_id/feedback: the caller's vote, which replaces their last."""
    access, learner = await participant_of(request)
    number, message_id = conversation_id(request), _uuid(request, "message_id")
    body = await read_body(request, FeedbackBody)
    vote = body.checked_vote()
    message = await request.app[POOL].fetchrow(
        access.account_id, query("get_message"), access.account_id, number, UUID(message_id)
    )
    if message is None:
        raise NotFound
    if message["role"] != "Assistant":
        raise FeedbackOnLearner
    if message["removed"]:  # what is said of it is the learner's too, and would be kept
        raise TextRemoved
    given = FeedbackGiven(
        conversation_id=number,
        feedback_id=str(uuid7()),
        message_id=message_id,
        user_id=access.user_id,
        vote=vote,
    )
    recorded = await _record(request, access, learner, given, body.checked_text(), "feedback")
    return json_response(request, FeedbackGivenAnswer(feedback_answer(_feedback_of(recorded))))


async def withdraw_feedback(request: web.Request) -> web.Response:
    """DELETE …/messages/:message_id/feedback/:feedback_id: who gave it, or a manager."""
    access, learner = await participant_of(request)
    number = conversation_id(request)
    message_id, feedback_id = _uuid(request, "message_id"), _uuid(request, "feedback_id")
    voter = await request.app[POOL].fetchval(
        access.account_id,
        query("get_feedback"),
        *(access.account_id, number, UUID(message_id), UUID(feedback_id)),
    )
    if voter is None or (voter != access.user_id and not access.manages):
        raise NotFound
    withdrawn = FeedbackWithdrawn(
        conversation_id=number, feedback_id=feedback_id, message_id=message_id, user_id=voter
    )
    await _record(request, access, learner, withdrawn, None)
    return json_response(request, SuccessAnswer())


async def _record(
    request: web.Request,
    access: Access,
    learner: int,
    event: FeedbackGiven | FeedbackWithdrawn,
    text: str | None,
    limited: LimitedAction | None = None,
) -> RecordedEvent:
    """Records the event; a repeated request returns the event of the first."""
    key = DialogueKey(access.account_id, access.experience_id, learner)
    new = NewEvent(event=event, content=text, subject_id=learner)
    metadata, guard = metadata_of(request, access), guard_of(request, access, limited)
    if text is not None and access.conversation_state == "completed":
        # Words that came after the message's have expired would stay.
        guard = msgspec.structs.replace(guard, streams=(*guard.streams, key.stream))
    try:
        return await request.app[DIALOGUES].append_event(key, new, metadata, guard)
    except AlreadyAsked as repeat:
        if not _same(repeat.asked, event, text):
            raise KeyReused from None
        return repeat.asked


def _same(asked: RecordedEvent, event: FeedbackGiven | FeedbackWithdrawn, text: str | None) -> bool:
    first = asked.event
    if not (isinstance(first, FeedbackGiven) and isinstance(event, FeedbackGiven)):
        return False
    return (first.conversation_id, first.message_id, first.vote) == (
        event.conversation_id,
        event.message_id,
        event.vote,
    ) and (asked.erased or asked.content == text)


def _feedback_of(recorded: RecordedEvent) -> Feedback:
    event = recorded.event
    assert isinstance(event, FeedbackGiven)
    return Feedback(
        id=event.feedback_id,
        message_id=event.message_id,
        user_id=event.user_id,
        vote=event.vote,
        text=recorded.content,
        created_at=recorded.recorded_at,
    )


def _uuid(request: web.Request, name: str) -> str:
    try:
        return str(UUID(request.match_info[name]))
    except ValueError:
        raise NotFound from None
