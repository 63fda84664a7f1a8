"""A turn under way: what its subscribers read and wait for."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, TypeVar

import msgspec

from eventstore.envelope import Metadata
from eventstore.guards import Guard
from service.dialogue.repository import DialogueKey
from service.dialogue.state import Dialogue
from service.errors import NotFound

_MAX_RETAINED = 1_000

T = TypeVar("T")

Outcome = Dialogue | Exception
"""The dialogue right after the turn, or why there is none."""


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """A request to end a turn now; `metadata` names the caller, None for the service itself.

    `guard` is what must still be so when it is recorded.
    """

    reason: Literal["requested", "conversation_completed", "service_stopping"]
    metadata: Metadata | None = None
    guard: Guard | None = None


def without_key(stop: Stop | None) -> Stop | None:
    """The same stop without its idempotency key."""
    if stop is None or stop.metadata is None:
        return stop
    metadata = msgspec.structs.replace(stop.metadata, idempotency_key=None)
    return msgspec.structs.replace(stop, metadata=metadata)


class LiveTurn:
    """One turn. Each subscriber reads `pieces` at its own offset and waits for no other.

    Args:
        turn_id: A UUID.
        conversation_id: Of the conversation, in an opening of the one to come.
        message_id: Of the message that was asked with; None where the log does not have it.
        own: It runs in this process; else it is only watched through the log, and `pieces` stay
            empty.
        key: Of the dialogue, by which it is forgotten.

    `pieces` are what the model has said, as it came; `outcome` is None until the end. `number`
    counts how often the model was asked anew, by another process.
    """

    def __init__(
        self,
        turn_id: str,
        conversation_id: int,
        message_id: str | None,
        *,
        own: bool,
        key: DialogueKey | None = None,
    ) -> None:
        self.turn_id = turn_id
        self.conversation_id = conversation_id
        self.message_id = message_id
        self.own = own
        self.key = key
        self.number = 0
        self.pieces: list[str] = []
        self.outcome: Outcome | None = None
        self.stop: Stop | None = None
        self._asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._cancel_reply: Callable[[], object] | None = None
        self._changed = asyncio.Event()

    @property
    def text(self) -> str:
        """The text of the reply so far."""
        return "".join(self.pieces)

    def accept(self, message_id: str | None) -> None:
        """The question is on disk, with the message of this id."""
        self.message_id = message_id
        self._asked.set_result(None)

    def refuse(self, error: Exception) -> None:
        """The question was refused, or its append failed."""
        self.end(error)
        self._asked.set_exception(error)
        self._asked.exception()  # the caller may be gone: then nobody retrieves it

    async def accepted(self) -> None:
        """Waits until the question is on disk; raises the error if it is not."""
        await asyncio.shield(self._asked)

    def add(self, piece: str) -> None:
        """Adds a piece of the reply."""
        self.pieces.append(piece)
        self._notify()

    def restart(self, number: int, *, own: bool) -> None:
        """The model is asked anew, here or elsewhere; what it has said so far counts no more."""
        self.number = number
        self.own = own
        self.pieces = []
        self.stop = None
        self._notify()

    def end(self, outcome: Outcome, number: int = 0) -> None:
        """Ends the turn; of several ends the first counts.

        Args:
            number: How often it was taken over, where the turn runs elsewhere.
        """
        if self.outcome is None:
            self.number = max(self.number, number)
            self.outcome = outcome
            self._notify()

    def clear_text(self) -> None:
        """Drops the text of the reply."""
        self.pieces.clear()
        if self.outcome is not None:
            self.outcome = NotFound()

    async def dialogue(self) -> Dialogue:
        """Waits for the end; returns the dialogue right after it.

        Raises:
            ServiceError: The model gave no answer, or the turn was stopped.
            EventStoreError: The end could not be recorded.
        """
        while self.outcome is None:
            await self._changed.wait()
        if isinstance(self.outcome, Exception):
            raise self.outcome.with_traceback(None)
        return self.outcome

    async def news(self, number: int, seen: int, seconds: float) -> bool:
        """Waits for more than `seen` pieces of a `number`, for another number, or for the end.

        Returns:
            False after so many seconds.
        """
        while self.number == number and len(self.pieces) <= seen and self.outcome is None:
            changed = self._changed
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await changed.wait()
            if not changed.is_set():
                return False
        return True

    async def until_stopped(self, reply_task: "asyncio.Future[T]") -> "T | None":
        """Waits for the reply; returns None if the turn was stopped first."""
        self._cancel_reply = reply_task.cancel
        if self.stop:
            reply_task.cancel()
        await asyncio.wait((reply_task,))
        self._cancel_reply = None
        if self.stop and reply_task.cancelled():
            return None
        return reply_task.result()

    def halt(self, stop: Stop) -> None:
        """Cancels the call of the model; of several stops the first counts."""
        if self.stop is None:
            self.stop = stop
            if self._cancel_reply:
                self._cancel_reply()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class LiveTurnRegistry:
    """The turns of this process and those watched here, by id.

    A turn that is over stays for a while, so that a client that lost its connection can resume its
    stream.

    Args:
        retained: Seconds that a turn stays.
        most: How many such turns are kept at most.
    """

    def __init__(self, retained: float, most: int = _MAX_RETAINED) -> None:
        self._retained = retained
        self._most = most
        self._turns: dict[str, LiveTurn] = {}
        self._over: deque[tuple[float, LiveTurn]] = deque()

    def get(self, turn_id: str) -> LiveTurn | None:
        """The turn, or None if it is not known here."""
        return self._turns.get(turn_id)

    def all(self) -> list[LiveTurn]:
        """All turns."""
        return list(self._turns.values())

    def add(self, live: LiveTurn) -> None:
        """Adds a turn."""
        self._turns[live.turn_id] = live

    def discard(self, live: LiveTurn) -> None:
        """Removes a turn."""
        if self._turns.get(live.turn_id) is live:
            del self._turns[live.turn_id]

    def evict_learner(self, account_id: int, user_id: int) -> None:
        """Removes a learner's turns and their texts, also for subscribers."""
        for live in [t for _, t in self._over] + self.all():
            if live.key and (live.key.account_id, live.key.user_id) == (account_id, user_id):
                live.clear_text()
                self.discard(live)

    def retire(self, live: LiveTurn) -> None:
        """Keeps a turn that is over for a while."""
        loop = asyncio.get_running_loop()
        if not self._over:
            loop.call_later(self._retained, self._forget)
        self._over.append((loop.time() + self._retained, live))
        if len(self._over) > self._most:
            self.discard(self._over.popleft()[1])

    def _forget(self) -> None:
        loop = asyncio.get_running_loop()
        while self._over and self._over[0][0] <= loop.time():
            self.discard(self._over.popleft()[1])
        if self._over:
            loop.call_at(self._over[0][0], self._forget)
