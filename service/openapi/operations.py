"""The table of operations: what each endpoint takes, answers and refuses."""

from service.conversations.answers import ConversationAnswer
from service.conversations.bodies import FeedbackBody, MessageBody
from service.experiences.bodies import ExperienceBody
from service.http.bodies import NoBody
from service.openapi import answer_types as shapes
from service.openapi.analytics_operations import ANALYSING
from service.openapi.audit_operations import AUDITING
from service.openapi.operation import Operation
from service.privacy.bodies import ErasureBody
from service.privacy.learner_record import LearnerRecord

_EXPERIENCES = "/api/v1/courses/{course_id}/ai_experiences"
_EXPERIENCE = _EXPERIENCES + "/{ai_experience_id}"
_DIALOGUE = _EXPERIENCE + "/conversations"
_CONVERSATION = _DIALOGUE + "/{id}"
_FEEDBACK = _CONVERSATION + "/messages/{message_id}/feedback"
_STUDENTS = _EXPERIENCE + "/ai_conversations"
_TURN = _CONVERSATION + "/turns/{turn_id}"

_TALK, _LOOK, _JUDGE, _OFFER = "Conversations", "Teachers", "Evaluations", "Experiences"
_PROTECT = "Data protection"
_OWNER = "the conversation's owner, or a manager of the course"
_MANAGER = "a manager of the course: teacher, ta or designer"
_MEMBER = "a member of the course"
_POST = ("Idempotency-Key",)
_POSTED = (400, 408, 413, 415, 422)

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path=_DIALOGUE,
        name="getActiveConversation",
        tag=_TALK,
        summary="The caller's active conversation",
        text="An empty object where there is none.",
        who=_MEMBER,
        answers=(ConversationAnswer, shapes.NoConversation),
        headers=("If-None-Match",),
    ),
    Operation(
        method="POST",
        path=_DIALOGUE,
        name="createConversation",
        tag=_TALK,
        summary="Open a new conversation",
        text="The model speaks first. The caller's active conversation, if any, is completed. "
        "When the model fails, the old conversation is still the active one.",
        who=_MEMBER,
        body=NoBody,
        status=201,
        answers=(ConversationAnswer,),
        streams=True,
        headers=_POST,
        refuses=(*_POSTED, 409, 429),
    ),
    Operation(
        method="POST",
        path=_CONVERSATION + "/messages",
        name="postMessage",
        tag=_TALK,
        summary="Say something and get the model's reply",
        text="Answers with all messages so far, the reply last. While a reply is under way, "
        "a second message is refused with 409 and the `turn_id` of that reply.",
        who="the conversation's owner, while it is active",
        body=MessageBody,
        answers=(ConversationAnswer,),
        streams=True,
        headers=(*_POST, "If-Match"),
        refuses=(*_POSTED, 409, 412, 429),
    ),
    Operation(
        method="DELETE",
        path=_CONVERSATION,
        name="completeConversation",
        tag=_TALK,
        summary="Complete a conversation",
        text="A reply under way is stopped first. The history stays. Once more: 404.",
        who=_OWNER,
        answers=(shapes.CompletedAnswer,),
    ),
    Operation(
        method="GET",
        path=_CONVERSATION,
        name="getConversation",
        tag=_TALK,
        summary="One conversation, active or completed",
        text="With all messages; each with the caller's own votes.",
        who=_OWNER,
        answers=(shapes.ConversationDetail,),
        headers=("If-None-Match",),
    ),
    Operation(
        method="GET",
        path=_TURN + "/stream",
        name="streamTurn",
        tag=_TALK,
        summary="Read along with a reply, or take it up again",
        text="The turn as server-sent events after `Last-Event-ID`, those to come included, up "
        "to its end. Who has the last event, id 999999999, gets 204.",
        who=_OWNER,
        answers=(),
        streams=True,
        headers=("Last-Event-ID",),
    ),
    Operation(
        method="POST",
        path=_TURN + "/cancel",
        name="cancelTurn",
        tag=_TALK,
        summary="Stop a reply",
        text="Answers with the conversation as it is then. Once more: the same. A turn that "
        "ended otherwise: 409.",
        who=_OWNER,
        body=NoBody,
        answers=(ConversationAnswer, shapes.NoConversation),
        headers=_POST,
        refuses=(*_POSTED, 409),
    ),
    Operation(
        method="POST",
        path=_FEEDBACK,
        name="giveFeedback",
        tag=_TALK,
        summary="Vote on one of the model's messages",
        text="One vote a user and message: a new one replaces the last.",
        who=_OWNER,
        body=FeedbackBody,
        answers=(shapes.FeedbackGivenAnswer,),
        headers=_POST,
        refuses=(*_POSTED, 409, 429),
    ),
    Operation(
        method="DELETE",
        path=_FEEDBACK + "/{feedback_id}",
        name="withdrawFeedback",
        tag=_TALK,
        summary="Take a vote back",
        text="Once more: 404.",
        who="who gave it, or a manager of the course",
        answers=(shapes.SuccessAnswer,),
    ),
    Operation(
        method="GET",
        path=_STUDENTS,
        name="listStudentConversations",
        tag=_LOOK,
        summary="Every student with their latest conversation",
        text="Students without one are listed too, with `has_conversation` false.",
        who=_MANAGER,
        answers=(shapes.StudentConversations,),
        query=("page", "per_page"),
        refuses=(400,),
    ),
    Operation(
        method="GET",
        path=_STUDENTS + "/{conversation_id}",
        name="getStudentConversation",
        tag=_LOOK,
        summary="A student's conversation",
        text="With the student and all messages.",
        who=_MANAGER,
        answers=(shapes.StudentConversation,),
        headers=("If-None-Match",),
    ),
    Operation(
        method="GET",
        path=_CONVERSATION + "/evaluation",
        name="getEvaluation",
        tag=_JUDGE,
        summary="The latest evaluation",
        text="`null` where there is none. Never asks a model.",
        who=_MANAGER,
        answers=(shapes.LatestEvaluation,),
    ),
    Operation(
        method="POST",
        path=_CONVERSATION + "/evaluation",
        name="evaluateConversation",
        tag=_JUDGE,
        summary="Have a model evaluate the conversation",
        text="The evaluation is kept, and counts against the caller's daily limit.",
        who=_MANAGER,
        body=NoBody,
        answers=(shapes.EvaluationAnswer,),
        headers=_POST,
        refuses=(*_POSTED, 429),
    ),
    Operation(
        method="GET",
        path=_EXPERIENCES,
        name="listExperiences",
        tag=_OFFER,
        summary="The course's experiences",
        text="Learners see the published ones, each with how far they have come.",
        who=_MEMBER,
        answers=(shapes.LearnersExperience, shapes.ManagersExperience),
        many=True,
        query=("workflow_state", "page", "per_page"),
        refuses=(400,),
    ),
    Operation(
        method="POST",
        path=_EXPERIENCES,
        name="createExperience",
        tag=_OFFER,
        summary="Create an experience",
        text="Unpublished unless it says otherwise.",
        who=_MANAGER,
        body="NewExperienceBody",
        status=201,
        answers=(shapes.ManagersExperience,),
        headers=_POST,
        refuses=_POSTED,
    ),
    Operation(
        method="GET",
        path=_EXPERIENCE,
        name="getExperience",
        tag=_OFFER,
        summary="One experience",
        text="`facts` and `pedagogical_guidance` are for managers only.",
        who=_MEMBER,
        answers=(shapes.LearnersExperience, shapes.ManagersExperience),
    ),
    Operation(
        method="PUT",
        path=_EXPERIENCE,
        name="updateExperience",
        tag=_OFFER,
        summary="Change an experience",
        text="Holds for new conversations; running ones keep the version they started with.",
        who=_MANAGER,
        body=ExperienceBody,
        answers=(shapes.ManagersExperience,),
        refuses=(400, 408, 413, 415),
    ),
    Operation(
        method="DELETE",
        path=_EXPERIENCE,
        name="deleteExperience",
        tag=_OFFER,
        summary="Delete an experience",
        text="Answers with it, its state `deleted`. Conversations stay in the log.",
        who=_MANAGER,
        answers=(shapes.ManagersExperience,),
    ),
    Operation(
        method="DELETE",
        path="/api/v1/accounts/self/users/{user_id}/learner_data",
        name="eraseLearner",
        tag=_PROTECT,
        summary="Erase a learner",
        text="Deletes all words of and about them, their name and ways in. What is under way is "
        "stopped. While legal holds cover them: 409. Once more: 200, and nothing removed.",
        who="an administrator of the account, acting as nobody else",
        body=ErasureBody,
        answers=(shapes.ErasedAnswer,),
        refuses=(400, 408, 409, 413, 415, 422),
    ),
    Operation(
        method="GET",
        path="/api/v1/users/{user_id}/learner_record",
        name="getLearnerRecord",
        tag=_PROTECT,
        summary="What is kept about a learner, and who has read it",
        text="With `Accept: text/html` as a page. Reasons of holds are for administrators.",
        who="the learner, or an administrator of the account",
        answers=(LearnerRecord,),
        media=("text/html",),
    ),
    *AUDITING,
    *ANALYSING,
)
