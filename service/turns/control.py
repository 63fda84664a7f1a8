"""Operations on turns of any process: attaching to one, waiting for its end, stopping it."""

import asyncio
from contextlib import suppress

import msgspec

from eventstore.dialogue_events import OpeningFailed, ReplyCancelled
from eventstore.envelope import Metadata, RecordedEvent
from eventstore.guards import Guard
from eventstore.notifier import Notifier
from service.dialogue.commands import CancelTurn, CompleteConversation
from service.dialogue.repository import DialogueKey, DialogueRepository
from service.dialogue.state import Dialogue
from service.errors import AlreadyAsked, Busy, KeyReused, Stopping, TurnInProgress, TurnIsOver
from service.turns.live import LiveTurn, LiveTurnRegistry, Stop
from service.turns.outcome import TurnOutcome, asked_message_id, find_end, turn_of

STOP = "stop"
"""The topic under which processes tell each other to stop a turn."""

_TRIES = 20


class StopMessage(msgspec.Struct, frozen=True):
    """Tells the process that owns a turn to stop it."""

    turn_id: str
    stop: Stop


class TurnControl:
    """Attaches to turns and stops them, also those that other processes own.

    Args:
        dialogues: Tells from the log how turns ended.
        notifier: Carries stops from process to process.
        live: The turns that run in this process, and those that are watched here.
        timeout: Seconds that the owner of a turn has to stop it, before others end it in its place.
    """

    def __init__(
        self,
        dialogues: DialogueRepository,
        notifier: Notifier,
        live: LiveTurnRegistry,
        timeout: float,
    ) -> None:
        self._dialogues = dialogues
        self._notifier = notifier
        self._live = live
        self._timeout = timeout
        self._watching: set[asyncio.Task[None]] = set()
        self._closed = False

    async def attach(self, asked: RecordedEvent) -> LiveTurn:
        """The turn that an event began, under way or over, in this process or in another.

        Args:
            asked: The event that began the turn.

        Raises:
            Stopping: The turn is under way, and this process stops.
        """
        turn = turn_of(asked)
        if (live := self._live.get(turn.turn_id)) and await self._may_show(live, asked):
            return live
        live = self.live_turn(asked)
        if end := await find_end(self._dialogues, asked):
            live.end(end.outcome, end.takeovers)
            return live
        if known := self._live.get(turn.turn_id):
            return known
        if self._closed:
            raise Stopping
        self._live.add(live)
        self.follow(live, asked)
        return live

    def live_turn(self, asked: RecordedEvent) -> LiveTurn:
        """A turn as subscribers read it, which does not run here yet."""
        turn = turn_of(asked)
        message_id = asked_message_id(turn)
        return LiveTurn(turn.turn_id, turn.conversation_id, message_id, own=False, key=_key(asked))

    def follow(self, live: LiveTurn, asked: RecordedEvent) -> None:
        """Ends a turn that runs elsewhere, for its subscribers here, when it has ended there."""
        task = asyncio.create_task(self._watch(live, asked))
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

    async def cancel(self, asked: RecordedEvent, stop: Stop) -> Dialogue:
        """Stops a turn in whichever process it runs; returns the dialogue right after its end.

        For a turn that was stopped before, the answer is the same again.

        Args:
            asked: The event that began the turn.

        Raises:
            KeyReused: The stop's idempotency key came with another request before.
            TurnIsOver: The turn had ended before it could be stopped.
        """
        await self._check_repeat(asked, stop)
        end = await find_end(self._dialogues, asked) or await self._stop(asked, stop)
        if not end.cancelled:
            raise TurnIsOver
        return await self._dialogues.at(_key(asked), end.event.revision)

    async def complete(
        self,
        key: DialogueKey,
        conversation_id: int,
        metadata: Metadata,
        guard: Guard | None,
    ) -> None:
        """Completes the active conversation, after stopping a reply that is under way in it.

        Raises:
            NotFound: The conversation is not the active one.
            Busy: New turns begin faster than they can be stopped.
        """
        stop = Stop(reason="conversation_completed", metadata=metadata, guard=guard)
        for _ in range(_TRIES):
            try:
                command = CompleteConversation(conversation_id=conversation_id)
                await self._dialogues.execute(key, command, metadata, guard=guard)
            except TurnInProgress as busy:
                turn = await self._dialogues.read_turn(
                    key.account_id, conversation_id, busy.turn_id
                )
                with suppress(TurnIsOver):
                    await self.cancel(turn[0], stop)
            else:
                return
        raise Busy

    def on_stop_message(self, message: str) -> None:
        """Handles a stop message of another process."""
        heard = msgspec.json.decode(message, type=StopMessage)
        live = self._live.get(heard.turn_id)
        if live and live.own:
            live.halt(heard.stop)

    async def close(self) -> None:
        """Ends all waiting with `Stopping`."""
        self._closed = True
        for task in self._watching:
            task.cancel()
        for live in self._live.all():
            live.end(Stopping())

    async def _may_show(self, live: LiveTurn, asked: RecordedEvent) -> bool:
        """False for a turn that is over and whose texts were erased since."""
        if live.outcome is None:
            return True
        turn = turn_of(asked)
        events = await self._dialogues.read_turn(
            asked.account_id, turn.conversation_id, turn.turn_id, since=asked.position
        )
        if any(event.erased for event in events):
            live.clear_text()
            self._live.discard(live)
            return False
        return True

    async def _check_repeat(self, asked: RecordedEvent, stop: Stop) -> None:
        assert stop.metadata is not None
        try:
            await self._dialogues.raise_if_duplicate(asked.account_id, stop.metadata)
        except AlreadyAsked as repeat:
            event = repeat.asked.event
            same = isinstance(event, ReplyCancelled | OpeningFailed) and (
                event.turn_id == turn_of(asked).turn_id
            )
            if not same:
                raise KeyReused from None

    async def _watch(self, live: LiveTurn, asked: RecordedEvent) -> None:
        """Waits for the end in the log; the sweeper ensures that there is one."""
        try:
            end = await self._end_in_log(asked)
            live.end(end.outcome, end.takeovers)
        finally:
            if not live.own:  # it was not taken over by this process
                self._live.discard(live)

    async def _end_in_log(self, asked: RecordedEvent) -> TurnOutcome:
        return await self._notifier.until(
            asked.account_id, lambda: find_end(self._dialogues, asked)
        )

    async def _stop(self, asked: RecordedEvent, stop: Stop) -> TurnOutcome:
        """Asks the owner to stop the turn; ends the turn in its place if it does not in time."""
        turn = turn_of(asked)
        message = msgspec.json.encode(StopMessage(turn.turn_id, stop)).decode()
        self.on_stop_message(message)
        self._notifier.send(STOP, message)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout):
                return await self._end_in_log(asked)
        assert stop.metadata is not None
        assert stop.reason != "service_stopping"
        command = CancelTurn(turn_id=turn.turn_id, reason=stop.reason)
        with suppress(TurnIsOver):
            try:
                await self._dialogues.execute(_key(asked), command, stop.metadata, guard=stop.guard)
            except AlreadyAsked:  # by the owner, which shows now, or with something else meanwhile
                metadata = msgspec.structs.replace(stop.metadata, idempotency_key=None)
                await self._dialogues.execute(_key(asked), command, metadata, guard=stop.guard)
        return await self._end_in_log(asked)


def _key(asked: RecordedEvent) -> DialogueKey:
    return DialogueKey.of_stream(asked.account_id, asked.stream)
