"""The endpoints of conversations, for learners and for those who teach them."""

from service.conversations import (
    feedback_handlers,
    handlers,
    student_handlers,
    turn_handlers,
)
from service.conversations.answer_types import (
    CompletedAnswer,
    ConversationAnswer,
    ConversationDetail,
    FeedbackGivenAnswer,
    ListedConversation,
    ListedStudent,
    NoConversation,
    StudentConversation,
    StudentConversations,
    SuccessAnswer,
)
from service.conversations.bodies import MAX_MESSAGE, FeedbackBody, MessageBody
from service.errors import (
    ConversationMoved,
    FeedbackOnLearner,
    FieldMissing,
    NothingToRetry,
    TextRemoved,
    TextTooLong,
    TurnCancelled,
    TurnInProgress,
    TurnIsOver,
    UnknownVote,
)
from service.experiences.endpoints import EXPERIENCE
from service.http.bodies import NoBody
from service.http.endpoint import Endpoint
from service.http.refusals import ANSWERED, BODY, LIMITED, MODEL, PAGED, POSTED

CONVERSATIONS = EXPERIENCE + "/conversations"
CONVERSATION = CONVERSATIONS + "/{id}"
FEEDBACK = CONVERSATION + "/messages/{message_id}/feedback"
TURN = CONVERSATION + "/turns/{turn_id}"
STUDENTS = EXPERIENCE + "/ai_conversations"

_TALK, _LOOK = "Conversations", "Teachers"
_OWNER = "the conversation's owner, or a manager of the course"
_MANAGER = "a manager of the course: teacher, ta or designer"
_MEMBER = "a member of the course"
_KEYED = ("Idempotency-Key",)
_TURN_ID = "019c2f3e-7a10-7cc1-b7a5-2f0c5d1e9a01"
_TURNS: tuple[Exception, ...] = (TurnInProgress(_TURN_ID), *LIMITED)
_MESSAGES: tuple[Exception, ...] = (
    FieldMissing("message"),
    TextTooLong("message", MAX_MESSAGE),
    ConversationMoved(),
)
_VOTES: tuple[Exception, ...] = (
    UnknownVote(),
    FeedbackOnLearner(),
    TextTooLong("feedback_message", MAX_MESSAGE),
    TextRemoved(),
)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        method="GET",
        path=CONVERSATIONS,
        handler=handlers.get_active_conversation,
        name="getActiveConversation",
        tag=_TALK,
        summary="The caller's active conversation",
        text="An empty object where there is none.",
        who=_MEMBER,
        answers=(ConversationAnswer, NoConversation),
        headers=("If-None-Match",),
        tagged=True,
    ),
    Endpoint(
        method="POST",
        path=CONVERSATIONS,
        handler=handlers.create_conversation,
        name="createConversation",
        tag=_TALK,
        summary="Open a new conversation",
        text="The model speaks first. The caller's active conversation, if any, is completed. "
        "When the model fails, the old conversation is still the active one.",
        who=_MEMBER,
        body=NoBody,
        body_optional=True,
        status=201,
        answers=(ConversationAnswer,),
        streams=True,
        headers=_KEYED,
        refuses=(*POSTED, *_TURNS, TurnCancelled(None), *MODEL),
        tagged=True,
    ),
    Endpoint(
        method="POST",
        path=CONVERSATION + "/messages",
        handler=handlers.post_message,
        name="postMessage",
        tag=_TALK,
        summary="Say something and get the model's reply",
        text="Answers with all messages so far, the reply last. While a reply is under way, "
        "a second message is refused with 409 and the `turn_id` of that reply. A message without "
        "a reply stays in the conversation with its `state`, and the next reply answers it too; "
        "the same text right after it counts as its retry.",
        who="the conversation's owner, while it is active",
        body=MessageBody,
        answers=(ConversationAnswer,),
        streams=True,
        headers=(*_KEYED, "If-Match"),
        refuses=(*POSTED, *_MESSAGES, *_TURNS, *ANSWERED),
        tagged=True,
    ),
    Endpoint(
        method="DELETE",
        path=CONVERSATION,
        handler=handlers.delete_conversation,
        name="completeConversation",
        tag=_TALK,
        summary="Complete a conversation",
        text="A reply under way is stopped first. The history stays. Once more: 404.",
        who=_OWNER,
        answers=(CompletedAnswer,),
        refuses=BODY,
    ),
    Endpoint(
        method="GET",
        path=CONVERSATION,
        handler=student_handlers.get_conversation,
        name="getConversation",
        tag=_TALK,
        summary="One conversation, active or completed",
        text="With all messages; each with the caller's own votes.",
        who=_OWNER,
        answers=(ConversationDetail,),
        headers=("If-None-Match",),
        tagged=True,
    ),
    Endpoint(
        method="GET",
        path=TURN + "/stream",
        handler=turn_handlers.get_turn_stream,
        name="streamTurn",
        tag=_TALK,
        summary="Read along with a reply, or take it up again",
        text="The turn as server-sent events after `Last-Event-ID`, those to come included, up "
        "to its end. Who has the last event, id 999999999, gets 204.",
        who=_OWNER,
        answers=(),
        streams=True,
        headers=("Last-Event-ID",),
        head=False,
    ),
    Endpoint(
        method="POST",
        path=TURN + "/cancel",
        handler=turn_handlers.cancel_turn,
        name="cancelTurn",
        tag=_TALK,
        summary="Stop a reply",
        text="Answers with the conversation as it is then. Once more: the same. A turn that "
        "ended otherwise: 409.",
        who=_OWNER,
        body=NoBody,
        body_optional=True,
        answers=(ConversationAnswer, NoConversation),
        headers=_KEYED,
        refuses=(*POSTED, TurnIsOver()),
        tagged=True,
    ),
    Endpoint(
        method="POST",
        path=TURN + "/retry",
        handler=handlers.retry_turn,
        name="retryTurn",
        tag=_TALK,
        summary="Ask again for a reply that did not come",
        text="For the newest message, where it is `unanswered` or `stopped`: answers as "
        "`postMessage` does. Otherwise 409. Counts as a message.",
        who="the conversation's owner, while it is active",
        body=NoBody,
        body_optional=True,
        answers=(ConversationAnswer,),
        streams=True,
        headers=_KEYED,
        refuses=(*POSTED, NothingToRetry(), *_TURNS, *ANSWERED),
        tagged=True,
    ),
    Endpoint(
        method="POST",
        path=FEEDBACK,
        handler=feedback_handlers.give_feedback,
        name="giveFeedback",
        tag=_TALK,
        summary="Vote on one of the model's messages",
        text="One vote a user and message: a new one replaces the last.",
        who=_OWNER,
        body=FeedbackBody,
        answers=(FeedbackGivenAnswer,),
        headers=_KEYED,
        refuses=(*POSTED, *_VOTES, *LIMITED),
    ),
    Endpoint(
        method="DELETE",
        path=FEEDBACK + "/{feedback_id}",
        handler=feedback_handlers.withdraw_feedback,
        name="withdrawFeedback",
        tag=_TALK,
        summary="Take a vote back",
        text="Once more: 404.",
        who="who gave it, or a manager of the course",
        answers=(SuccessAnswer,),
        refuses=BODY,
    ),
    Endpoint(
        method="GET",
        path=STUDENTS,
        handler=student_handlers.list_student_conversations,
        name="listStudentConversations",
        tag=_LOOK,
        summary="Every student with their latest conversation",
        text="Students without one are listed too, with `has_conversation` false.",
        who=_MANAGER,
        answers=(StudentConversations,),
        parts=(ListedConversation, ListedStudent),
        query=("page", "per_page"),
        refuses=PAGED,
    ),
    Endpoint(
        method="GET",
        path=STUDENTS + "/{conversation_id}",
        handler=student_handlers.get_student_conversation,
        name="getStudentConversation",
        tag=_LOOK,
        summary="A student's conversation",
        text="With the student and all messages.",
        who=_MANAGER,
        answers=(StudentConversation,),
        headers=("If-None-Match",),
        tagged=True,
    ),
)
