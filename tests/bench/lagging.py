"""The lag of the followed projections while events are appended at a steady rate."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
from uuid_utils.compat import uuid7

from eventstore.connections import connect
from eventstore.log import EventLog
from eventstore.running_log import running_log
from tests.bench.dialogues import METADATA, message, reply, start_dialogue
from tests.bench.measuring import SCALE, percentile
from tests.bench.reading import server
from tests.running import eventually

PER_SECOND = 1_000
SECONDS = max(20.0 * SCALE, 1.0)
ACCOUNT = 1
_BATCH = 20
_LOOK = 0.004
_DIALOGUES = 200
_FIRST = 10_000_000
_PATIENCE = 60.0

_REACHED = """
SELECT p.name, c.position FROM projections p JOIN projection_checkpoints c USING (name, generation)
 WHERE p.mode = 'followed' AND p.state = 'live' AND c.account_id = 1
"""


class Lags(msgspec.Struct, frozen=True):
    """Milliseconds from an append's answer until each projection had passed it, by projection.

    `per_second` is the rate of appends; the producer shares the machine with the service.
    """

    by_projection: dict[str, list[float]]
    per_second: float

    @property
    def everything(self) -> list[float]:
        """Of all projections together."""
        return [lag for lags in self.by_projection.values() for lag in lags]

    @property
    def worst(self) -> str:
        """The projection that is furthest behind, by its p99."""
        return max(self.by_projection, key=lambda name: percentile(self.by_projection[name], 99))


class _Watch:
    """Records when each projection was first seen at a position."""

    def __init__(self) -> None:
        self.appended: list[tuple[int, float]] = []
        self.lags: dict[str, list[float]] = {}
        self._taken: dict[str, int] = {}
        self._waiting: dict[str, list[tuple[int, float]]] = {}

    def look(self, reached: dict[str, int], now: float) -> None:
        for name, position in reached.items():
            fresh = self.appended[self._taken.get(name, 0) :]
            self._taken[name] = len(self.appended)
            waiting = self._waiting.get(name, []) + fresh
            passed = [max(0.0, now - at) * 1000 for last, at in waiting if last <= position]
            self.lags.setdefault(name, []).extend(passed)
            self._waiting[name] = [batch for batch in waiting if batch[0] > position]

    @property
    def done(self) -> bool:
        """Every projection has passed every batch."""
        taken = set(self._taken.values()) == {len(self.appended)}
        return taken and not any(self._waiting.values())


async def measure_lag(url: str) -> Lags:
    """Appends at a steady rate for some seconds; a service in another process follows.

    Raises:
        TimeoutError: The projections do not catch up.
    """
    async with running_log(url) as (log, _pool, _notifier), _following(url) as watch:
        await asyncio.gather(*(_start(log, number) for number in range(_DIALOGUES)))
        await _quiet(url, await log.head(ACCOUNT))
        began = time.perf_counter()
        await _append(log, watch)
        elapsed = time.perf_counter() - began
        await eventually(lambda: watch.done, _PATIENCE)
    return Lags(watch.lags, len(watch.appended) * _BATCH / elapsed)


async def _start(log: EventLog, number: int) -> None:
    person = _FIRST + number
    await start_dialogue(log, conversation_id=person, user_id=person, exchanges=0)


async def _append(log: EventLog, watch: _Watch) -> None:
    """Appends a batch at each interval, whether or not the previous one was answered."""
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for batch in range(int(SECONDS * PER_SECOND / _BATCH)):
            due = began + batch * _BATCH / PER_SECOND
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(_exchanges(log, watch, batch))


async def _exchanges(log: EventLog, watch: _Watch, batch: int) -> None:
    done = await asyncio.gather(
        *(_exchange(log, (batch * _BATCH // 2 + n) % _DIALOGUES) for n in range(_BATCH // 2))
    )
    watch.appended.append((max(done), time.perf_counter()))


async def _exchange(log: EventLog, number: int) -> int:
    person, turn_id = _FIRST + number, str(uuid7())
    stream, events = f"dialogue-1-{person}", [message(turn_id, person), reply(turn_id, person)]
    recorded = await log.append(ACCOUNT, stream, events, expected=None, metadata=METADATA)
    return recorded[-1].position


async def _quiet(url: str, head: int) -> None:
    """Waits until the projections have all earlier events."""
    connection = await connect(url)

    async def there() -> bool:
        return all(row[1] >= head for row in await connection.fetch(_REACHED))

    try:
        await eventually(there, _PATIENCE)
    finally:
        await connection.close()


@asynccontextmanager
async def _following(url: str) -> AsyncIterator[_Watch]:
    """A service that follows, and a task that polls its position."""
    watch = _Watch()
    connection = await connect(url)

    async def look() -> None:
        while True:
            reached = {row[0]: row[1] for row in await connection.fetch(_REACHED)}
            watch.look(reached, time.perf_counter())
            await asyncio.sleep(_LOOK)

    with server("tests.bench.serving", url):
        task = asyncio.create_task(look())
        try:
            yield watch
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await connection.close()
