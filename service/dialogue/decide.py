"""The rules of a dialogue: `decide` turns a command into events, or refuses it.

All of it is pure; times and ids are part of the commands. The state, and how events change it,
is in `service.dialogue.state`.
"""

from itertools import takewhile
from typing import Any, TypeVar, assert_never

import msgspec

from eventstore.dialogue_events import (
    AnyDialogueEvent,
    AssessmentFailed,
    ConversationCompleted,
    ConversationStarted,
    LearnersTurn,
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
from eventstore.turn_events import TurnEvent, UnansweredTurn
from service.dialogue.commands import (
    Assessed,
    Assessment,
    CancelTurn,
    Command,
    CompleteConversation,
    FailTurn,
    Failure,
    OpenConversation,
    PostMessage,
    RecordAssessment,
    RecordOpening,
    RecordReply,
    ReleaseTurn,
    RetryMessage,
    TakeOverTurn,
)
from service.dialogue.messages import Message
from service.dialogue.state import MOST_TAKEOVERS, Conversation, Dialogue, Turn
from service.errors import (
    ConversationMoved,
    NotFound,
    NothingToRetry,
    TurnInProgress,
    TurnIsOver,
    TurnTaken,
)
from service.model.errors import CANCELLED


class PendingEvent(msgspec.Struct, frozen=True):
    """An event to be recorded, with its content where it has any."""

    event: AnyDialogueEvent
    content: str | None = None


def decide(state: Dialogue, command: Command) -> list[PendingEvent]:  # noqa: C901 - a flat dispatch
    """The events that a command leads to.

    Raises:
        ConversationMoved: The conversation is not at a revision that the command asks for.
        TurnInProgress: Another turn of the dialogue is under way.
        TurnIsOver: The command's turn has ended already.
        TurnTaken: Another process owns the turn now.
        NothingToRetry: The turn's message is not the newest one, or it was answered.
        NotFound: The conversation is not the active one.
    """
    match command:
        case OpenConversation():
            _refuse_second_turn(state)
            return [PendingEvent(OpeningRequested(**msgspec.structs.asdict(command)))]
        case PostMessage():
            return _post(state, command)
        case RetryMessage():
            return _retry(state, command)
        case TakeOverTurn():
            return _take_over(state, command)
        case ReleaseTurn():
            return _release(state, command)
        case RecordOpening():
            return _open(state, command)
        case RecordReply():
            return _reply(state, command)
        case FailTurn():
            return _fail(state, command)
        case CancelTurn():
            return _cancel(state, command)
        case RecordAssessment():
            return _assess_late(state, command)
        case CompleteConversation():
            return _complete(state, command.conversation_id)
        case _:
            assert_never(command)


def _post(state: Dialogue, command: PostMessage) -> list[PendingEvent]:
    active = _active(state, command.conversation_id)
    if command.if_revision is not None and active.revision not in command.if_revision:
        raise ConversationMoved
    _refuse_second_turn(state)
    newest = active.messages[-1]
    if newest is active.unanswered and newest.text == command.text:
        return [_retried(active, newest, command)]  # of a client that knows no retry
    posted = MessagePosted(
        conversation_id=active.id,
        turn_id=command.turn_id,
        message_id=command.message_id,
        course_id=active.course_id,
        experience_id=active.experience_id,
        user_id=active.user_id,
        model=command.model,
        owner=command.owner,
        deadline_at=command.deadline_at,
    )
    return [PendingEvent(posted, command.text)]


def _retry(state: Dialogue, command: RetryMessage) -> list[PendingEvent]:
    active = _active(state, command.conversation_id)
    _refuse_second_turn(state)
    message = active.unanswered
    if message is None or message.turn_id != command.retried_turn_id:
        raise NothingToRetry
    return [_retried(active, message, command)]


def _retried(
    active: Conversation, message: Message, command: PostMessage | RetryMessage
) -> PendingEvent:
    retried = MessageRetried(
        conversation_id=active.id,
        turn_id=command.turn_id,
        message_id=message.id,
        retried_turn_id=message.turn_id,
        course_id=active.course_id,
        experience_id=active.experience_id,
        user_id=active.user_id,
        model=command.model,
        owner=command.owner,
        deadline_at=command.deadline_at,
    )
    return PendingEvent(retried)


def _take_over(state: Dialogue, command: TakeOverTurn) -> list[PendingEvent]:
    turn = _turn(state, command.turn_id)
    if turn.takeovers >= MOST_TAKEOVERS:
        raise TurnTaken
    taken = TurnTakenOver(
        conversation_id=turn.request.conversation_id,
        turn_id=turn.id,
        kind=turn.kind,
        owner=command.owner,
        deadline_at=command.deadline_at,
        number=turn.takeovers + 1,
    )
    return [PendingEvent(taken)]


def _release(state: Dialogue, command: ReleaseTurn) -> list[PendingEvent]:
    turn = _turn(state, command.turn_id, command.owner)
    if turn.owner is None:
        raise TurnTaken
    released = TurnReleased(
        conversation_id=turn.request.conversation_id,
        turn_id=turn.id,
        kind=turn.kind,
        owner=turn.owner,
        **msgspec.structs.asdict(command.spent),
    )
    return [PendingEvent(released, command.partial_text or None)]


def _open(state: Dialogue, command: RecordOpening) -> list[PendingEvent]:
    turn = _turn(state, command.turn_id, command.owner)
    asked = _owned(turn).request
    if not isinstance(asked, OpeningRequested):
        raise TurnIsOver
    started = ConversationStarted(
        conversation_id=asked.conversation_id,
        turn_id=asked.turn_id,
        course_id=asked.course_id,
        experience_id=asked.experience_id,
        experience_version=asked.experience_version,
        user_id=asked.user_id,
        objectives=command.objectives,
        starting_prompt=command.starting_prompt,
        starting_message_id=command.starting_message_id,
        message_id=command.message_id,
        reply=command.reply,
        takeovers=turn.takeovers,
    )
    return [*_superseded(state), PendingEvent(started, command.text)]


def _superseded(state: Dialogue) -> list[PendingEvent]:
    if state.active is None:
        return []
    return [
        PendingEvent(ConversationCompleted(conversation_id=state.active.id, reason="superseded"))
    ]


def _reply(state: Dialogue, command: RecordReply) -> list[PendingEvent]:
    turn = _turn(state, command.turn_id, command.owner)
    asked = _owned(turn).request
    if isinstance(asked, OpeningRequested):
        raise TurnIsOver
    completed = ReplyCompleted(
        conversation_id=asked.conversation_id,
        turn_id=asked.turn_id,
        message_id=command.message_id,
        reply=command.reply,
        answers=_answered_too(state.active),
        takeovers=turn.takeovers,
    )
    return [*_assessment(state, asked, command.assessment), PendingEvent(completed, command.text)]


def _answered_too(active: Conversation | None) -> tuple[str, ...]:
    """The messages right before the newest one, which had no answer either."""
    said = () if active is None else active.messages
    before = takewhile(lambda message: message.role == "User", reversed(said[:-1]))
    return tuple(message.id for message in before if message.state)[::-1]


def _fail(state: Dialogue, command: FailTurn) -> list[PendingEvent]:
    asked = _turn(state, command.turn_id, command.owner).request
    failed = (
        unanswered(OpeningFailed, asked, command.failure)
        if isinstance(asked, OpeningRequested)
        else unanswered(ReplyFailed, asked, command.failure, kept=True)
    )
    fact = PendingEvent(failed, command.failure.partial_text or None)
    return [*_assessment(state, asked, _not_counting(command.assessment)), fact]


def _cancel(state: Dialogue, command: CancelTurn) -> list[PendingEvent]:
    asked = _turn(state, command.turn_id).request
    cancelled: OpeningFailed | ReplyCancelled
    if isinstance(asked, OpeningRequested):
        failure = Failure(code=CANCELLED, detail=command.reason, spent=command.spent)
        cancelled = unanswered(OpeningFailed, asked, failure)
    else:
        cancelled = ReplyCancelled(
            conversation_id=asked.conversation_id,
            turn_id=asked.turn_id,
            reason=command.reason,
            kept=True,
            partial_message_id=command.partial_message_id if command.partial_text.strip() else None,
            **msgspec.structs.asdict(command.spent),
        )
    fact = PendingEvent(cancelled, command.partial_text or None)
    return [*_assessment(state, asked, _not_counting(command.assessment)), fact]


def _assess_late(state: Dialogue, command: RecordAssessment) -> list[PendingEvent]:
    active = _active(state, command.conversation_id)
    if all(message.turn_id != command.turn_id for message in active.messages):
        raise NotFound
    return _assessment(state, command, command.assessment)


def _assessment(
    state: Dialogue,
    asked: TurnRequest | RecordAssessment,
    assessment: Assessment,
) -> list[PendingEvent]:
    """The event of an assessment; an objective that is covered stays covered."""
    if assessment is None:
        return []
    if isinstance(assessment, Failure):
        return [PendingEvent(unanswered(AssessmentFailed, asked, assessment))]
    still_open = state.active.open_objectives if state.active else ()
    assessed = ObjectivesAssessed(
        conversation_id=asked.conversation_id,
        turn_id=asked.turn_id,
        covered=tuple(c for c in assessment.covered if c.objective in still_open),
        judgement=assessment.judgement,
    )
    return [PendingEvent(assessed)]


def _not_counting(assessment: Assessment) -> Assessment:
    """The assessment of an unanswered message: it covers nothing, but its cost is recorded."""
    if isinstance(assessment, Assessed):
        return msgspec.structs.replace(assessment, covered=())
    return assessment


Unanswered = TypeVar("Unanswered", bound=UnansweredTurn)


def unanswered(
    kind: type[Unanswered], asked: TurnEvent | RecordAssessment, failure: Failure, **more: Any
) -> Unanswered:
    """An event of a question without an answer; `more` are fields of its kind."""
    return kind(
        conversation_id=asked.conversation_id,
        turn_id=asked.turn_id,
        code=failure.code,
        detail=failure.detail,
        retryable=failure.retryable,
        retry_after=failure.retry_after,
        **msgspec.structs.asdict(failure.spent),
        **more,
    )


def _complete(state: Dialogue, conversation_id: int) -> list[PendingEvent]:
    active = _active(state, conversation_id)
    if state.turn and isinstance(state.turn.request, LearnersTurn):
        raise TurnInProgress(state.turn.id)
    return [PendingEvent(ConversationCompleted(conversation_id=active.id, reason="deleted"))]


def _active(state: Dialogue, conversation_id: int) -> Conversation:
    if state.active is None or state.active.id != conversation_id:
        raise NotFound
    return state.active


def _turn(state: Dialogue, turn_id: str, owner: int | None = None) -> Turn:
    """The turn under way, which must have this id, and this owner if one is named."""
    if state.turn is None or state.turn.id != turn_id:
        raise TurnIsOver
    if owner is not None and owner != state.turn.owner:
        raise TurnTaken
    return state.turn


def _owned(turn: Turn) -> Turn:
    """The turn, which no owner has left to another process."""
    if turn.owner is None:
        raise TurnTaken
    return turn


def _refuse_second_turn(state: Dialogue) -> None:
    if state.turn:
        raise TurnInProgress(state.turn.id)
