"""What the benchmarks share: a server with fsync on, figures, a table of ratios."""

import os
import platform
import statistics
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from uuid import uuid4

import msgspec

from eventstore.connections import connect
from service.embedded_postgres import EmbeddedPostgres
from service.process.database import prepare
from tests.databases import database_named

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
SCALE = float(os.environ.get("COLLOQUY_BENCH_SCALE", "1"))
"""What sizes and seconds are multiplied by: a hundredth shows that the benchmarks work."""

BEGIN, END = "<!-- figures: make bench ARGS=--write -->", "<!-- end of figures -->"


def scaled(number: int, at_least: int = 1) -> int:
    """A size of a benchmark, at the scale of this run."""
    return max(round(number * SCALE), min(number, at_least))


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
    url = database_named(server_url, name)
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


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table, below when and where they were measured."""
    lines = [
        f"Measured on {datetime.now(UTC):%Y-%m-%d} at commit {commit()}, Python "
        f"{platform.python_version()}, {os.cpu_count()} shared cores ({platform.machine()}).",
        "",
        "| what | ours | beside | ratio | goal |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {r.what} | {r.ours} | {r.beside} | {r.ratio} | {r.goal} |" for r in rows]
    return "\n".join(lines)


def commit() -> str:
    """The short id of the current commit, with a + if files differ from it."""
    found = _git("rev-parse", "--short", "HEAD")
    return found + ("+" if _git("status", "--porcelain") else "")


def write_table(rows: Sequence[Row]) -> None:
    """Replaces the table in `docs/benchmarks.md`."""
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}", "utf-8")


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=PAGE.parent, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
