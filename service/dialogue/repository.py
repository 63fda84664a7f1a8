"""Executes commands on dialogues: reads the stream, folds it, decides, appends."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec

from eventstore.conflicts import retry_on_conflict
from eventstore.dialogue_events import AssessmentFailed, ConversationStarted, ObjectivesAssessed
from eventstore.envelope import Actor, Metadata, NewEvent, RecordedEvent
from eventstore.errors import WrongExpectedRevision
from eventstore.guards import Guard
from eventstore.log import EventLog
from service.dialogue.commands import (
    CancelTurn,
    Command,
    CompleteConversation,
    FailTurn,
    Failure,
    Question,
    TakeOverTurn,
)
from service.dialogue.decide import PendingEvent, decide
from service.dialogue.ownership import TurnOwnership
from service.dialogue.state import Dialogue, fold
from service.errors import AlreadyAsked, Busy, ServiceError, TurnIsOver
from service.model.errors import ABANDONED

_PREFIX = "dialogue-"
_CAPACITY = 500
"""Dialogues that are cached at most."""
JUDGED = (ObjectivesAssessed, AssessmentFailed)
_STOPS = (CancelTurn, CompleteConversation)
"""Commands of people who want no answer any more."""

_STARTED = str(ConversationStarted.__struct_config__.tag)


class DialogueKey(msgspec.Struct, frozen=True):
    """Names one learner's dialogue with one experience."""

    account_id: int
    experience_id: int
    user_id: int

    @property
    def stream(self) -> str:
        """The stream that holds the dialogue."""
        return f"{_PREFIX}{self.experience_id}-{self.user_id}"

    @classmethod
    def of_stream(cls, account_id: int, stream: str) -> "DialogueKey":
        """The key of a dialogue's stream."""
        _, experience_id, user_id = stream.split("-")
        return cls(account_id, int(experience_id), int(user_id))


class Executed(msgspec.Struct, frozen=True):
    """The result of a command: the dialogue after it, and the last event recorded."""

    dialogue: Dialogue
    event: RecordedEvent


TakeOver = Callable[[DialogueKey, Dialogue], Awaitable[bool]]
"""Takes a dialogue's abandoned turn over; returns whether it is not abandoned any more."""


class DialogueRepository:
    """All dialogues.

    Args:
        log: Where they are recorded.
        owners: Tells whether anybody is left to end a turn; `running` is kept by who owns turns.
    """

    def __init__(self, log: EventLog, owners: TurnOwnership, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._log = log
        self._owners = owners
        self._recent: dict[DialogueKey, Dialogue] = {}
        self._take_over: TakeOver | None = None

    def let_take_over(self, take_over: TakeOver) -> None:
        """Has abandoned turns taken over, where that may still be; else they are ended."""
        self._take_over = take_over

    async def execute(
        self,
        key: DialogueKey,
        command: Command,
        metadata: Metadata,
        known: Dialogue | None = None,
        guard: Guard | None = None,
    ) -> Executed:
        """Executes a command; repeats it after a conflict with another append.

        Args:
            known: The dialogue as the caller last saw it, which saves reading it where nothing
                has happened since.
            guard: What must still be so when it is recorded.

        Raises:
            AlreadyAsked: An earlier request with the same idempotency key is in the log.
            ServiceError: As `decide` has it, or Busy.
            EventStoreError: The facts could not be recorded.
        """
        if isinstance(command, Question):
            self._owners.running.add(command.turn_id)
        if state := known or self._remembered(key):
            await self.raise_if_duplicate(key.account_id, metadata)
            # What we remember may be out of date. An append would say so; a refusal is not
            # to be trusted.
            with suppress(ServiceError, WrongExpectedRevision):
                return await self._record(key, state, decide(state, command), metadata, guard)

        async def attempt() -> Executed:
            state = await self._read_live(key, stops=isinstance(command, _STOPS))
            await self.raise_if_duplicate(key.account_id, metadata)
            return await self._record(key, state, decide(state, command), metadata, guard)

        return await retry_on_conflict(attempt, Busy)

    async def raise_if_duplicate(self, account_id: int, metadata: Metadata) -> None:
        """Checks whether the request was recorded before.

        Whoever has read the stream *before* looking can rely on it: a first request that is
        recorded in between has moved the stream on, and the append will be refused.

        Raises:
            AlreadyAsked: It was.
        """
        if asked := await self._log.find_request(account_id, metadata):
            raise AlreadyAsked(asked)

    async def append_event(
        self, key: DialogueKey, event: NewEvent, metadata: Metadata, guard: Guard
    ) -> RecordedEvent:
        """Records an event that every state of the dialogue allows.

        Raises:
            AlreadyAsked: An earlier request with the same idempotency key is in the log.
            EventStoreError: It could not be recorded.
        """

        async def append() -> list[RecordedEvent]:
            return await self._log.append(
                key.account_id, key.stream, [event], expected=None, metadata=metadata, guard=guard
            )

        recorded = await self._log.append_once(key.account_id, metadata, append)
        if recorded.event_id != event.event_id:
            raise AlreadyAsked(recorded)
        return recorded

    async def record_takeover(
        self, key: DialogueKey, state: Dialogue, command: TakeOverTurn
    ) -> Executed | None:
        """Records that this process takes a turn over; None if another event came first."""
        system = Metadata(actor=Actor(None, "system"), correlation_id=command.turn_id)
        with suppress(WrongExpectedRevision):
            return await self._record(key, state, decide(state, command), system)
        return None

    async def read_turn(
        self, account_id: int, conversation_id: int, turn_id: str, *, since: int = 0
    ) -> list[RecordedEvent]:
        """The events of a turn, its question first; empty if there is no such turn.

        Args:
            since: The position of the first, where it is known.
        """
        return await self._log.read_turn(account_id, conversation_id, turn_id, since=since)

    async def at(self, key: DialogueKey, revision: int) -> Dialogue:
        """The dialogue as it was right after that revision."""
        events = await self._log.read_stream(
            key.account_id, key.stream, upto=revision, since_last=_STARTED
        )
        return fold(events)

    async def running_turn(self, key: DialogueKey) -> RecordedEvent | None:
        """The first event of the dialogue's running turn; None if no turn runs."""
        turn = (await self._read(key)).turn
        if turn is None:
            return None
        events = await self.read_turn(key.account_id, turn.request.conversation_id, turn.id)
        return events[0]

    def evict_learner(self, account_id: int, user_id: int) -> None:
        """Removes a learner's dialogues from the cache."""
        for key in [k for k in self._recent if (k.account_id, k.user_id) == (account_id, user_id)]:
            del self._recent[key]

    def closes(self, stream: str) -> bool:
        """Whether a stream is a dialogue's."""
        return stream.startswith(_PREFIX)

    async def close_abandoned(self, account_id: int, stream: str) -> bool:
        """Takes a dialogue's abandoned turn over, or ends it; returns whether it did."""
        key = DialogueKey.of_stream(account_id, stream)
        return await self._settle_abandoned(key, await self._read(key), stops=False)

    async def _read(self, key: DialogueKey) -> Dialogue:
        events = await self._log.read_stream(key.account_id, key.stream, since_last=_STARTED)
        return fold(events)

    async def _read_live(self, key: DialogueKey, *, stops: bool) -> Dialogue:
        """The dialogue from the log, with an abandoned turn taken over or ended.

        Args:
            stops: The turn is not to be taken over.
        """
        while True:
            state = await self._read(key)
            if not await self._settle_abandoned(key, state, stops=stops):
                return state

    def _remembered(self, key: DialogueKey) -> Dialogue | None:
        """The cached dialogue, if no turn was under way when it was cached."""
        state = self._recent.get(key)
        return state if state and state.turn is None else None

    def _remember(self, key: DialogueKey, state: Dialogue) -> None:
        before = self._recent.pop(key, state)
        self._recent[key] = max(before, state, key=lambda dialogue: dialogue.revision)
        if len(self._recent) > self._capacity:
            del self._recent[next(iter(self._recent))]

    async def _record(
        self,
        key: DialogueKey,
        state: Dialogue,
        facts: list[PendingEvent],
        metadata: Metadata,
        guard: Guard | None = None,
    ) -> Executed:
        recorded = await self._log.append(
            key.account_id,
            key.stream,
            [
                NewEvent(
                    event=fact.event,
                    content=fact.content,
                    subject_id=key.user_id,
                    metadata=_of_model(metadata) if isinstance(fact.event, JUDGED) else None,
                )
                for fact in facts
            ],
            expected=state.revision,
            metadata=metadata,
            guard=guard,
        )
        state = fold(recorded, state)
        self._remember(key, state)
        return Executed(state, recorded[-1])

    async def _settle_abandoned(self, key: DialogueKey, state: Dialogue, *, stops: bool) -> bool:
        """Returns whether there is another state now."""
        turn = state.turn
        if turn is None or not await self._owners.is_abandoned(
            turn.id, turn.owner, turn.deadline_at
        ):
            return False
        takes = None if stops else self._take_over
        if takes and self._owners.may_be_taken(turn.id, turn.asked_at, turn.takeovers):
            return await takes(key, state)
        command = FailTurn(turn_id=turn.id, failure=Failure(code=ABANDONED))
        system = Metadata(actor=Actor(None, "system"), correlation_id=turn.id)
        with suppress(WrongExpectedRevision, TurnIsOver):
            await self._record(key, state, decide(state, command), system)
        return True


def _of_model(metadata: Metadata) -> Metadata:
    """Metadata of an assessment beside another event: its actor is the model, and it has no key."""
    return msgspec.structs.replace(
        metadata, actor=Actor(None, "model"), token_id=None, idempotency_key=None
    )
