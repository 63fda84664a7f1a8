"""Runs turns, from the recorded question to the recorded end.

A turn belongs to a task of this process, not to the request that began it: a client that
disconnects does not stop it. No database connection is held while the model answers.
"""

import asyncio
from collections.abc import Coroutine

import msgspec
import structlog
from uuid_utils import uuid7

from eventstore.database_errors import DATABASE_ERRORS
from eventstore.envelope import Metadata
from eventstore.errors import AppendRefused, LimitReached
from eventstore.guards import Guard
from service.dialogue.commands import (
    OpenConversation,
    PostMessage,
    Question,
    RetryMessage,
    TakeOverTurn,
)
from service.dialogue.ownership import TurnOwnership
from service.dialogue.repository import DialogueKey, DialogueRepository
from service.dialogue.state import Dialogue
from service.errors import (
    AlreadyAsked,
    Stopping,
    TooManyReplies,
    TurnCancelled,
    TurnFailed,
    TurnTaken,
)
from service.timing import Timing
from service.turns.control import TurnControl
from service.turns.live import LiveTurn, LiveTurnRegistry, Stop
from service.turns.model_reply import ModelReply, spawn
from service.turns.outcome import asked_message_id, check_repeat
from service.turns.tutor import ReplyLimits, StartedTurn, Tutor

_LAST_WORDS = 35.0
"""Seconds that recording the end of a turn may take, including a restart of the database."""

log = structlog.get_logger("colloquy.turns")


class TurnRunner:
    """The turns that this process owns.

    Args:
        dialogues: Where questions and ends are recorded.
        owners: Knows which turns this process owns.
        tutor: Calls the model.
        live: The turns that have subscribers in this process.
        control: Attaches repeated requests to the turns of the first ones.
        model: Name of the model that is asked first.
        limits: Limits of replies.
        timing: The times of its parts.
    """

    def __init__(
        self,
        dialogues: DialogueRepository,
        owners: TurnOwnership,
        tutor: Tutor,
        live: LiveTurnRegistry,
        control: TurnControl,
        model: str,
        limits: ReplyLimits,
        timing: Timing,
    ) -> None:
        self._dialogues = dialogues
        self._owners = owners
        self._reply = ModelReply(dialogues, tutor, timing)
        self._live = live
        self._control = control
        self._model = model
        self._limits = limits
        self._stopping = False
        self._owned: set[asyncio.Task[None]] = set()
        dialogues.let_take_over(self.take_over)

    async def open(
        self,
        key: DialogueKey,
        metadata: Metadata,
        guard: Guard,
        *,
        conversation_id: int,
        course_id: int,
        experience_version: int,
    ) -> LiveTurn:
        """Asks the model to open a new conversation, which replaces the active one.

        Args:
            conversation_id: Id of the new conversation.

        Raises:
            Exception: As `post`.
        """
        command = OpenConversation(
            conversation_id=conversation_id,
            turn_id=str(uuid7()),
            course_id=course_id,
            experience_id=key.experience_id,
            experience_version=experience_version,
            user_id=key.user_id,
            model=self._model,
            owner=self._owners.this,
            deadline_at=self._owners.deadline(self._limits.budget),
            starting_message_id=str(uuid7()),
        )
        return await self._begin(key, command, metadata, guard)

    async def post(
        self,
        key: DialogueKey,
        metadata: Metadata,
        guard: Guard,
        *,
        conversation_id: int,
        text: str,
        if_revision: frozenset[int] | None = None,
    ) -> LiveTurn:
        """Records a message and lets the model answer; returns when the message is on disk.

        The turn goes on if the caller disconnects. A request with the idempotency key of an earlier
        one returns that one's turn.

        Args:
            if_revision: Revisions at which the conversation may be; None for any.

        Raises:
            Stopping, TooManyReplies: Nothing was recorded.
            KeyReused: The key came with another request before.
            ServiceError: The question was refused.
            EventStoreError: The question could not be recorded.
        """
        command = PostMessage(
            conversation_id=conversation_id,
            turn_id=str(uuid7()),
            message_id=str(uuid7()),
            text=text,
            model=self._model,
            owner=self._owners.this,
            deadline_at=self._owners.deadline(self._limits.budget),
            if_revision=if_revision,
        )
        return await self._begin(key, command, metadata, guard)

    async def retry(
        self,
        key: DialogueKey,
        metadata: Metadata,
        guard: Guard,
        *,
        conversation_id: int,
        turn_id: str,
    ) -> LiveTurn:
        """Asks the model again to answer the newest message, whose turn ended without an answer.

        Args:
            turn_id: Of that turn.

        Raises:
            NothingToRetry: It was answered, or it is not the newest message.
            Exception: As `post`.
        """
        command = RetryMessage(
            conversation_id=conversation_id,
            turn_id=str(uuid7()),
            retried_turn_id=turn_id,
            model=self._model,
            owner=self._owners.this,
            deadline_at=self._owners.deadline(self._limits.budget),
        )
        return await self._begin(key, command, metadata, guard)

    async def _begin(
        self, key: DialogueKey, command: Question, metadata: Metadata, guard: Guard
    ) -> LiveTurn:
        metadata = msgspec.structs.replace(metadata, correlation_id=command.turn_id)
        try:
            return await self._begin_new(key, command, metadata, guard)
        except AlreadyAsked as repeat:
            await check_repeat(self._dialogues, repeat.asked, command)
            return await self._control.attach(repeat.asked)

    async def _begin_new(
        self, key: DialogueKey, command: Question, metadata: Metadata, guard: Guard
    ) -> LiveTurn:
        try:
            self.check_room()
        except TooManyReplies:
            await self._dialogues.raise_if_duplicate(key.account_id, metadata)
            raise
        live = LiveTurn(command.turn_id, command.conversation_id, None, own=True, key=key)
        spawn(self._owned, self._own(live, self._run(live, key, command, metadata, guard)))
        await live.accepted()
        return live

    async def take_over(self, key: DialogueKey, state: Dialogue) -> bool:
        """Asks the model in a turn that nobody owns; returns False if there is no room for it.

        Of several processes that try, one records it.
        """
        try:
            self.check_room()
        except (Stopping, TooManyReplies):
            return False
        turn = state.turn
        assert turn is not None, "there is a turn to take over"
        if turn.id in self._owners.taking:
            return False
        command = TakeOverTurn(
            turn_id=turn.id,
            owner=self._owners.this,
            deadline_at=self._owners.deadline(self._limits.budget),
        )
        self._owners.taking.add(turn.id)
        try:
            asked, *_ = await self._dialogues.read_turn(
                key.account_id, turn.request.conversation_id, turn.id
            )
            executed = await self._dialogues.record_takeover(key, state, command)
            if executed is not None:
                self._owners.running.add(turn.id)
        finally:
            self._owners.taking.discard(turn.id)
        if executed is not None:
            taken = executed.dialogue.turn
            assert taken is not None, "it was just taken over"
            log.warning("turn_taken_over", turn_id=turn.id, number=taken.takeovers)
            live = self._live.get(turn.id) or self._control.live_turn(asked)
            live.restart(taken.takeovers, own=True)
            self._live.add(live)
            started = StartedTurn(key, taken, executed.dialogue, asked)
            spawn(self._owned, self._own(live, self._finish(live, started)))
        return True

    def check_room(self) -> None:
        """Checks that another reply may begin, before anything is recorded.

        Raises:
            Stopping: The service is stopping.
            TooManyReplies: The highest number of replies is under way.
        """
        if self._stopping:
            raise Stopping
        if len(self._owned) >= self._limits.max_concurrent:
            raise TooManyReplies

    async def drain(self, grace: float) -> None:
        """Accepts no more turns, waits `grace` seconds for those under way, and ends the others.

        Each end is recorded and sent to the turn's subscribers.
        """
        self._stopping = True
        await self._all_done(grace)
        for live in self._live.all():
            live.halt(Stop(reason="service_stopping"))
        self._reply.cancel_assessments()
        await self._all_done(_LAST_WORDS)

    async def _all_done(self, grace: float) -> None:
        """Waits for all turns and for assessments that are recorded after them."""
        give_up = asyncio.get_running_loop().time() + grace
        while under_way := self._owned | self._reply.late:
            left = give_up - asyncio.get_running_loop().time()
            if left <= 0:
                return
            await asyncio.wait(under_way, timeout=left)

    async def _own(self, live: LiveTurn, work: Coroutine[object, object, None]) -> None:
        structlog.contextvars.bind_contextvars(
            turn_id=live.turn_id, conversation_id=live.conversation_id
        )
        try:
            await work
        finally:
            self._owners.running.discard(live.turn_id)

    async def _run(
        self,
        live: LiveTurn,
        key: DialogueKey,
        command: Question,
        metadata: Metadata,
        guard: Guard,
    ) -> None:
        # Before the append: a request that reads the question in the log finds the turn here.
        self._live.add(live)
        try:
            executed = await self._dialogues.execute(key, command, metadata, guard=guard)
        except Exception as error:
            self._live.discard(live)
            live.refuse(await self._why_refused(key, metadata, error))
            return
        turn = executed.dialogue.turn
        assert turn is not None, "a question begins a turn"
        started = StartedTurn(key, turn, executed.dialogue, executed.event)
        live.accept(asked_message_id(turn.request))
        await self._finish(live, started)

    async def _finish(self, live: LiveTurn, started: StartedTurn) -> None:
        outcome = await self._reply.outcome(live, started)
        if isinstance(outcome, TurnTaken):
            live.restart(live.number + 1, own=False)
            self._control.follow(live, started.asked)
            return
        live.end(outcome)
        if isinstance(outcome, Dialogue | TurnFailed | TurnCancelled):
            self._live.retire(live)
        else:  # the end is not recorded yet; later requests read it from the log
            self._live.discard(live)

    async def _why_refused(
        self, key: DialogueKey, metadata: Metadata, error: Exception
    ) -> Exception:
        """`AlreadyAsked` if a concurrent request with the same key was recorded, else `error`."""
        if isinstance(error, AppendRefused | LimitReached):
            try:
                await self._dialogues.raise_if_duplicate(key.account_id, metadata)
            except (AlreadyAsked, *DATABASE_ERRORS) as known:
                return known
        return error
