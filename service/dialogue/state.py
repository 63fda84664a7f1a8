"""A learner's dialogue with an experience: its state, and how events change it.

A dialogue is one stream that holds all the conversations that a learner had with an
experience, one after another, at most the last of them active. `evolve` is pure and total.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Literal, assert_never

import msgspec

from eventstore.dialogue_events import (
    AssessmentFailed,
    ConversationCompleted,
    ConversationStarted,
    CoveredObjective,
    DialogueStreamEvent,
    FeedbackGiven,
    FeedbackWithdrawn,
    MessagePosted,
    MessageRetried,
    ObjectivesAssessed,
    OpeningFailed,
    OpeningRequested,
    ReplyCancelled,
    ReplyCompleted,
    ReplyFailed,
    TurnReleased,
    TurnRequest,
    TurnTakenOver,
)
from eventstore.envelope import RecordedEvent
from eventstore.event import Unreadable
from eventstore.events import AnyEvent
from eventstore.privacy_events import TextExpired
from service.dialogue.messages import (
    Message,
    Messages,
    answered,
    kept,
    message_of,
    reply_of,
    retried,
    taken_back,
)

ENDS = (ConversationStarted, OpeningFailed, ReplyCompleted, ReplyFailed, ReplyCancelled)
_ENDS = frozenset(str(kind.__struct_config__.tag) for kind in ENDS)


def ends_turn(event: AnyEvent | Unreadable) -> bool:
    """Whether an event ends a turn; of an unreadable event its type tells."""
    return event.type in _ENDS if isinstance(event, Unreadable) else isinstance(event, ENDS)


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """A user's vote on a message. `text` is None if there was none or it was erased."""

    id: str
    message_id: str
    user_id: int
    vote: Literal["liked", "disliked"]
    text: str | None
    created_at: datetime


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """An active conversation. `messages[0]` is the starting prompt, `messages[1]` the opening.

    `covered` grows only. `shown_revision` is that of the last event, other than a message, that
    changed what clients see.
    """

    id: int
    course_id: int
    experience_id: int
    experience_version: int
    user_id: int
    objectives: tuple[str, ...]
    messages: Messages
    covered: tuple[CoveredObjective, ...] = ()
    feedback: tuple[Feedback, ...] = ()
    shown_revision: int

    @property
    def revision(self) -> int:
        """Revision of the last event that changed what clients see."""
        return max(self.shown_revision, max(message.revision for message in self.messages))

    @property
    def unanswered(self) -> Message | None:
        """The learner's newest message, if it has no answer and none is under way."""
        newest = next(m for m in reversed(self.messages) if m.role == "User")
        return newest if newest.state else None

    @property
    def open_objectives(self) -> tuple[int, ...]:
        """Places, from 1, of the objectives that are not covered yet."""
        done = {covered.objective for covered in self.covered}
        return tuple(n for n in range(1, len(self.objectives) + 1) if n not in done)


MOST_TAKEOVERS = 2
"""How often a turn goes to another process: what ends them may be the question itself."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn under way.

    Attributes:
        request: The event that began it.
        asked_at: When that was recorded.
        owner: The process that asks the model; None where it has left the turn to another one.
        deadline_at: From when on the turn counts as abandoned, whoever owns it.
        takeovers: How often the turn went to another process.
    """

    request: TurnRequest
    asked_at: datetime
    owner: int | None
    deadline_at: datetime
    takeovers: int = 0

    @property
    def id(self) -> str:
        """The turn's id, a UUID."""
        return self.request.turn_id

    @property
    def kind(self) -> Literal["opening", "message"]:
        """Whether the model opens a conversation, or answers a message."""
        return "opening" if isinstance(self.request, OpeningRequested) else "message"


class Dialogue(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a dialogue at the `revision` of the last event folded in."""

    revision: int = 0
    active: Conversation | None = None
    turn: Turn | None = None


def evolve(state: Dialogue, recorded: RecordedEvent) -> Dialogue:
    """The state after one more event."""
    moved = msgspec.structs.replace(state, revision=recorded.revision)
    match recorded.event:
        case Unreadable() as event:
            over = state.turn is not None and ends_turn(event) and event.turn == state.turn.id
            return msgspec.structs.replace(moved, turn=None) if over else moved
        case event if isinstance(event, DialogueStreamEvent):
            return _evolve(moved, event, recorded)
        case _:  # no dialogue's stream holds it
            return moved


def _evolve(  # noqa: C901 - a flat dispatch
    moved: Dialogue, event: DialogueStreamEvent, recorded: RecordedEvent
) -> Dialogue:
    match event:
        case OpeningRequested() | MessagePosted() | MessageRetried():
            return _asked(moved, event, recorded)
        case ConversationStarted():
            return msgspec.structs.replace(moved, active=_started(event, recorded), turn=None)
        case ReplyCompleted():
            return _ended(moved, lambda messages: answered(messages, event, recorded))
        case OpeningFailed():
            return msgspec.structs.replace(moved, turn=None)
        case ObjectivesAssessed():
            return _with_covered(moved, event)
        case ReplyFailed() | ReplyCancelled():
            change = kept if event.kept else taken_back
            return _ended(moved, lambda messages: change(messages, event, recorded))
        case ConversationCompleted():
            return msgspec.structs.replace(moved, active=None)
        case FeedbackGiven():
            return _with_feedback(moved, event, recorded)
        case FeedbackWithdrawn():
            return _without_feedback(moved, event)
        case TurnTakenOver() | TurnReleased():
            return _with_owner(moved, event)
        case AssessmentFailed():
            return moved
        case TextExpired():
            return _without_texts(moved, event)
        case _:
            assert_never(event)


def fold(events: Iterable[RecordedEvent], state: Dialogue | None = None) -> Dialogue:
    """The dialogue after these events, from the given state or from the beginning."""
    state = state or Dialogue()
    for event in events:
        state = evolve(state, event)
    return state


def _asked(state: Dialogue, event: TurnRequest, recorded: RecordedEvent) -> Dialogue:
    turn = Turn(
        request=event,
        asked_at=recorded.recorded_at,
        owner=event.owner,
        deadline_at=event.deadline_at,
    )
    asked = msgspec.structs.replace(state, turn=turn)
    match event:
        case OpeningRequested():
            return asked
        case MessagePosted():
            message = message_of(event.message_id, event.turn_id, "User", recorded)
            return _with_messages(asked, lambda messages: (*messages, message))
        case MessageRetried():
            return _with_messages(asked, lambda messages: retried(messages, event, recorded))
        case _:
            assert_never(event)


def _with_owner(state: Dialogue, event: TurnTakenOver | TurnReleased) -> Dialogue:
    if state.turn is None or state.turn.id != event.turn_id:
        return state
    if isinstance(event, TurnReleased):
        turn = msgspec.structs.replace(state.turn, owner=None)
    else:
        turn = msgspec.structs.replace(
            state.turn,
            owner=event.owner,
            deadline_at=event.deadline_at,
            takeovers=event.number,
        )
    return msgspec.structs.replace(state, turn=turn)


def _started(event: ConversationStarted, recorded: RecordedEvent) -> Conversation:
    prompt = Message(
        id=event.starting_message_id,
        turn_id=event.turn_id,
        role="User",
        text=event.starting_prompt,
        created_at=recorded.recorded_at,
        revision=recorded.revision,
    )
    opening = reply_of(event, recorded)
    return Conversation(
        id=event.conversation_id,
        course_id=event.course_id,
        experience_id=event.experience_id,
        experience_version=event.experience_version,
        user_id=event.user_id,
        objectives=event.objectives,
        messages=(prompt, opening),
        shown_revision=recorded.revision,
    )


def _with_messages(state: Dialogue, change: Callable[[Messages], Messages]) -> Dialogue:
    if state.active is None:
        return state
    changed = msgspec.structs.replace(state.active, messages=change(state.active.messages))
    return msgspec.structs.replace(state, active=changed)


def _ended(state: Dialogue, change: Callable[[Messages], Messages]) -> Dialogue:
    return msgspec.structs.replace(_with_messages(state, change), turn=None)


def _with_covered(state: Dialogue, event: ObjectivesAssessed) -> Dialogue:
    active = state.active
    if active is None or active.id != event.conversation_id or not event.covered:
        return state
    grown = msgspec.structs.replace(
        active, covered=(*active.covered, *event.covered), shown_revision=state.revision
    )
    return msgspec.structs.replace(state, active=grown)


def _with_feedback(state: Dialogue, event: FeedbackGiven, recorded: RecordedEvent) -> Dialogue:
    active = state.active
    if active is None or active.id != event.conversation_id:
        return state
    vote = Feedback(
        id=event.feedback_id,
        message_id=event.message_id,
        user_id=event.user_id,
        vote=event.vote,
        text=recorded.content,
        created_at=recorded.recorded_at,
    )
    return _showing(state, active, (*_others(active, event), vote))


def _without_feedback(state: Dialogue, event: FeedbackWithdrawn) -> Dialogue:
    active = state.active
    if active is None or active.id != event.conversation_id:
        return state
    return _showing(state, active, _others(active, event))


def _others(active: Conversation, event: FeedbackGiven | FeedbackWithdrawn) -> tuple[Feedback, ...]:
    mine = (event.message_id, event.user_id)
    return tuple(vote for vote in active.feedback if (vote.message_id, vote.user_id) != mine)


def _showing(state: Dialogue, active: Conversation, feedback: tuple[Feedback, ...]) -> Dialogue:
    shown = msgspec.structs.replace(active, feedback=feedback, shown_revision=state.revision)
    return msgspec.structs.replace(state, active=shown)


def _without_texts(state: Dialogue, event: TextExpired) -> Dialogue:
    active = state.active
    if active is None or active.id != event.conversation_id:
        return state
    prompt, *said = active.messages
    silent = msgspec.structs.replace(
        active,
        messages=(prompt, *(msgspec.structs.replace(m, text=None) for m in said)),
        feedback=tuple(msgspec.structs.replace(vote, text=None) for vote in active.feedback),
        shown_revision=state.revision,
    )
    return msgspec.structs.replace(state, active=silent)
