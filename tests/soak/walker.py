"""What simulated users have in common: their knowledge, requests, retries and resumed streams."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec

from tests.soak.caller import Caller, SendOptions
from tests.soak.journal import Answer, Exchange, Journal, Place, ReceivedText, Request, Violation
from tests.soak.processes import Slot

ATTEMPTS = 5
"""How often a client attempts a request with a key before it goes on."""

_REMEMBERED = 40
_RESUMPTIONS = 8


class KnownDialogue(msgspec.Struct, kw_only=True):
    """What a learner's tabs know of a dialogue.

    Attributes:
        conversation: The last that an answer named.
        turn: Conversation and id of the last turn that an answer named.
    """

    user: int
    place: Place
    conversation: int | None = None
    etag: str | None = None
    turn: tuple[int, str] | None = None

    @property
    def stream(self) -> str:
        """The dialogue's stream in the log."""
        return f"dialogue-{self.place.experience}-{self.user}"


class Walker:
    """A simulated user, who takes random steps."""

    def __init__(
        self, name: str, caller: Caller, journal: Journal, slots: list[Slot], seed: str
    ) -> None:
        self.name = name
        self.doing = "nothing"
        self._caller = caller
        self._journal = journal
        self._slots = slots
        self._rng = random.Random(f"{seed} {name}")
        self._exchanges: list[Exchange] = []
        self._number = 0

    async def walk(self, over: asyncio.Event) -> None:
        """Takes one step after another until `over` is set."""
        steps = self._steps()
        actions = [action for _, action in steps.values()]
        weights = [weight for weight, _ in steps.values()]
        while not over.is_set():
            (action,) = self._rng.choices(actions, weights)
            self.doing = action.__name__.strip("_")
            self._journal.actions[self.doing] += 1
            await action()
            await self._pause(0.05)
        self.doing = "nothing"

    async def settle(self) -> None:
        """Retries every request with a key until it has an outcome."""
        self.doing = "settle"
        for exchange in self._exchanges:
            await self._complete(exchange)

    def _steps(self) -> dict[str, tuple[int, Callable[[], Awaitable[None]]]]:
        raise NotImplementedError

    def _slot(self) -> Slot:
        """A service, usually one that is up, as behind a load balancer."""
        up = [slot for slot in self._slots if slot.up]
        return self._rng.choice(up if up and self._rng.random() < 0.9 else self._slots)

    async def _pause(self, longest: float) -> None:
        await asyncio.sleep(self._rng.uniform(0.0, longest))

    def _maybe_key(self, share: float = 0.65) -> str | None:
        if self._rng.random() >= share:
            return None
        return f"key-{self.name}-{UUID(int=self._rng.getrandbits(128))}"

    def _ask(self, request: Request) -> Exchange:
        exchange = self._journal.begin(request)
        if request.key is not None:
            self._exchanges = [*self._exchanges[-_REMEMBERED:], exchange]
        return exchange

    async def _repeat(self) -> None:
        """Retries an earlier request with a key, with or without an outcome."""
        if self._exchanges:
            await self._send(self._rng.choice(self._exchanges))

    async def _send_twice(self, exchange: Exchange) -> None:
        """Sends the same request to both services at the same time."""
        answers = await asyncio.gather(
            *(
                self._caller.send(exchange.request, slot, self._options(exchange))
                for slot in self._slots
            )
        )
        for answer in answers:
            self._take(exchange, answer)

    async def _complete(self, exchange: Exchange) -> Answer:
        """Makes a request as a client does: with a key, it is retried until its outcome."""
        for _ in range(ATTEMPTS if exchange.request.key else 1):
            answer = await self._send(exchange)
            if exchange.over:
                break
            await self._pause(0.4)
        return answer

    async def _send(self, exchange: Exchange) -> Answer:
        answer = await self._caller.send(exchange.request, self._slot(), self._options(exchange))
        self._take(exchange, answer)
        if answer.accepted and answer.lost:
            answer = await self._resume(exchange, answer)
        return answer

    def _take(self, exchange: Exchange, answer: Answer) -> None:
        exchange.add(answer)
        if answer.accepted:
            self._hear(answer.accepted["turn_id"], [answer])

    def _options(self, exchange: Exchange) -> SendOptions:
        if exchange.request.kind not in ("open", "say", "retry"):
            return SendOptions(leave_after=self._leaving(0.05))
        if self._rng.random() < 0.5:
            return SendOptions(leave_after=self._leaving(0.15))
        cut_after = self._rng.randint(1, 8) if self._rng.random() < 0.3 else None
        return SendOptions(streamed=True, leave_after=self._leaving(0.1), cut_after=cut_after)

    def _leaving(self, share: float) -> float | None:
        return self._rng.uniform(0.001, 0.6) if self._rng.random() < share else None

    async def _resume(self, exchange: Exchange, answer: Answer) -> Answer:
        """Resumes a lost stream at any service, until its end."""
        assert answer.accepted is not None
        request, turn = exchange.request, answer.accepted
        parts = [answer]
        for _ in range(_RESUMPTIONS):
            await self._pause(0.3)
            further = await self._caller.resume(
                request.user, request.place, turn, parts[-1].last_id, self._slot()
            )
            if further.status == 404:
                raise Violation("a turn that was accepted can be resumed", f"{turn} {further}")
            if further.first_id == 0 or further.last_id > further.first_id:
                parts.append(further)
            if further.status != 204:
                exchange.add(further)
            if not further.lost and further.code != "database_unavailable":
                break
        self._hear(turn["turn_id"], parts)
        return parts[-1]

    def _hear(self, turn_id: str, parts: list[Answer]) -> None:
        number = max(part.number for part in parts)
        text = "".join(piece for part in parts if part.number == number for piece in part.pieces)
        whole = len(parts) == 1 and parts[0].status == 200 and parts[0].first_id == 0
        self._journal.received.append(
            ReceivedText(turn_id=turn_id, text=text, whole=whole, number=number)
        )


def cancel_request(dialogue: KnownDialogue, user: int, key: str | None) -> Request:
    """A request that stops the last known turn of a dialogue."""
    assert dialogue.turn is not None
    conversation, turn = dialogue.turn
    return Request(
        kind="cancel",
        user=user,
        place=dialogue.place,
        path=f"{dialogue.place.path}/{conversation}/turns/{turn}/cancel",
        key=key,
        conversation=conversation,
        turn=turn,
    )


def delete_request(dialogue: KnownDialogue, user: int) -> Request:
    """A request that completes the known conversation."""
    return Request(
        kind="delete",
        method="DELETE",
        user=user,
        place=dialogue.place,
        path=f"{dialogue.place.path}/{dialogue.conversation}",
        conversation=dialogue.conversation,
    )
