"""xAPI 1.0.3 statements: which event of the log becomes which.

| event | verb | object | result |
|---|---|---|---|
| `conversation_started` | ADL `initialized` | the experience | |
| `message_posted` | ADL `responded` | the experience | |
| `objectives_assessed` | ADL `progressed`, or `completed` with the last of them | the experience |
  score: objectives covered of all; cmi5 progress |
| `conversation_completed` | ADL `terminated` | the experience | |
| `feedback_given` | Activity Streams `like`, `dislike` | the message | |
| `feedback_withdrawn` | Activity Streams `retract` | the vote | |
| `evaluation_recorded` | AcrossX `evaluated`, by the service | the conversation | |

A statement's id is its event's, its registration the conversation, its timestamp when the event
was recorded. The same event gives the same statement whenever it is made.

Nothing is made of what a model says or fails to say, since that is nobody's learning; of an
assessment that found nothing new; of requests, whose outcome has an event of its own; of holds,
erasures and reads. `completed` claims no `success`: a model found the objectives covered, no person
has passed anybody. People are numbers of the account; what they wrote is nowhere.
"""

import msgspec

from eventstore.dialogue_events import (
    ConversationCompleted,
    ConversationStarted,
    FeedbackGiven,
    FeedbackWithdrawn,
    MessagePosted,
    ObjectivesAssessed,
)
from eventstore.evaluation_events import EvaluationRecorded
from service.analytics.learning_records.iris import Names
from service.analytics.learning_records.source_events import LearningEvent
from service.analytics.learning_records.xapi_types import (
    Activity,
    ActivityDefinition,
    Agent,
    AgentAccount,
    Context,
    ContextActivities,
    Extensions,
    Result,
    Score,
    Statement,
    Verb,
)

XAPI_VERSION = "1.0.3"

TYPES = (
    "conversation_started.v1",
    "message_posted.v1",
    "objectives_assessed.v1",
    "conversation_completed.v1",
    "feedback_given.v1",
    "feedback_withdrawn.v1",
    "evaluation_recorded.v1",
)

_ADL = "http://adlnet.gov/expapi/verbs/"
_STREAMS = "http://activitystrea.ms/schema/1.0/"
_ACROSSX = "https://w3id.org/xapi/acrossx/verbs/"
_COURSE = "http://adlnet.gov/expapi/activities/course"
_EXPERIENCE = "http://adlnet.gov/expapi/activities/lesson"
_CONVERSATION = "http://id.tincanapi.com/activitytype/tutor-session"
_MESSAGE = "http://id.tincanapi.com/activitytype/chat-message"
_PROGRESS = "https://w3id.org/xapi/cmi5/result/extensions/progress"
_LANGUAGE = "und"
"""Titles are in the language of their course, which nobody has told."""


class _Said(msgspec.Struct, frozen=True):
    """What is particular to the statement of one event."""

    verb: Verb
    object: Activity
    extensions: Extensions = {}
    actor: Agent | None = None
    result: Result | None = None


def statement_of(names: Names, source: LearningEvent) -> Statement | None:
    """The statement that an event becomes, if it becomes one."""
    said = _said(names, source)
    if said is None:
        return None
    conversation: Extensions = {names.extension("conversation"): source.conversation_id}
    return Statement(
        id=source.event_id,
        actor=said.actor or _person(names, source.user_id),
        verb=said.verb,
        object=said.object,
        result=said.result,
        context=Context(
            registration=names.registration(source.conversation_id),
            context_activities=_whole(names, source, said.object),
            platform="Colloquy",
            extensions=conversation | said.extensions,
        ),
        timestamp=source.recorded_at,
    )


def _said(names: Names, source: LearningEvent) -> _Said | None:
    experience = _experience(names, source)
    match source.event:
        case ConversationStarted():
            return _Said(_verb(_ADL, "initialized"), experience)
        case MessagePosted(message_id=message_id):
            extensions: Extensions = {names.extension("message"): message_id}
            return _Said(_verb(_ADL, "responded"), experience, extensions)
        case ObjectivesAssessed(covered=covered) if covered and source.objectives:
            result = _result(names, source, [entry.objective for entry in covered])
            word = "completed" if result.completion else "progressed"
            return _Said(_verb(_ADL, word), experience, result=result)
        case ConversationCompleted(reason=reason):
            why: Extensions = {names.extension("reason"): reason}
            return _Said(_verb(_ADL, "terminated"), experience, why)
        case FeedbackGiven() | FeedbackWithdrawn() as vote:
            return _vote(names, vote)
        case EvaluationRecorded():
            return _evaluation(names, source)
        case _:
            return None


def _vote(names: Names, vote: FeedbackGiven | FeedbackWithdrawn) -> _Said:
    voter = _person(names, vote.user_id)
    message: Extensions = {names.extension("message"): vote.message_id}
    given = names.feedback(vote.conversation_id, vote.feedback_id)
    if isinstance(vote, FeedbackWithdrawn):
        return _Said(_verb(_STREAMS, "retract", "retracted"), Activity(id=given), message, voter)
    word = vote.vote.removesuffix("d")
    place = names.message(vote.conversation_id, vote.message_id)
    voted_on = Activity(id=place, definition=ActivityDefinition(type=_MESSAGE))
    extensions: Extensions = {names.extension("feedback"): given}
    return _Said(_verb(_STREAMS, word, vote.vote), voted_on, message | extensions, voter)


def _evaluation(names: Names, source: LearningEvent) -> _Said:
    """The service does it, not the learner; what it found is no part of it."""
    service = Agent(account=AgentAccount(home_page=names.base, name="colloquy"))
    place = names.conversation(source.conversation_id)
    conversation = Activity(id=place, definition=ActivityDefinition(type=_CONVERSATION))
    return _Said(_verb(_ACROSSX, "evaluated"), conversation, actor=service)


def _result(names: Names, source: LearningEvent, newly_covered: list[int]) -> Result:
    of, covered = source.objectives, min(source.covered, source.objectives)
    return Result(
        score=Score(scaled=round(covered / of, 4), raw=covered, min=0, max=of),
        completion=covered == of,
        extensions={_PROGRESS: 100 * covered // of, names.extension("objectives"): newly_covered},
    )


def _whole(names: Names, source: LearningEvent, of: Activity) -> ContextActivities:
    course = Activity(
        id=names.course(source.course_id), definition=ActivityDefinition(type=_COURSE)
    )
    experience = _experience(names, source)
    if of == experience:
        return ContextActivities(parent=[course])
    return ContextActivities(parent=[experience], grouping=[course])


def _experience(names: Names, source: LearningEvent) -> Activity:
    name = {_LANGUAGE: source.title} if source.title else None
    return Activity(
        id=names.experience(source.course_id, source.experience_id),
        definition=ActivityDefinition(type=_EXPERIENCE, name=name),
    )


def _person(names: Names, user_id: int) -> Agent:
    return Agent(account=AgentAccount(home_page=names.account, name=str(user_id)))


def _verb(vocabulary: str, word: str, display: str | None = None) -> Verb:
    return Verb(id=vocabulary + word, display={"en": display or word})
