"""What others see while projections are rebuilt: how long GETs take, and only whole views."""

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
from projections.definitions import Definition, definitions
from projections.rebuild import rebuild
from service.app import running_log
from tests.bench.dialogues import start_dialogue
from tests.bench.load import http_request, run_load
from tests.bench.reading import server
from tests.bench.rebuilder import AGAIN
from tests.bench.term import Term
from tests.bench.term.writing import token_of
from tests.running import eventually

SECONDS = 15.0
CONNECTIONS = 8
PER_SECOND = 100.0

_ACTIVE = """
SELECT x.course_id, a.experience_id, a.user_id FROM read.active_conversations a
  JOIN read.experiences x USING (account_id, experience_id)
  JOIN enrollments m ON m.account_id = a.account_id AND m.course_id = x.course_id
   AND m.user_id = a.user_id
 WHERE a.account_id = 1 AND x.workflow_state = 'published'
 ORDER BY a.user_id, a.experience_id LIMIT 64
"""
_PATH = "/api/v1/courses/{}/ai_experiences/{}/conversations"
_NEW = 50
_PATIENCE = 3600.0
_FIRST = 20_000_000


class Rebuilt(msgspec.Struct, frozen=True):
    """Seconds that a rebuild took, and the most memory of its process (MiB), before and after."""

    seconds: float
    before: float
    peak: float


class Seen(msgspec.Struct, frozen=True):
    """The row counts that a reader saw around a swap: `old` and `new` are the lawful ones."""

    old: int
    new: int
    counts: tuple[int, ...]

    @property
    def strange(self) -> int:
        """How many reads saw something else, or went back to the old rows."""
        lawful = [count for count in self.counts if count in (self.old, self.new)]
        return len(self.counts) - len(lawful) + (lawful != sorted(lawful))


def rebuild_elsewhere(url: str) -> Rebuilt:
    """Rebuilds all followed projections in another process."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.rebuilder"],
        env={**os.environ, "DATABASE_URL": url},
        stdout=subprocess.PIPE,
        check=True,
        timeout=_PATIENCE,
    )
    return Rebuilt(**json.loads(done.stdout))


async def read_beside_rebuild(url: str, term: Term) -> tuple[list[float], list[float]]:
    """Milliseconds of GETs at a steady rate, while rebuilds go on and without any."""
    requests = await _requests(url, term)
    return await asyncio.to_thread(_measure, url, requests)


async def watch_swap(url: str, definition: Definition) -> Seen:
    """Counts a view's rows all the while, as an analyst, across a rebuild that adds some."""
    view = f"{definition.schema}.{definition.tables[0]}"
    counts: list[int] = []
    async with running_log(url) as (log, _pool, _link), _reader(url, view, counts):
        await asyncio.gather(*(_start(log, number) for number in range(_NEW)))
        await eventually(lambda: len(counts) > 0)
        await rebuild(url, definition)
        before = len(counts)
        await eventually(lambda: len(counts) > before + 1)
    return Seen(counts[0], counts[-1], tuple(counts))


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
    """Rebuilds go on, one after another; the last is waited for."""
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
async def _reader(url: str, view: str, counts: list[int]) -> AsyncIterator[None]:
    connection = await connect(url, "colloquy_analyst")
    done = asyncio.Event()

    async def read() -> None:
        while not done.is_set():
            counts.append(await connection.fetchval(f"SELECT count(*) FROM {view}"))

    task = asyncio.create_task(read())
    try:
        yield
    finally:
        done.set()
        await task
        await connection.close()
