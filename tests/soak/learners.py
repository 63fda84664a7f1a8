"""Learners, each with a few tabs that take seeded random walks of their own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from tests.soak.calling import PLAIN, Caller, Manner
from tests.soak.journal import Answer, Journal, Request, Violation
from tests.soak.processes import Slot
from tests.soak.walking import Corner, Walker, cancelling, deleting


class Tab(Walker):
    """A learner's browser tab. The other one may be doing something else at the same place."""

    def __init__(
        self,
        name: str,
        caller: Caller,
        journal: Journal,
        slots: list[Slot],
        seed: str,
        corners: list[Corner],
    ) -> None:
        super().__init__(name, caller, journal, slots, seed)
        self._corners = corners

    def _steps(self) -> dict[str, tuple[int, Callable[[], Awaitable[None]]]]:
        return {
            "open": (8, self._open),
            "say": (40, self._say),
            "look": (24, self._look),
            "say twice at once": (8, self._say_twice_at_once),
            "open twice at once": (3, self._open_twice_at_once),
            "say and cancel": (9, self._say_and_cancel),
            "cancel": (5, self._cancel),
            "delete": (4, self._delete),
            "repeat": (10, self._repeat),
            "reuse a key": (2, self._reuse_a_key),
        }

    async def talk_on(self) -> None:
        """Opens a conversation at each place, says something, hears the reply, and reads it.

        Raises:
            Violation: A conversation is stuck.
        """
        self.doing = "talk on"
        for corner in self._corners:
            await self._talk_at(corner)

    async def _talk_at(self, corner: Corner) -> None:
        opened = await self._until_done(lambda: self._opening(corner))
        self._note(corner, opened)
        said = await self._until_done(lambda: self._saying(corner), Manner(streamed=True))
        for slot in self._slots:
            shown = await self._caller.look(corner.user, corner.place.path, corner.stream, slot)
            if shown.body != said.body:
                raise Violation("what was acknowledged is shown", f"{said}\n{shown}")

    async def _until_done(self, make: Callable[[], Request], manner: Manner = PLAIN) -> Answer:
        """Waits also for circuits that are still open after the bad weather."""
        async with asyncio.timeout(150):
            while True:
                asked = self._ask(make())
                answer = await self._caller.send(asked.request, self._slot(), manner)
                self._take(asked, answer)
                if answer.status in (200, 201):
                    return answer
                if answer.code not in (
                    "model_unavailable",
                    "model_rate_limited",
                    "model_overloaded",
                ):
                    raise Violation("no conversation is stuck", f"{asked.request}\n{answer}")
                await asyncio.sleep(0.5)

    async def _open(self) -> None:
        corner = self._corner()
        self._note(corner, await self._pursue(self._ask(self._opening(corner))))

    async def _open_twice_at_once(self) -> None:
        asked = self._ask(self._opening(self._corner(), key=self._maybe_key(1.0)))
        await self._twins(asked)
        if not asked.over:
            await self._pursue(asked)

    async def _say(self) -> None:
        corner = await self._talkative_corner()
        if corner is not None:
            matching = self._rng.random() < 0.15
            request = self._saying(corner, if_match=corner.etag if matching else None)
            self._note(corner, await self._pursue(self._ask(request)))

    async def _say_twice_at_once(self) -> None:
        corner = await self._talkative_corner()
        if corner is not None:
            asked = self._ask(self._saying(corner, key=self._maybe_key(1.0)))
            await self._twins(asked)
            if not asked.over:
                await self._pursue(asked)

    async def _say_and_cancel(self) -> None:
        corner = await self._talkative_corner()
        if corner is None:
            return
        asked = self._ask(self._saying(corner))
        begun = asyncio.Event()

        def accepted(turn: dict[str, Any]) -> None:
            corner.turn = (turn["conversation_id"], turn["turn_id"])
            begun.set()

        manner = Manner(streamed=True)
        saying = asyncio.create_task(
            self._caller.send(asked.request, self._slot(), manner, accepted)
        )
        waiting = asyncio.create_task(begun.wait())
        await asyncio.wait((saying, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if begun.is_set():
            await self._pause(0.5)
            await self._cancel_at(corner)
        self._take(asked, await saying)

    async def _cancel(self) -> None:
        await self._cancel_at(self._corner())

    async def _cancel_at(self, corner: Corner) -> None:
        if corner.turn is None:
            return
        asked = self._ask(cancelling(corner, corner.user, self._maybe_key()))
        if asked.request.key and self._rng.random() < 0.2:
            await self._twins(asked)
        else:
            await self._pursue(asked)

    async def _delete(self) -> None:
        corner = self._corner()
        if corner.conversation is not None:
            asked = self._ask(deleting(corner, corner.user))
            await self._pursue(asked)

    async def _look(self) -> None:
        await self._look_at(self._corner())

    async def _look_at(self, corner: Corner) -> None:
        known = corner.etag if self._rng.random() < 0.3 else None
        path, stream = corner.place.path, corner.stream
        answer = await self._caller.look(corner.user, path, stream, self._slot(), known)
        self._note(corner, answer)

    async def _reuse_a_key(self) -> None:
        """The key of a message that has an outcome, with other words: never taken."""
        used = [a for a in self._asked if a.request.kind == "say" and a.outcome]
        if used:
            first = self._rng.choice(used).request
            other = msgspec.structs.replace(first, text=self._words(), forbidden=True)
            asked = self._journal.begin(other)
            asked.take(await self._caller.send(other, self._slot(), PLAIN))

    def _corner(self) -> Corner:
        return self._rng.choice(self._corners)

    async def _talkative_corner(self) -> Corner | None:
        """A place where there is a conversation, for all that is known."""
        corner = self._corner()
        if corner.conversation is None:
            await self._look_at(corner)
        if corner.conversation is None:
            self._note(corner, await self._pursue(self._ask(self._opening(corner))))
        return corner if corner.conversation is not None else None

    def _opening(self, corner: Corner, key: str | None = None) -> Request:
        return Request(
            kind="open",
            user=corner.user,
            place=corner.place,
            path=corner.place.path,
            key=key or self._maybe_key(),
        )

    def _saying(
        self, corner: Corner, key: str | None = None, if_match: str | None = None
    ) -> Request:
        return Request(
            kind="say",
            user=corner.user,
            place=corner.place,
            path=f"{corner.place.path}/{corner.conversation}/messages",
            text=self._words(),
            key=key or self._maybe_key(),
            if_match=if_match,
            conversation=corner.conversation,
        )

    def _words(self) -> str:
        """A text that nobody else ever says."""
        self._number += 1
        return f"{self.name} thinks, number {self._number}."

    def _note(self, corner: Corner, answer: Answer) -> None:
        """What an answer tells of the place."""
        if answer.status in (200, 201) and not answer.lost:
            corner.conversation = answer.body.get("id")
            corner.etag = answer.etag if corner.conversation else None
        elif answer.status == 404:
            corner.conversation = corner.etag = None
        elif answer.code == "turn_in_progress" and corner.conversation:
            corner.turn = (corner.conversation, answer.body["turn_id"])
