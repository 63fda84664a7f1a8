"""Teachers, who evaluate and sometimes end a learner's conversation or reply."""

from collections.abc import Awaitable, Callable

from tests.soak.caller import Caller
from tests.soak.journal import Journal, Request
from tests.soak.processes import Slot
from tests.soak.walker import KnownDialogue, Walker, cancel_request, delete_request


class Teacher(Walker):
    """Evaluates conversations of a course, and sometimes ends one, or a reply in it."""

    def __init__(
        self,
        name: str,
        caller: Caller,
        journal: Journal,
        slots: list[Slot],
        seed: str,
        user: int,
        dialogues: list[KnownDialogue],
    ) -> None:
        super().__init__(name, caller, journal, slots, seed)
        self._user = user
        self._corners = dialogues

    def _steps(self) -> dict[str, tuple[int, Callable[[], Awaitable[None]]]]:
        return {
            "evaluate": (40, self._evaluate),
            "look": (30, self._look),
            "repeat": (15, self._repeat),
            "cancel": (10, self._cancel),
            "delete": (2, self._delete),
        }

    async def _evaluate(self) -> None:
        if (dialogue := self._dialogue()) is None:
            return
        exchange = self._ask(
            Request(
                kind="evaluate",
                user=self._user,
                place=dialogue.place,
                path=f"{dialogue.place.path}/{dialogue.conversation}/evaluation",
                key=self._maybe_key(),
                conversation=dialogue.conversation,
            )
        )
        if exchange.request.key and self._rng.random() < 0.2:
            await self._send_twice(exchange)
        else:
            await self._complete(exchange)

    async def _look(self) -> None:
        if dialogue := self._dialogue():
            path = f"{dialogue.place.path}/{dialogue.conversation}/evaluation"
            name = f"evaluations-of-{dialogue.conversation}"
            await self._caller.look(self._user, path, name, self._slot())

    async def _cancel(self) -> None:
        dialogue = self._dialogue()
        if dialogue and dialogue.turn:
            await self._complete(self._ask(cancel_request(dialogue, self._user, self._maybe_key())))

    async def _delete(self) -> None:
        if dialogue := self._dialogue():
            await self._complete(self._ask(delete_request(dialogue, self._user)))

    def _dialogue(self) -> KnownDialogue | None:
        known = [dialogue for dialogue in self._corners if dialogue.conversation is not None]
        return self._rng.choice(known) if known else None
