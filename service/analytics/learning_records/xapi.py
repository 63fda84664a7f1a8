"""xAPI 1.0.3 statements, made of the log's events.

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

A statement has the id of its event. Its registration stands for the conversation, and its timestamp
is the time of recording. An event always gives the same statement.

There are no statements for replies of the model and their failures, which are nobody's learning;
for retries, since the message has its statement; for takeovers of turns by other processes;
for assessments without newly covered objectives; for requests, whose outcome has its own event; and
for holds, erasures and reads. `completed` states no `success`: a model found the objectives
covered, and no person graded the learner. People appear as ids, and texts do not appear.
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
"""The undetermined language: the language of a course's titles is unknown."""


class _StatementParts(msgspec.Struct, frozen=True):
    """The parts of a statement that depend on the type of its event."""

    verb: Verb
    object: Activity
    extensions: Extensions = {}
    actor: Agent | None = None
    result: Result | None = None


def statement_of(names: Names, source: LearningEvent) -> Statement | None:
    """The statement of an event; None for an event that has none."""
    parts = _parts(names, source)
    if parts is None:
        return None
    conversation: Extensions = {names.extension("conversation"): source.conversation_id}
    return Statement(
        id=source.event_id,
        actor=parts.actor or _person(names, source.user_id),
        verb=parts.verb,
        object=parts.object,
        result=parts.result,
        context=Context(
            registration=names.registration(source.conversation_id),
            context_activities=_context_activities(names, source, parts.object),
            platform="Colloquy",
            extensions=conversation | parts.extensions,
        ),
        timestamp=source.recorded_at,
    )


def _parts(names: Names, source: LearningEvent) -> _StatementParts | None:
    experience = _experience(names, source)
    match source.event:
        case ConversationStarted():
            return _StatementParts(_verb(_ADL, "initialized"), experience)
        case MessagePosted(message_id=message_id):
            extensions: Extensions = {names.extension("message"): message_id}
            return _StatementParts(_verb(_ADL, "responded"), experience, extensions)
        case ObjectivesAssessed(covered=covered) if covered and source.objectives:
            result = _result(names, source, [entry.objective for entry in covered])
            word = "completed" if result.completion else "progressed"
            return _StatementParts(_verb(_ADL, word), experience, result=result)
        case ConversationCompleted(reason=reason):
            why: Extensions = {names.extension("reason"): reason}
            return _StatementParts(_verb(_ADL, "terminated"), experience, why)
        case FeedbackGiven() | FeedbackWithdrawn() as vote:
            return _vote(names, vote)
        case EvaluationRecorded():
            return _evaluation(names, source)
        case _:
            return None


def _vote(names: Names, vote: FeedbackGiven | FeedbackWithdrawn) -> _StatementParts:
    voter = _person(names, vote.user_id)
    message: Extensions = {names.extension("message"): vote.message_id}
    given = names.feedback(vote.conversation_id, vote.feedback_id)
    if isinstance(vote, FeedbackWithdrawn):
        return _StatementParts(
            _verb(_STREAMS, "retract", "retracted"), Activity(id=given), message, voter
        )
    word = vote.vote.removesuffix("d")
    place = names.message(vote.conversation_id, vote.message_id)
    voted_on = Activity(id=place, definition=ActivityDefinition(type=_MESSAGE))
    extensions: Extensions = {names.extension("feedback"): given}
    return _StatementParts(_verb(_STREAMS, word, vote.vote), voted_on, message | extensions, voter)


def _evaluation(names: Names, source: LearningEvent) -> _StatementParts:
    """An evaluation by the service, not by the learner, without its findings."""
    service = Agent(account=AgentAccount(home_page=names.base, name="colloquy"))
    place = names.conversation(source.conversation_id)
    conversation = Activity(id=place, definition=ActivityDefinition(type=_CONVERSATION))
    return _StatementParts(_verb(_ACROSSX, "evaluated"), conversation, actor=service)


def _result(names: Names, source: LearningEvent, newly_covered: list[int]) -> Result:
    total, covered = source.objectives, min(source.covered, source.objectives)
    progress = 100 * covered // total
    return Result(
        score=Score(scaled=round(covered / total, 4), raw=covered, min=0, max=total),
        completion=covered == total,
        extensions={_PROGRESS: progress, names.extension("objectives"): newly_covered},
    )


def _context_activities(
    names: Names, source: LearningEvent, activity: Activity
) -> ContextActivities:
    course = Activity(
        id=names.course(source.course_id), definition=ActivityDefinition(type=_COURSE)
    )
    experience = _experience(names, source)
    if activity == experience:
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
