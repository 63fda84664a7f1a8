"""Reads that outlast a database which is away for a moment."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from eventstore.connections import connect, outlast
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
    """A read that fails so often, in these ways, and then gives something."""
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
    assert await outlast(breaking(*errors)) == "read"


async def test_a_database_that_stays_away_is_not_waited_for_for_ever() -> None:
    with pytest.raises(ConnectionResetError):
        await outlast(breaking(*[ConnectionResetError()] * 1000), patience=0.05)


async def test_the_locks_of_a_killed_process_are_free_at_once(database_url: str) -> None:
    """Though the server is in the middle of a statement that takes longer."""
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


async def test_a_statement_that_is_wrong_is_not_tried_again() -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await outlast(breaking(asyncpg.UndefinedTableError()))
