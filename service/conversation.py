"""A learner's dialogue with an experience: its state, and what commands lead to.

All of this is pure. `decide` turns a command into facts or refuses it, `evolve` turns recorded
events into the state; clocks and ids come in as arguments. A dialogue is one stream that holds
all the conversations that a learner had with an experience, one after another, at most the
last of them active.
"""

from datetime import datetime
from typing import Literal, assert_never

import msgspec

from eventstore.events import (
    AnyDialogueEvent,
    ConversationCompleted,
    ConversationStarted,
    ExperienceCreated,
    MessagePosted,
    OpeningFailed,
    OpeningRequested,
    ReplyCancelled,
    ReplyCompleted,
    ReplyFailed,
)
from eventstore.records import RecordedEvent
from service.commands import (
    Command,
    CompleteConversation,
    FailTurn,
    Failure,
    OpenConversation,
    PostMessage,
    RecordOpening,
    RecordReply,
)
from service.errors import NotFound, TurnInProgress, TurnIsOver


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Something said, as the learner sees it. `text` is None where it was erased."""

    id: str
    turn_id: str
    role: Literal["User", "Assistant"]
    text: str | None
    created_at: datetime


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """An active conversation. `messages[0]` is the starting prompt, `messages[1]` the opening."""

    id: int
    course_id: int
    experience_id: int
    experience_version: int
    user_id: int
    objectives: tuple[str, ...]
    messages: tuple[Message, ...]


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn under way, and the event that asked for it."""

    request: OpeningRequested | MessagePosted

    @property
    def id(self) -> str:
        """The turn's id, a UUID."""
        return self.request.turn_id


class Dialogue(msgspec.Struct, frozen=True, kw_only=True):
    """Where a dialogue stands. `revision` is that of the last event folded in."""

    revision: int = 0
    active: Conversation | None = None
    turn: Turn | None = None


class Fact(msgspec.Struct, frozen=True):
    """An event to be recorded, with its content where it has any."""

    event: AnyDialogueEvent
    content: str | None = None


def decide(state: Dialogue, command: Command) -> list[Fact]:
    """The facts that a command leads to.

    Raises:
        TurnInProgress: Another turn of the dialogue is under way.
        TurnIsOver: The turn that the command speaks of has ended already.
        NotFound: The conversation is not the active one.
    """
    match command:
        case OpenConversation():
            _refuse_second_turn(state)
            return [Fact(OpeningRequested(**msgspec.structs.asdict(command)))]
        case PostMessage():
            return _post(state, command)
        case RecordOpening():
            return _open(state, command)
        case RecordReply():
            return _reply(state, command)
        case FailTurn():
            return _fail(_turn(state, command.turn_id), command.failure)
        case CompleteConversation():
            return _complete(state, command.conversation_id)
        case _:
            assert_never(command)


def evolve(state: Dialogue, recorded: RecordedEvent) -> Dialogue:
    """The state after one more event."""
    event = recorded.event
    moved = msgspec.structs.replace(state, revision=recorded.revision)
    match event:
        case OpeningRequested() | MessagePosted():
            return _asked(moved, event, recorded)
        case ConversationStarted():
            return msgspec.structs.replace(moved, active=_started(event, recorded), turn=None)
        case ReplyCompleted():
            reply = _message(event.message_id, event.turn_id, "Assistant", recorded)
            return msgspec.structs.replace(_with_message(moved, reply), turn=None)
        case OpeningFailed():
            return msgspec.structs.replace(moved, turn=None)
        case ReplyFailed() | ReplyCancelled():
            return msgspec.structs.replace(_without_turn(moved, event.turn_id), turn=None)
        case ConversationCompleted():
            return msgspec.structs.replace(moved, active=None)
        case ExperienceCreated():
            return moved
        case _:
            assert_never(event)


def _post(state: Dialogue, command: PostMessage) -> list[Fact]:
    active = _active(state, command.conversation_id)
    _refuse_second_turn(state)
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
    return [Fact(posted, command.text)]


def _open(state: Dialogue, command: RecordOpening) -> list[Fact]:
    asked = _turn(state, command.turn_id).request
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
    )
    return [*_superseded(state), Fact(started, command.text)]


def _superseded(state: Dialogue) -> list[Fact]:
    if state.active is None:
        return []
    return [Fact(ConversationCompleted(conversation_id=state.active.id, reason="superseded"))]


def _reply(state: Dialogue, command: RecordReply) -> list[Fact]:
    asked = _turn(state, command.turn_id).request
    if not isinstance(asked, MessagePosted):
        raise TurnIsOver
    completed = ReplyCompleted(
        conversation_id=asked.conversation_id,
        turn_id=asked.turn_id,
        message_id=command.message_id,
        reply=command.reply,
    )
    return [Fact(completed, command.text)]


def _fail(turn: Turn, failure: Failure) -> list[Fact]:
    kind = OpeningFailed if isinstance(turn.request, OpeningRequested) else ReplyFailed
    failed = kind(
        conversation_id=turn.request.conversation_id,
        turn_id=turn.id,
        code=failure.code,
        detail=failure.detail,
        model=failure.model,
        usage=failure.usage,
        provider_request_id=failure.provider_request_id,
        duration_ms=failure.duration_ms,
    )
    return [Fact(failed, failure.partial_text or None)]


def _complete(state: Dialogue, conversation_id: int) -> list[Fact]:
    active = _active(state, conversation_id)
    facts = [Fact(ConversationCompleted(conversation_id=active.id, reason="deleted"))]
    turn = state.turn
    if turn and isinstance(turn.request, MessagePosted):
        cancelled = ReplyCancelled(
            conversation_id=active.id, turn_id=turn.id, reason="conversation_completed"
        )
        facts.insert(0, Fact(cancelled))
    return facts


def _active(state: Dialogue, conversation_id: int) -> Conversation:
    if state.active is None or state.active.id != conversation_id:
        raise NotFound
    return state.active


def _turn(state: Dialogue, turn_id: str) -> Turn:
    if state.turn is None or state.turn.id != turn_id:
        raise TurnIsOver
    return state.turn


def _refuse_second_turn(state: Dialogue) -> None:
    if state.turn:
        raise TurnInProgress(state.turn.id)


def _asked(
    state: Dialogue, event: OpeningRequested | MessagePosted, recorded: RecordedEvent
) -> Dialogue:
    asked = msgspec.structs.replace(state, turn=Turn(request=event))
    if isinstance(event, OpeningRequested):
        return asked
    return _with_message(asked, _message(event.message_id, event.turn_id, "User", recorded))


def _started(event: ConversationStarted, recorded: RecordedEvent) -> Conversation:
    prompt = Message(
        id=event.starting_message_id,
        turn_id=event.turn_id,
        role="User",
        text=event.starting_prompt,
        created_at=recorded.recorded_at,
    )
    opening = _message(event.message_id, event.turn_id, "Assistant", recorded)
    return Conversation(
        id=event.conversation_id,
        course_id=event.course_id,
        experience_id=event.experience_id,
        experience_version=event.experience_version,
        user_id=event.user_id,
        objectives=event.objectives,
        messages=(prompt, opening),
    )


def _message(
    message_id: str, turn_id: str, role: Literal["User", "Assistant"], recorded: RecordedEvent
) -> Message:
    return Message(
        id=message_id,
        turn_id=turn_id,
        role=role,
        text=recorded.content,
        created_at=recorded.recorded_at,
    )


def _with_message(state: Dialogue, message: Message) -> Dialogue:
    if state.active is None:
        return state
    messages = (*state.active.messages, message)
    return msgspec.structs.replace(
        state, active=msgspec.structs.replace(state.active, messages=messages)
    )


def _without_turn(state: Dialogue, turn_id: str) -> Dialogue:
    if state.active is None:
        return state
    messages = tuple(m for m in state.active.messages if m.turn_id != turn_id)
    return msgspec.structs.replace(
        state, active=msgspec.structs.replace(state.active, messages=messages)
    )
