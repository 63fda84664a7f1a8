"""Requests and reads while projections are rebuilt: the times of GETs, and complete views."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import msgspec

from eventstore.connections import connect
from eventstore.log import EventLog
from eventstore.running_log import running_log
from projections.definitions import Definition, definitions
from tests.bench.dialogues import start_dialogue
from tests.bench.load import http_request, run_load
from tests.bench.measuring import SCALE
from tests.bench.reading import server
from tests.bench.rebuilder import AGAIN
from tests.bench.term import Term
from tests.bench.term.writing import token_of

SECONDS = max(20.0 * SCALE, 1.0)
CONNECTIONS = 8
PER_SECOND = 50.0

_ACTIVE = """
SELECT x.course_id, a.experience_id, a.user_id FROM read.active_conversations a
  JOIN read.experiences x USING (account_id, experience_id)
  JOIN enrollments m ON m.account_id = a.account_id AND m.course_id = x.course_id
   AND m.user_id = a.user_id
 WHERE a.account_id = 1 AND x.workflow_state = 'published'
 ORDER BY a.user_id, a.experience_id LIMIT 64
"""
_PATH = "/api/v1/courses/{}/ai_experiences/{}/conversations"
_PAUSE = "INSERT INTO projection_pauses (name) VALUES ($1)"
_RESUME = "DELETE FROM projection_pauses WHERE name = ANY ($1)"
_PAUSE_BETWEEN = 0.1
_NEW = 50
_PATIENCE = 3600.0
_FIRST = 20_000_000


class Rebuilt(msgspec.Struct, frozen=True):
    """Seconds that a rebuild took, and the most memory of its process (MiB), before and after."""

    seconds: float
    before: float
    peak: float


class Seen(msgspec.Struct, frozen=True):
    """The counts of a view's rows that a reader saw; the last one is after the rebuilds."""

    counts: tuple[int, ...]

    @property
    def strange(self) -> int:
        """How many were neither the first nor the last, or the first after the last."""
        old, new = self.counts[0], self.counts[-1]
        swapped = self.counts.index(new)
        return sum(count != old for count in self.counts[:swapped]) + sum(
            count != new for count in self.counts[swapped:]
        )


class Beside(msgspec.Struct, frozen=True):
    """Milliseconds of GETs with and without rebuilds, and the counts read of each projection."""

    beside: list[float]
    alone: list[float]
    seen: tuple[Seen, ...]


def rebuild_elsewhere(url: str) -> Rebuilt:
    """Rebuilds all followed projections in another process, as fast as an installation does."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.rebuilder"],
        env={**os.environ, "DATABASE_URL": url},
        stdout=subprocess.PIPE,
        check=True,
        timeout=_PATIENCE,
    )
    return Rebuilt(**json.loads(done.stdout))


async def measure_beside(url: str, term: Term) -> Beside:
    """GETs at a steady rate with and without rebuilds; then an analyst's reads of all views.

    No process follows meanwhile, so a change of a view shows that a rebuild was swapped in.
    """
    requests = await _requests(url, term)
    beside, alone = await asyncio.to_thread(_measure, url, requests)
    counts: dict[str, list[int]] = {}
    async with _paused(url):
        async with running_log(url) as (log, _pool, _notifier):
            await asyncio.gather(*(_start(log, number) for number in range(_NEW)))
        async with _reader(url, counts):
            await asyncio.to_thread(rebuild_elsewhere, url)
    return Beside(beside, alone, tuple(Seen(tuple(seen)) for seen in counts.values()))


def followed() -> list[Definition]:
    """All followed projections."""
    return [known for known in definitions().values() if known.mode == "followed"]


def _measure(url: str, requests: list[bytes]) -> tuple[list[float], list[float]]:
    with server("tests.bench.serving", url) as port:
        _load(port, requests, 2.0)
        alone = _load(port, requests, SECONDS / 2)
        with _rebuilding(url):
            beside = _load(port, requests, SECONDS)
        alone += _load(port, requests, SECONDS / 2)
    return beside, alone


def _load(port: int, requests: list[bytes], seconds: float) -> list[float]:
    times, bad = run_load(port, requests, CONNECTIONS, seconds, per_second=PER_SECOND)
    assert bad == 0
    return times


@contextmanager
def _rebuilding(url: str) -> Iterator[None]:
    """Runs rebuilds one after another, and waits for the last."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.rebuilder", AGAIN],
        env={**os.environ, "DATABASE_URL": url},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield
        assert process.poll() is None, "the rebuild has failed"
    finally:
        assert process.stdin
        process.stdin.close()
        process.wait(_PATIENCE)


async def _requests(url: str, term: Term) -> list[bytes]:
    connection = await connect(url)
    rows = await connection.fetch(_ACTIVE)
    await connection.close()
    return [
        http_request("GET", _PATH.format(course, experience), token_of(term, 1, user))
        for course, experience, user in rows
    ]


async def _start(log: EventLog, number: int) -> None:
    person = _FIRST + number
    await start_dialogue(log, conversation_id=person, user_id=person, exchanges=1)


@asynccontextmanager
async def _paused(url: str) -> AsyncIterator[None]:
    """Every live followed projection stays where it is."""
    connection = await connect(url)
    names = [definition.name for definition in followed()]
    await connection.executemany(_PAUSE, [(name,) for name in names])
    try:
        yield
    finally:
        await connection.execute(_RESUME, names)
        await connection.close()


@asynccontextmanager
async def _reader(url: str, counts: dict[str, list[int]]) -> AsyncIterator[None]:
    """An analyst who repeatedly counts the rows of each projection's first view."""
    connection = await connect(url, "colloquy_analyst")
    done = asyncio.Event()

    async def read() -> None:
        while True:
            last = done.is_set()
            for known in followed():
                statement = f"SELECT count(*) FROM {known.schema}.{known.tables[0]}"
                count = await connection.fetchval(statement, timeout=_PATIENCE)
                counts.setdefault(known.name, []).append(count)
                await asyncio.sleep(0 if last else _PAUSE_BETWEEN)
            if last:
                return

    task = asyncio.create_task(read())
    try:
        yield
    finally:
        done.set()
        await task
        await connection.close()
