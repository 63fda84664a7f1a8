"""Reads are retried while the database is away for a moment."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

import asyncpg
import msgspec
import pytest

from eventstore.connections import LogGrowth, close_pool, connect, open_pool, retry_read
from tests.running import ROOT, environment_of

HOLDER = """
import asyncio, sys
from eventstore.connections import connect
async def hold():
    connection = await connect(sys.argv[1])
    await connection.execute("SELECT pg_advisory_lock(4242)")
    print("held", flush=True)
    await connection.execute("SELECT pg_sleep(600)", timeout=600)
asyncio.run(hold())
"""


def breaking(*errors: Exception) -> Callable[[], Awaitable[str]]:
    """A read that raises these errors and then succeeds."""
    left = list(errors)

    async def read() -> str:
        if left:
            raise left.pop(0)
        return "read"

    return read


async def test_a_read_is_tried_again_while_the_database_is_away() -> None:
    errors = (
        ConnectionResetError(),
        asyncpg.InternalClientError(),
        asyncpg.InterfaceError("closed"),
    )
    assert await retry_read(breaking(*errors)) == "read"


async def test_a_read_of_a_database_that_stays_away_fails_after_its_timeout() -> None:
    with pytest.raises(ConnectionResetError):
        await retry_read(breaking(*[ConnectionResetError()] * 1000), timeout=0.05)


async def test_the_locks_of_a_killed_process_are_freed_within_seconds(database_url: str) -> None:
    """Even if the server is executing a longer statement."""
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLDER, database_url),
        env=environment_of({}),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    waiting = await connect(database_url)
    try:
        assert holder.stdout
        assert await asyncio.wait_for(holder.stdout.readline(), 60) == b"held\n"
        assert not await waiting.fetchval("SELECT pg_try_advisory_lock(4242)")
        holder.kill()
        await waiting.execute("SELECT pg_advisory_lock(4242)", timeout=60)
    finally:
        await waiting.close()
        if holder.returncode is None:
            holder.kill()
        await holder.wait()


async def test_a_wrong_statement_is_not_retried() -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await retry_read(breaking(asyncpg.UndefinedTableError()))


async def test_a_pool_discards_its_plans_when_a_log_has_grown_fourfold(database_url: str) -> None:
    growth = LogGrowth()
    pool = await open_pool(database_url, None, 1, growth)
    await pool.execute("CREATE TABLE growing AS SELECT 1 AS n")
    await pool.execute("PREPARE counting AS SELECT n FROM growing")

    async def expected_rows() -> int:
        plan = await pool.fetchval("EXPLAIN (FORMAT JSON) EXECUTE counting")
        return int(msgspec.json.decode(plan)[0]["Plan"]["Plan Rows"])

    small = await expected_rows()
    await pool.execute("INSERT INTO growing SELECT n FROM generate_series(1, 100000) n")
    growth.reached(LogGrowth.FACTOR - 1)
    assert await expected_rows() == small
    growth.reached(LogGrowth.FACTOR)
    assert await expected_rows() > 10 * small
    await close_pool(pool)


def test_growth_is_counted_in_steps_of_a_factor_of_four() -> None:
    growth = LogGrowth()
    seen = []
    for position in (1, 3, 4, 15, 16, 17, 1_000_000, 5):
        growth.reached(position)
        seen.append(growth.steps)
    assert seen == [0, 0, 1, 1, 2, 2, 9, 9]
