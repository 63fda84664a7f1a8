"""Learners, each with a few tabs that take seeded random steps."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from tests.soak.caller import PLAIN, Caller, SendOptions
from tests.soak.journal import Answer, Journal, Request, Violation
from tests.soak.processes import Slot
from tests.soak.walker import KnownDialogue, Walker, cancel_request, delete_request


class Tab(Walker):
    """A learner's browser tab; another tab may use the same dialogue."""

    def __init__(
        self,
        name: str,
        caller: Caller,
        journal: Journal,
        slots: list[Slot],
        seed: str,
        dialogues: list[KnownDialogue],
    ) -> None:
        super().__init__(name, caller, journal, slots, seed)
        self._corners = dialogues

    def _steps(self) -> dict[str, tuple[int, Callable[[], Awaitable[None]]]]:
        return {
            "open": (8, self._open),
            "say": (40, self._say),
            "look": (24, self._look),
            "say twice at once": (8, self._say_twice_at_once),
            "open twice at once": (3, self._open_twice_at_once),
            "say and cancel": (9, self._say_and_cancel),
            "retry": (8, self._retry),
            "cancel": (5, self._cancel),
            "delete": (4, self._delete),
            "repeat": (10, self._repeat),
            "reuse a key": (2, self._reuse_a_key),
        }

    async def talk_on(self) -> None:
        """Opens a conversation of each dialogue, posts a message, and reads the reply.

        Raises:
            Violation: A conversation is stuck.
        """
        self.doing = "talk on"
        for dialogue in self._corners:
            await self._talk_at(dialogue)

    async def _talk_at(self, dialogue: KnownDialogue) -> None:
        opened = await self._until_done(lambda: self._open_request(dialogue))
        self._update(dialogue, opened)
        said = await self._until_done(
            lambda: self._message_request(dialogue), SendOptions(streamed=True)
        )
        for slot in self._slots:
            read = await self._caller.look(
                dialogue.user, dialogue.place.path, dialogue.stream, slot
            )
            if read.body != said.body:
                raise Violation("an acknowledged message is shown", f"{said}\n{read}")

    async def _until_done(
        self, make: Callable[[], Request], options: SendOptions = PLAIN
    ) -> Answer:
        """Retries while circuits are still open after the provider's errors."""
        async with asyncio.timeout(150):
            while True:
                exchange = self._ask(make())
                answer = await self._caller.send(exchange.request, self._slot(), options)
                self._take(exchange, answer)
                if answer.status in (200, 201):
                    return answer
                if answer.code not in (
                    "model_unavailable",
                    "model_rate_limited",
                    "model_overloaded",
                ):
                    raise Violation("no conversation is stuck", f"{exchange.request}\n{answer}")
                await asyncio.sleep(0.5)

    async def _open(self) -> None:
        dialogue = self._dialogue()
        self._update(dialogue, await self._complete(self._ask(self._open_request(dialogue))))

    async def _open_twice_at_once(self) -> None:
        exchange = self._ask(self._open_request(self._dialogue(), key=self._maybe_key(1.0)))
        await self._send_twice(exchange)
        if not exchange.over:
            await self._complete(exchange)

    async def _say(self) -> None:
        dialogue = await self._talkative_dialogue()
        if dialogue is not None:
            matching = self._rng.random() < 0.15
            request = self._message_request(dialogue, if_match=dialogue.etag if matching else None)
            self._update(dialogue, await self._complete(self._ask(request)))

    async def _say_twice_at_once(self) -> None:
        dialogue = await self._talkative_dialogue()
        if dialogue is not None:
            exchange = self._ask(self._message_request(dialogue, key=self._maybe_key(1.0)))
            await self._send_twice(exchange)
            if not exchange.over:
                await self._complete(exchange)

    async def _say_and_cancel(self) -> None:
        dialogue = await self._talkative_dialogue()
        if dialogue is None:
            return
        exchange = self._ask(self._message_request(dialogue))
        begun = asyncio.Event()

        def accepted(turn: dict[str, Any]) -> None:
            dialogue.turn = (turn["conversation_id"], turn["turn_id"])
            begun.set()

        options = SendOptions(streamed=True)
        saying = asyncio.create_task(
            self._caller.send(exchange.request, self._slot(), options, accepted)
        )
        waiting = asyncio.create_task(begun.wait())
        await asyncio.wait((saying, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if begun.is_set():
            await self._pause(0.5)
            await self._cancel_at(dialogue)
        self._take(exchange, await saying)

    async def _retry(self) -> None:
        """Asks again for the reply to a message without one, by the turn that an error named."""
        unanswered = [
            (exchange.request, exchange.outcome.body["turn_id"])
            for exchange in self._exchanges
            if exchange.outcome and "message_id" in exchange.outcome.body
        ]
        if unanswered:
            said, turn = self._rng.choice(unanswered[-3:])
            request = Request(
                kind="retry",
                user=said.user,
                place=said.place,
                path=f"{said.place.path}/{said.conversation}/turns/{turn}/retry",
                key=self._maybe_key(),
                conversation=said.conversation,
            )
            await self._complete(self._ask(request))

    async def _cancel(self) -> None:
        await self._cancel_at(self._dialogue())

    async def _cancel_at(self, dialogue: KnownDialogue) -> None:
        if dialogue.turn is None:
            return
        exchange = self._ask(cancel_request(dialogue, dialogue.user, self._maybe_key()))
        if exchange.request.key and self._rng.random() < 0.2:
            await self._send_twice(exchange)
        else:
            await self._complete(exchange)

    async def _delete(self) -> None:
        dialogue = self._dialogue()
        if dialogue.conversation is not None:
            exchange = self._ask(delete_request(dialogue, dialogue.user))
            await self._complete(exchange)

    async def _look(self) -> None:
        await self._look_at(self._dialogue())

    async def _look_at(self, dialogue: KnownDialogue) -> None:
        known = dialogue.etag if self._rng.random() < 0.3 else None
        path, stream = dialogue.place.path, dialogue.stream
        answer = await self._caller.look(dialogue.user, path, stream, self._slot(), known)
        self._update(dialogue, answer)

    async def _reuse_a_key(self) -> None:
        """Sends another text with the key of a message that has an outcome: it is refused."""
        used = [e for e in self._exchanges if e.request.kind == "say" and e.outcome]
        if used:
            first = self._rng.choice(used).request
            other = msgspec.structs.replace(first, text=self._words(), forbidden=True)
            exchange = self._journal.begin(other)
            exchange.add(await self._caller.send(other, self._slot(), PLAIN))

    def _dialogue(self) -> KnownDialogue:
        return self._rng.choice(self._corners)

    async def _talkative_dialogue(self) -> KnownDialogue | None:
        """A dialogue with an active conversation, as far as the tab knows."""
        dialogue = self._dialogue()
        if dialogue.conversation is None:
            await self._look_at(dialogue)
        if dialogue.conversation is None:
            self._update(dialogue, await self._complete(self._ask(self._open_request(dialogue))))
        return dialogue if dialogue.conversation is not None else None

    def _open_request(self, dialogue: KnownDialogue, key: str | None = None) -> Request:
        return Request(
            kind="open",
            user=dialogue.user,
            place=dialogue.place,
            path=dialogue.place.path,
            key=key or self._maybe_key(),
        )

    def _message_request(
        self, dialogue: KnownDialogue, key: str | None = None, if_match: str | None = None
    ) -> Request:
        return Request(
            kind="say",
            user=dialogue.user,
            place=dialogue.place,
            path=f"{dialogue.place.path}/{dialogue.conversation}/messages",
            text=self._words(),
            key=key or self._maybe_key(),
            if_match=if_match,
            conversation=dialogue.conversation,
        )

    def _words(self) -> str:
        """A text that is unique in the run."""
        self._number += 1
        return f"{self.name} thinks, number {self._number}."

    def _update(self, dialogue: KnownDialogue, answer: Answer) -> None:
        """Updates what is known of the dialogue from an answer."""
        if answer.status in (200, 201) and not answer.lost:
            dialogue.conversation = answer.body.get("id")
            dialogue.etag = answer.etag if dialogue.conversation else None
        elif answer.status == 404:
            dialogue.conversation = dialogue.etag = None
        elif answer.code == "turn_in_progress" and dialogue.conversation:
            dialogue.turn = (dialogue.conversation, answer.body["turn_id"])
