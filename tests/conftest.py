"""A real PostgreSQL for the whole run, and a database of its own for every test that wants one."""

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import chain, islice
from pathlib import Path

import pytest
from hypothesis import settings

from eventstore.connections import AccountPool, Connection, Pool, close_pool, connect, open_pool
from eventstore.log import EventLog
from eventstore.notifier import POLL, Notifier
from eventstore.running_log import running_log
from service.embedded_postgres import EmbeddedPostgres
from tests.databases import DEMO, DEMO_TEMPLATE, HOME, TEMPLATE, cloned_database, make_templates

BINARIES = "COLLOQUY_POSTGRES_BIN"
"""A folder with another PostgreSQL's programs, to run the whole suite on that version."""

MEMORY = Path("/dev/shm")
"""A file system in memory: a database of 600 files is made there in a twentieth of the time."""

PROGRAMS = ("node", "chromium", "faketime")
"""Markers of tests that need programs of others. They are of the slow tier."""

_ENOUGH = 4 << 30

# Examples are no benchmarks: where others take the processor, any of them may stand still.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_xdist_auto_num_workers() -> int:
    """Workers for `-n auto`: two a processor, since tests wait more than they work."""
    return 2 * (os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests by what they use, and has each worker begin with its share of slow ones.

    Workers get equal parts of the list, and take from one another when they have nothing left. The
    tests that may take longest come first.
    """
    for item in items:
        if "server_url" in getattr(item, "fixturenames", ()):
            item.add_marker("postgres")
        if any(item.get_closest_marker(program) for program in PROGRAMS):
            item.add_marker("slow")
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    slow = sorted((i for i in items if i.get_closest_marker("slow")), key=_timeout, reverse=True)
    others = iter([item for item in items if not item.get_closest_marker("slow")])
    parts = [slow[n::workers] for n in range(workers)]
    for part in parts:
        part += islice(others, max(0, len(items) // workers - len(part)))
    items[:] = [*chain.from_iterable(parts), *others]


def _timeout(item: pytest.Item) -> float:
    """Seconds that a test may take, where it says so itself."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0.0


def pytest_configure(config: pytest.Config) -> None:
    """The first process of a run makes the server's folder; its workers inherit the name."""
    if not hasattr(config, "workerinput"):
        # Where, as root, the server's own user gets to, too.
        os.environ[HOME] = tempfile.mkdtemp(prefix="colloquy-tests-", dir=fastest())


def pytest_unconfigure(config: pytest.Config) -> None:
    """… and removes it, when all of them have ended."""
    if not hasattr(config, "workerinput") and HOME in os.environ:
        shutil.rmtree(os.environ.pop(HOME), ignore_errors=True)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The owner's URL on the run's server, which all workers share."""
    home = Path(os.environ[HOME])
    binaries = Path(os.environ[BINARIES]) if os.environ.get(BINARIES) else None
    server = EmbeddedPostgres(home, binaries=binaries, options={"fsync": "off"})
    with server as url:
        with (home / "template.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            asyncio.run(make_templates(url, home / DEMO))
        yield url


@pytest.fixture
async def database_url(request: pytest.FixtureRequest, server_url: str) -> AsyncIterator[str]:
    """The owner's URL of a database that is migrated, and empty but where `demo_url` is used."""
    template = DEMO_TEMPLATE if "demo_url" in request.fixturenames else TEMPLATE
    async with cloned_database(server_url, template) as url:
        yield url


@pytest.fixture
def demo_url(database_url: str) -> str:
    """The same of a test that runs a service of its own: the demo is there already."""
    return database_url


@pytest.fixture
async def empty_database_url(server_url: str) -> AsyncIterator[str]:
    """The owner's URL of a database with nothing in it."""
    async with cloned_database(server_url, "template1") as url:
        yield url


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Connection]:
    """A connection of the owner to the test's database."""
    connection = await connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
def poll() -> float:
    """Seconds after which readers look without a notification; tests may have others."""
    return POLL


@pytest.fixture
async def log_parts(
    database_url: str, poll: float
) -> AsyncIterator[tuple[EventLog, AccountPool, Notifier]]:
    """A log on the test's database, with the pool and the notifier that it uses."""
    async with running_log(database_url, poll=poll) as parts:
        yield parts


@pytest.fixture
async def workers(database_url: str) -> AsyncIterator[Pool]:
    """The pool of the service's own work over all accounts."""
    pool = await open_pool(database_url, "colloquy_worker", 4)
    yield pool
    await close_pool(pool)


@pytest.fixture
def log(log_parts: tuple[EventLog, AccountPool, Notifier]) -> EventLog:
    """A log on the test's database."""
    return log_parts[0]


def fastest() -> Path | None:
    """Memory where there is plenty of it, the temporary folder elsewhere."""
    plenty = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= _ENOUGH
    return MEMORY if plenty and os.access(MEMORY, os.W_OK) else None
