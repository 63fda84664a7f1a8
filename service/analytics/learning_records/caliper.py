"""Caliper 1.2 events, made of the log's events.

| event | Caliper event, profile | action | object | generated |
|---|---|---|---|---|
| `conversation_started` | AssignableEvent, AssignableProfile | Started | the experience |
  the Attempt |
| `message_posted` | MessageEvent, ForumProfile | Posted | the Message in its Thread | |
| `objectives_assessed` | ToolUseEvent, ToolUseProfile | Used | the service |
  objectives covered as UnitsCompleted |
| … with the last of them | AssignableEvent, AssignableProfile | Completed | the experience |
  the Attempt |
| `conversation_completed` | Event, GeneralProfile | Ended | the Attempt | |
| `feedback_given` | FeedbackEvent, FeedbackProfile | Ranked | the Message | the Rating |
| `feedback_withdrawn` | Event, GeneralProfile | Removed | the Rating | |

An event's id is `urn:uuid:` and the id of the log's event. Events without an xAPI statement have
no Caliper event either. Nor has `evaluation_recorded`, since Caliper has no action for an
evaluation without a score. There are no sessions, since a conversation is not a login.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from eventstore.dialogue_events import (
    ConversationCompleted,
    ConversationStarted,
    FeedbackGiven,
    FeedbackWithdrawn,
    MessagePosted,
    ObjectivesAssessed,
)
from service.analytics.learning_records.caliper_types import (
    AggregateMeasure,
    AggregateMeasureCollection,
    AnyObject,
    AssignableDigitalResource,
    Attempt,
    CaliperEvent,
    CourseSection,
    Envelope,
    Extensions,
    Generated,
    MessageEntity,
    Person,
    Rating,
    SoftwareApplication,
    Thread,
)
from service.analytics.learning_records.iris import Names
from service.analytics.learning_records.source_events import LearningEvent

CONTEXT = "http://purl.imsglobal.org/ctx/caliper/v1p2"

TYPES = (
    "conversation_started.v1",
    "message_posted.v1",
    "objectives_assessed.v1",
    "conversation_completed.v1",
    "feedback_given.v1",
    "feedback_withdrawn.v1",
)


class _EventParts(msgspec.Struct, frozen=True):
    """The parts of a Caliper event that depend on the type of the log's event."""

    type: str
    profile: str
    action: str
    object: AnyObject
    generated: Generated | None = None
    extensions: Extensions = {}
    actor_id: int | None = None


def envelope(names: Names, events: Sequence[bytes]) -> bytes:
    """The body of a request that sends these events."""
    return msgspec.json.encode(
        Envelope(
            sensor=names.base,
            send_time=_time(datetime.now(UTC)),
            data_version=CONTEXT,
            data=[msgspec.Raw(event) for event in events],
        )
    )


def caliper_event_of(names: Names, source: LearningEvent) -> CaliperEvent | None:
    """The Caliper event of an event of the log; None for an event that has none."""
    parts = _parts(names, source)
    if parts is None:
        return None
    return CaliperEvent(
        context=CONTEXT,
        id=f"urn:uuid:{source.event_id}",
        type=parts.type,
        profile=parts.profile,
        actor=Person(id=names.user(parts.actor_id or source.user_id)),
        action=parts.action,
        object=parts.object,
        generated=parts.generated,
        event_time=_time(source.recorded_at),
        ed_app=_service(names),
        group=CourseSection(id=names.course(source.course_id)),
        extensions={names.extension("conversation"): source.conversation_id} | parts.extensions,
    )


def _parts(names: Names, source: LearningEvent) -> _EventParts | None:
    match source.event:
        case ConversationStarted():
            return _assignable(names, source, "Started")
        case MessagePosted(message_id=message_id):
            return _EventParts(
                "MessageEvent", "ForumProfile", "Posted", _post(names, source, message_id)
            )
        case ObjectivesAssessed(covered=covered) if covered and source.objectives:
            return _progress(names, source, [entry.objective for entry in covered])
        case ConversationCompleted(reason=reason):
            why: Extensions = {names.extension("reason"): reason}
            ended = _attempt(names, source, ended=True)
            return _EventParts("Event", "GeneralProfile", "Ended", ended, None, why)
        case FeedbackGiven() | FeedbackWithdrawn() as vote:
            return _vote(names, source, vote)
        case _:
            return None


def _progress(names: Names, source: LearningEvent, newly_covered: list[int]) -> _EventParts:
    extensions: Extensions = {names.extension("objectives"): newly_covered}
    if source.covered >= source.objectives:
        done = _assignable(names, source, "Completed")
        return msgspec.structs.replace(done, extensions=extensions)
    place = f"{names.conversation(source.conversation_id)}/measures/{source.event_id}"
    measure = AggregateMeasure(
        id=f"{place}/objectives",
        metric="UnitsCompleted",
        metric_value=source.covered,
        max_metric_value=source.objectives,
    )
    measures = AggregateMeasureCollection(id=place, items=[measure])
    return _EventParts(
        "ToolUseEvent", "ToolUseProfile", "Used", _service(names), measures, extensions
    )


def _vote(
    names: Names, source: LearningEvent, vote: FeedbackGiven | FeedbackWithdrawn
) -> _EventParts:
    voted_on = _message(names, vote.conversation_id, vote.message_id)
    given = vote if isinstance(vote, FeedbackGiven) else None
    rating = Rating(
        id=names.feedback(vote.conversation_id, vote.feedback_id),
        rater=names.user(vote.user_id),
        rated=voted_on.id,
        selections=[given.vote] if given else None,
        date_created=_time(source.recorded_at) if given else None,
    )
    if given is None:
        return _EventParts("Event", "GeneralProfile", "Removed", rating, actor_id=vote.user_id)
    return _EventParts(
        "FeedbackEvent", "FeedbackProfile", "Ranked", voted_on, rating, actor_id=vote.user_id
    )


def _assignable(names: Names, source: LearningEvent, action: str) -> _EventParts:
    experience = AssignableDigitalResource(
        id=names.experience(source.course_id, source.experience_id),
        name=source.title,
        is_part_of=CourseSection(id=names.course(source.course_id)),
    )
    attempt = _attempt(names, source)
    return _EventParts("AssignableEvent", "AssignableProfile", action, experience, attempt)


def _attempt(names: Names, source: LearningEvent, *, ended: bool = False) -> Attempt:
    return Attempt(
        id=f"{names.conversation(source.conversation_id)}/attempt",
        assignee=names.user(source.user_id),
        assignable=names.experience(source.course_id, source.experience_id),
        started_at_time=_time(source.started_at),
        ended_at_time=_time(source.recorded_at) if ended else None,
    )


def _post(names: Names, source: LearningEvent, message_id: str) -> MessageEntity:
    return msgspec.structs.replace(
        _message(names, source.conversation_id, message_id),
        creators=[Person(id=names.user(source.user_id))],
        date_created=_time(source.recorded_at),
    )


def _message(names: Names, conversation_id: int, message_id: str) -> MessageEntity:
    thread = Thread(id=names.conversation(conversation_id))
    return MessageEntity(id=names.message(conversation_id, message_id), is_part_of=thread)


def _service(names: Names) -> SoftwareApplication:
    return SoftwareApplication(id=names.base, name="Colloquy")


def _time(moment: datetime) -> str:
    """A time in Caliper's format: UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
