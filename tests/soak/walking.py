"""What all who take a walk through a run have in common: what they know, ask, repeat and resume."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec

from tests.soak.calling import Caller, Manner
from tests.soak.journal import Answer, Asked, Heard, Journal, Place, Request, Violation
from tests.soak.processes import Slot

ATTEMPTS = 5
"""How often a client makes a request with a key before it leaves that for later."""

_REMEMBERED = 40
_RESUMPTIONS = 8


class Corner(msgspec.Struct, kw_only=True):
    """What a learner's tabs know of the dialogue at one place.

    Attributes:
        conversation: The last that they saw.
        turn: Conversation and id of the last turn that they heard of.
    """

    user: int
    place: Place
    conversation: int | None = None
    etag: str | None = None
    turn: tuple[int, str] | None = None

    @property
    def stream(self) -> str:
        """The log's name of the dialogue."""
        return f"dialogue-{self.place.experience}-{self.user}"


class Walker:
    """What tabs and teachers have in common: the services, a random generator, a memory."""

    def __init__(
        self, name: str, caller: Caller, journal: Journal, slots: list[Slot], seed: str
    ) -> None:
        self.name = name
        self.doing = "nothing"
        self._caller = caller
        self._journal = journal
        self._slots = slots
        self._rng = random.Random(f"{seed} {name}")
        self._asked: list[Asked] = []
        self._number = 0

    async def walk(self, over: asyncio.Event) -> None:
        """Does one thing after another until `over` is set."""
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
        """Makes every request with a key once more, until it has an outcome."""
        self.doing = "settle"
        for asked in self._asked:
            await self._pursue(asked)

    def _steps(self) -> dict[str, tuple[int, Callable[[], Awaitable[None]]]]:
        raise NotImplementedError

    def _slot(self) -> Slot:
        """Mostly one that is up, as behind a load balancer."""
        up = [slot for slot in self._slots if slot.up]
        return self._rng.choice(up if up and self._rng.random() < 0.9 else self._slots)

    async def _pause(self, longest: float) -> None:
        await asyncio.sleep(self._rng.uniform(0.0, longest))

    def _maybe_key(self, share: float = 0.65) -> str | None:
        if self._rng.random() >= share:
            return None
        return f"key-{self.name}-{UUID(int=self._rng.getrandbits(128))}"

    def _ask(self, request: Request) -> Asked:
        asked = self._journal.begin(request)
        if request.key is not None:
            self._asked = [*self._asked[-_REMEMBERED:], asked]
        return asked

    async def _repeat(self) -> None:
        """A delayed retry of something with a key, settled long ago or not."""
        if self._asked:
            await self._send(self._rng.choice(self._asked))

    async def _twins(self, asked: Asked) -> None:
        """The same request on both services at once."""
        answers = await asyncio.gather(
            *(self._caller.send(asked.request, slot, self._manner(asked)) for slot in self._slots)
        )
        for answer in answers:
            self._take(asked, answer)

    async def _pursue(self, asked: Asked) -> Answer:
        """Makes a request as a client does: with a key again, until there is an outcome."""
        for _ in range(ATTEMPTS if asked.request.key else 1):
            answer = await self._send(asked)
            if asked.over:
                break
            await self._pause(0.4)
        return answer

    async def _send(self, asked: Asked) -> Answer:
        answer = await self._caller.send(asked.request, self._slot(), self._manner(asked))
        self._take(asked, answer)
        if answer.accepted and answer.lost:
            answer = await self._resume(asked, answer)
        return answer

    def _take(self, asked: Asked, answer: Answer) -> None:
        asked.take(answer)
        if answer.accepted:
            self._hear(answer.accepted["turn_id"], [answer])

    def _manner(self, asked: Asked) -> Manner:
        if asked.request.kind not in ("open", "say"):
            return Manner(leave_after=self._leaving(0.05))
        if self._rng.random() < 0.5:
            return Manner(leave_after=self._leaving(0.15))
        cut_after = self._rng.randint(1, 8) if self._rng.random() < 0.3 else None
        return Manner(streamed=True, leave_after=self._leaving(0.1), cut_after=cut_after)

    def _leaving(self, share: float) -> float | None:
        return self._rng.uniform(0.001, 0.6) if self._rng.random() < share else None

    async def _resume(self, asked: Asked, answer: Answer) -> Answer:
        """Takes up a stream that was lost, wherever, until its end."""
        assert answer.accepted is not None
        request, turn = asked.request, answer.accepted
        parts = [answer]
        for _ in range(_RESUMPTIONS):
            await self._pause(0.3)
            further = await self._caller.resume(
                request.user, request.place, turn, parts[-1].last_id, self._slot()
            )
            if further.status == 404:
                raise Violation("a turn that was accepted can be taken up", f"{turn} {further}")
            if further.first_id == 0 or further.last_id > further.first_id:
                parts.append(further)
            if further.status != 204:
                asked.take(further)
            if not further.lost and further.code != "database_unavailable":
                break
        self._hear(turn["turn_id"], parts)
        return parts[-1]

    def _hear(self, turn_id: str, parts: list[Answer]) -> None:
        text = "".join(piece for part in parts for piece in part.pieces)
        whole = len(parts) == 1 and parts[0].status == 200 and parts[0].first_id == 0
        self._journal.heard.append(Heard(turn_id=turn_id, text=text, whole=whole))


def cancelling(corner: Corner, user: int, key: str | None) -> Request:
    """A request that stops the last turn that is known of a place."""
    assert corner.turn is not None
    conversation, turn = corner.turn
    return Request(
        kind="cancel",
        user=user,
        place=corner.place,
        path=f"{corner.place.path}/{conversation}/turns/{turn}/cancel",
        key=key,
        conversation=conversation,
        turn=turn,
    )


def deleting(corner: Corner, user: int) -> Request:
    """A request that completes the conversation of a place."""
    return Request(
        kind="delete",
        method="DELETE",
        user=user,
        place=corner.place,
        path=f"{corner.place.path}/{corner.conversation}",
        conversation=corner.conversation,
    )
