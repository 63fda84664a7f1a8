"""What the benchmarks share: a server with fsync on, figures, a table of ratios."""

import statistics
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from shutil import rmtree
from uuid import uuid4

import msgspec

from eventstore.connections import connect
from service.database import prepare
from service.embedded import EmbeddedPostgres


class Row(msgspec.Struct, frozen=True):
    """One line of the table: ours next to something else of the same run."""

    what: str
    ours: str
    beside: str
    ratio: str
    goal: str = ""


@contextmanager
def benchmark_server() -> Iterator[str]:
    """The owner's URL of an embedded server as users get it: fsync on."""
    home = Path(tempfile.mkdtemp(prefix="colloquy-bench-"))
    try:
        with EmbeddedPostgres(home) as url:
            yield url
    finally:
        rmtree(home, ignore_errors=True)


@asynccontextmanager
async def fresh_database(server_url: str) -> AsyncIterator[str]:
    """The owner's URL of a new database with the schema in it."""
    name = f"bench_{uuid4().hex[:12]}"
    await execute(server_url, f"CREATE DATABASE {name}")
    url = f"{server_url.rpartition('/')[0]}/{name}"
    await prepare(url)
    try:
        yield url
    finally:
        await execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")


async def execute(url: str, statement: str) -> None:
    """Runs one statement as the owner."""
    connection = await connect(url)
    try:
        await connection.execute(statement, timeout=3600)
    finally:
        await connection.close()


def percentile(values: Sequence[float], percent: float) -> float:
    """A percentile of measured values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def print_table(rows: Sequence[Row]) -> None:
    """The rows as a Markdown table, as the README has it."""
    print("| what | ours | beside | ratio | goal |")
    print("|---|---|---|---|---|")
    for row in rows:
        print(f"| {row.what} | {row.ours} | {row.beside} | {row.ratio} | {row.goal} |")
