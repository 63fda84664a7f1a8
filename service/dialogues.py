"""Carries out commands on dialogues: read the stream, fold it, decide, append."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from eventstore.connections import Pool
from eventstore.errors import WrongExpectedRevision
from eventstore.events import ConversationStarted
from eventstore.log import EventLog
from eventstore.records import Actor, Metadata, NewEvent, RecordedEvent
from service.commands import Command, FailTurn, Failure, OpenConversation, PostMessage
from service.conversation import Dialogue, Fact, Turn, decide, evolve
from service.errors import Busy, ServiceError, TurnIsOver
from service.model.errors import ABANDONED
from sql.loader import query

_TRIES = 20
_REMEMBERED = 500
_SECOND_LOOK = 2.0
_STARTED = str(ConversationStarted.__struct_config__.tag)


class DialogueKey(msgspec.Struct, frozen=True):
    """Names one learner's dialogue with one experience."""

    account_id: int
    experience_id: int
    user_id: int

    @property
    def stream(self) -> str:
        """The stream that holds the dialogue."""
        return f"dialogue-{self.experience_id}-{self.user_id}"

    @classmethod
    def of_stream(cls, account_id: int, stream: str) -> "DialogueKey":
        """The key of a dialogue's stream."""
        _, experience_id, user_id = stream.split("-")
        return cls(account_id, int(experience_id), int(user_id))


class Executed(msgspec.Struct, frozen=True):
    """What a command led to: the dialogue as it is now, and the id of the last event recorded."""

    dialogue: Dialogue
    event_id: UUID


class Dialogues:
    """All dialogues.

    Args:
        log: Where they are recorded.
        pool: For looking whether a turn's owner still lives.
        owner: This process's number.
        clock: The present time.

    `running` holds the ids of the turns that this process began; whoever ends one, or gives up
    doing so, takes it out.
    """

    def __init__(
        self,
        log: EventLog,
        pool: Pool,
        owner: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._log = log
        self._pool = pool
        self._owner = owner
        self._clock = clock
        self._recent: dict[DialogueKey, Dialogue] = {}
        self.running: set[str] = set()

    async def execute(
        self,
        key: DialogueKey,
        command: Command,
        metadata: Metadata,
        known: Dialogue | None = None,
    ) -> Executed:
        """Carries out a command, again whenever somebody else was faster.

        Args:
            known: The dialogue as the caller last saw it, which saves reading it where nothing
                has happened since.

        Raises:
            ServiceError: As `decide` has it, or Busy.
            EventStoreError: The facts could not be recorded.
        """
        if isinstance(command, OpenConversation | PostMessage):
            self.running.add(command.turn_id)
        if state := known or self._remembered(key):
            # What we remember may be out of date. An append would say so; a refusal is not
            # to be trusted.
            with suppress(ServiceError, WrongExpectedRevision):
                return await self._record(key, state, decide(state, command), metadata)
        for _ in range(_TRIES):
            state = await self._read_live(key)
            facts = decide(state, command)
            with suppress(WrongExpectedRevision):
                return await self._record(key, state, facts, metadata)
        raise Busy

    async def close_abandoned(self, key: DialogueKey) -> bool:
        """Ends the dialogue's turn if nobody is left to end it; whether that was so."""
        return await self._close_abandoned(key, await self._read(key))

    async def _read(self, key: DialogueKey) -> Dialogue:
        events = await self._log.read_stream(key.account_id, key.stream, since_last=_STARTED)
        return fold(events)

    async def _read_live(self, key: DialogueKey) -> Dialogue:
        """The dialogue as the log has it, its turn closed if nobody is left to end it."""
        while True:
            state = await self._read(key)
            if not await self._close_abandoned(key, state):
                return state

    def _remembered(self, key: DialogueKey) -> Dialogue | None:
        """The dialogue as this process last saw it, if no turn was under way then."""
        state = self._recent.get(key)
        return state if state and state.turn is None else None

    def _remember(self, key: DialogueKey, state: Dialogue) -> None:
        before = self._recent.pop(key, state)
        self._recent[key] = max(before, state, key=lambda dialogue: dialogue.revision)
        if len(self._recent) > _REMEMBERED:
            del self._recent[next(iter(self._recent))]

    async def _record(
        self, key: DialogueKey, state: Dialogue, facts: list[Fact], metadata: Metadata
    ) -> Executed:
        recorded = await self._log.append(
            key.account_id,
            key.stream,
            [
                NewEvent(event=fact.event, content=fact.content, subject_id=key.user_id)
                for fact in facts
            ],
            expected=state.revision,
            metadata=metadata,
        )
        state = fold(recorded, state)
        self._remember(key, state)
        return Executed(state, recorded[-1].event_id)

    async def _close_abandoned(self, key: DialogueKey, state: Dialogue) -> bool:
        """Whether the turn was nobody's; then it is closed now, by us or by somebody else."""
        turn = state.turn
        if turn is None or not await self._is_abandoned(turn):
            return False
        command = FailTurn(turn_id=turn.id, failure=Failure(code=ABANDONED))
        system = Metadata(actor=Actor(None, "system"), correlation_id=turn.id)
        with suppress(WrongExpectedRevision, TurnIsOver):
            await self._record(key, state, decide(state, command), system)
        return True

    async def _is_abandoned(self, turn: Turn) -> bool:
        if turn.request.deadline_at <= self._clock():
            return True
        owner = turn.request.owner
        if owner == self._owner:
            return turn.id not in self.running
        if not await self._is_gone(owner):
            return False
        # A process that has just lost its connection looks the same for a moment.
        await asyncio.sleep(_SECOND_LOOK)
        return await self._is_gone(owner)

    async def _is_gone(self, owner: int) -> bool:
        return bool(await self._pool.fetchval(query("is_owner_gone"), owner))


def fold(events: list[RecordedEvent], state: Dialogue | None = None) -> Dialogue:
    """The dialogue after these events, from the given state or from the beginning."""
    state = state or Dialogue()
    for event in events:
        state = evolve(state, event)
    return state
