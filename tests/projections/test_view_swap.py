"""During a swap, readers see all old rows or all new ones."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from structlog.testing import capture_logs

from eventstore.connections import Connection, Pool, connect
from eventstore.log import EventLog
from projections.definitions import definition
from projections.parallel_build import GENTLE, Pace
from projections.rebuild import rebuild
from tests.eventstore.building import Learner, append_steps, dialogue
from tests.projections.viewing import TALLY, Parts, catch_up, rows_of
from tests.running import eventually

EXCHANGES = 30
TURNS = EXCHANGES + 1
EVENTS = 2 * TURNS
TWINS = msgspec.structs.replace(
    TALLY,
    tables=("twin_one", "twin_two"),
    definition=TALLY.definition.replace("tally", "twin_one")
    + ";"
    + TALLY.definition.replace("tally", "twin_two"),
    statements=tuple(
        statement.replace("INTO tally", f"INTO {twin}")
        for twin in ("twin_one", "twin_two")
        for statement in TALLY.statements
    ),
)
"""Two views that have the same rows at any time."""

COUNTS = "SELECT (SELECT count(*) FROM read.twin_one), (SELECT count(*) FROM read.twin_two)"

Seen = list[tuple[int, ...]]


@pytest.fixture
async def reader(database_url: str) -> AsyncIterator[Connection]:
    connection = await connect(database_url)
    yield connection
    await connection.close()


@asynccontextmanager
async def reading(reader: Connection, statement: str) -> AsyncIterator[Seen]:
    """The rows of repeated reads, the last one after everything else."""
    done = asyncio.Event()
    seen: Seen = []

    async def read() -> None:
        while True:
            last = done.is_set()
            row = await reader.fetchrow(statement)
            assert row is not None
            seen.append(tuple(row))
            if last:
                return

    task = asyncio.create_task(read())
    try:
        await eventually(lambda: len(seen) > 0)
        yield seen
    finally:
        done.set()
        await task


async def converse(log: EventLog, user_id: int) -> None:
    learner = Learner(user_id, conversation_ids=iter([user_id]))
    await append_steps(log, dialogue(learner, EXCHANGES))


async def test_a_reader_of_two_views_sees_both_as_they_were_or_both_as_they_are(
    log: EventLog, database_url: str, reader: Connection
) -> None:
    """Each rebuild finds more than the one before, range by range."""
    await converse(log, 101)
    await rebuild(database_url, TWINS, pace=Pace(GENTLE, 10))
    async with reading(reader, COUNTS) as seen:
        for user_id in (102, 103, 104):
            await converse(log, user_id)
            await rebuild(database_url, TWINS, pace=Pace(GENTLE, 10))
    assert set(seen) <= {(n * EVENTS, n * EVENTS) for n in range(1, 5)}
    assert seen == sorted(seen)
    assert (seen[0][0], seen[-1][0]) == (EVENTS, 4 * EVENTS)


async def test_a_followed_view_shows_no_turn_of_a_rebuild_before_it_shows_all(
    log_parts: Parts,
    workers: Pool,
    database_url: str,
    reader: Connection,
) -> None:
    """Nobody follows meanwhile, so that the live view stays where it is."""
    log, _, notifier = log_parts
    facts = definition("turn_facts")
    await converse(log, 101)
    await catch_up(workers, notifier)
    await converse(log, 102)
    async with reading(reader, f"SELECT count(*) FROM {facts.schema}.turn_facts") as seen:
        await rebuild(database_url, facts, pace=Pace(GENTLE, 10))
    assert set(seen) <= {(TURNS,), (2 * TURNS,)}
    assert seen == sorted(seen)
    assert (seen[0][0], seen[-1][0]) == (TURNS, 2 * TURNS)


async def test_a_followed_projection_waits_long_and_logs_the_readers(
    log: EventLog,
    database_url: str,
    reader: Connection,
    owner: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Events that are appended meanwhile are in the new rows, too."""
    monkeypatch.setattr("projections.view_swap._LOG_EVERY", 0.0)
    facts = definition("turn_facts")
    await append_steps(log, dialogue(Learner(), 1))
    with capture_logs() as entries:
        async with reader.transaction():
            await reader.fetch("SELECT FROM analytics.turn_facts")
            rebuilding = asyncio.create_task(rebuild(database_url, facts, swap_timeout=0.0))
            await eventually(lambda: len(entries) > 1)
            await append_steps(log, dialogue(Learner(102, conversation_ids=iter([2])), 1))
        await rebuilding
    pid = reader.get_server_pid()
    assert {line["event"] for line in entries} == {"views_held"}
    assert f"(process {pid}, since " in entries[0]["by"]
    assert len(await rows_of(owner, facts)) == 4
