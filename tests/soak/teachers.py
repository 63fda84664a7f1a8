"""Teachers: they evaluate, and now and then end a conversation or a reply of somebody else."""

from collections.abc import Awaitable, Callable

from tests.soak.calling import Caller
from tests.soak.journal import Journal, Request
from tests.soak.processes import Slot
from tests.soak.walking import Corner, Walker, cancelling, deleting


class Teacher(Walker):
    """Evaluates conversations of a course, and now and then ends one, or a reply in it."""

    def __init__(
        self,
        name: str,
        caller: Caller,
        journal: Journal,
        slots: list[Slot],
        seed: str,
        user: int,
        corners: list[Corner],
    ) -> None:
        super().__init__(name, caller, journal, slots, seed)
        self._user = user
        self._corners = corners

    def _steps(self) -> dict[str, tuple[int, Callable[[], Awaitable[None]]]]:
        return {
            "evaluate": (40, self._evaluate),
            "look": (30, self._look),
            "repeat": (15, self._repeat),
            "cancel": (10, self._cancel),
            "delete": (2, self._delete),
        }

    async def _evaluate(self) -> None:
        if (corner := self._corner()) is None:
            return
        asked = self._ask(
            Request(
                kind="evaluate",
                user=self._user,
                place=corner.place,
                path=f"{corner.place.path}/{corner.conversation}/evaluation",
                key=self._maybe_key(),
                conversation=corner.conversation,
            )
        )
        if asked.request.key and self._rng.random() < 0.2:
            await self._twins(asked)
        else:
            await self._pursue(asked)

    async def _look(self) -> None:
        if corner := self._corner():
            path = f"{corner.place.path}/{corner.conversation}/evaluation"
            name = f"evaluations-of-{corner.conversation}"
            await self._caller.look(self._user, path, name, self._slot())

    async def _cancel(self) -> None:
        corner = self._corner()
        if corner and corner.turn:
            await self._pursue(self._ask(cancelling(corner, self._user, self._maybe_key())))

    async def _delete(self) -> None:
        if corner := self._corner():
            await self._pursue(self._ask(deleting(corner, self._user)))

    def _corner(self) -> Corner | None:
        known = [corner for corner in self._corners if corner.conversation is not None]
        return self._rng.choice(known) if known else None
