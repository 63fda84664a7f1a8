"""Faults in the processes while learners talk."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from tests.soak.journal import Journal
from tests.soak.processes import Postgres, Slot

Fault = Callable[[asyncio.TaskGroup], Awaitable[bool]]
"""Makes a fault, with a group for its recovery; False if there was nothing left to break."""


PAUSE = (1.0, 7.0)
"""Seconds between two faults, at least and at most."""


class Injector:
    """Makes one fault after another, in a seeded order and with seeded pauses.

    Every kind comes once before any comes again. A service that is down is restarted while the
    next faults happen. `had_all` is set after one fault of every kind.
    """

    def __init__(
        self,
        journal: Journal,
        postgres: Postgres,
        slots: list[Slot],
        seed: str,
        pause: tuple[float, float],
    ) -> None:
        self._journal = journal
        self._postgres = postgres
        self._slots = slots
        self._pause = pause
        self.had_all = asyncio.Event()
        self._rng = random.Random(seed)
        self._kinds: dict[str, Fault] = {
            "kill -9 of a service": self._kill_service,
            "SIGTERM to a service": self._stop_service,
            "kill -9 of Postgres": self._kill_postgres,
            "power cut": self._cut_power,
            "a database that only reads": self._only_read,
            "jump of a clock": self._set_clock,
        }

    async def run(self, over: asyncio.Event) -> None:
        """Makes faults until `over` is set; then waits until everything is up again."""
        async with asyncio.TaskGroup() as group:
            deck: list[str] = []
            while not await _is_set_within(over, self._rng.uniform(*self._pause)):
                deck = deck or self._rng.sample(list(self._kinds), len(self._kinds))
                name = deck.pop()
                if await self._kinds[name](group):
                    self._journal.faults[name] += 1
                else:
                    deck.insert(0, name)
                if len(self._journal.faults) == len(self._kinds):
                    self.had_all.set()

    async def _kill_service(self, group: asyncio.TaskGroup) -> bool:
        if victim := self._victim():
            await victim.kill()
            group.create_task(self._bring_back(victim))
        return victim is not None

    async def _stop_service(self, group: asyncio.TaskGroup) -> bool:
        """The next faults do not wait for its end."""
        if victim := self._victim():
            group.create_task(self._stop(victim))
        return victim is not None

    async def _kill_postgres(self, _group: asyncio.TaskGroup) -> bool:
        await self._postgres.kill(self._rng.uniform(0.0, 1.5))
        return True

    async def _cut_power(self, group: asyncio.TaskGroup) -> bool:
        """A service and Postgres at the same time."""
        await asyncio.gather(self._postgres.cut_off(), self._kill_service(group))
        await self._postgres.bring_back()
        return True

    async def _only_read(self, _group: asyncio.TaskGroup) -> bool:
        await self._postgres.only_read(self._rng.uniform(0.5, 4.0))
        return True

    async def _set_clock(self, _group: asyncio.TaskGroup) -> bool:
        """By seconds, hours or days, ahead or behind."""
        seconds = self._rng.choice((-1, 1)) * 10 ** self._rng.uniform(0.0, 6.5)
        self._rng.choice(self._slots).set_clock(seconds)
        return True

    async def _stop(self, slot: Slot) -> None:
        await slot.stop()
        await self._bring_back(slot)

    async def _bring_back(self, slot: Slot) -> None:
        await asyncio.sleep(self._rng.uniform(0.0, 1.5))
        await slot.start()

    def _victim(self) -> Slot | None:
        up = [slot for slot in self._slots if slot.up]
        return self._rng.choice(up) if up else None


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
