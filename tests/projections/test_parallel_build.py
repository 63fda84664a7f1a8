"""A rebuild applies several ranges at the same time if their order does not matter."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest

from eventstore.connections import Connection
from eventstore.log import EventLog
from projections.parallel_build import FAST, Pace
from projections.rebuild import rebuild, rebuild_all
from tests.eventstore.building import add_account, append, messages
from tests.eventstore.waiting import eventually
from tests.projections.viewing import (
    GATE,
    TALLY,
    generations,
    rows_of,
    schemas,
    with_version,
)

ANY = msgspec.structs.replace(TALLY, order="any")
TRIED = msgspec.structs.replace(
    ANY,
    definition=f"{ANY.definition}; CREATE SEQUENCE tries",
    statements=(
        *ANY.statements,
        "IF nextval('tries') IN (1, 3) THEN RAISE EXCEPTION USING ERRCODE = '40P01'; END IF;",
    ),
)
"""Raises a deadlock error twice; sequences are not rolled back."""

WAITING = """
SELECT count(DISTINCT pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
 WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.objid = $1 AND NOT l.granted
"""


SMALL = 3
"""Positions of a range."""


async def test_concurrent_ranges_make_the_rows_of_ordered_ranges(
    log: EventLog, database_url: str, owner: Connection
) -> None:
    await add_account(owner, 2)
    await append(log, "s", *messages(20))
    await append(log, "s", *messages(7), account_id=2)
    await rebuild(database_url, TALLY)
    before = await rows_of(owner, TALLY)
    reports: list[tuple[int, int]] = []
    assert (
        await rebuild(database_url, ANY, lambda *done: reports.append(done), Pace(FAST, SMALL))
        == 27
    )
    assert await rows_of(owner, ANY) == before
    assert len(before) == 27
    assert reports[-1] == (27, 27)


async def test_several_ranges_are_applied_at_the_same_time(
    log: EventLog, database_url: str, owner: Connection
) -> None:
    """… and none by a session that waits for another."""
    gated = msgspec.structs.replace(
        ANY, statements=(*ANY.statements, f"PERFORM pg_advisory_xact_lock_shared({GATE});")
    )
    await append(log, "s", *messages(20))
    await owner.execute("SELECT pg_advisory_lock($1)", GATE)
    rebuilding = asyncio.create_task(rebuild(database_url, gated, pace=Pace(3, SMALL)))

    async def all_lanes() -> bool:
        return bool(await owner.fetchval(WAITING, GATE) == 3)

    await eventually(all_lanes)
    await owner.execute("SELECT pg_advisory_unlock($1)", GATE)
    assert await rebuilding == 20


async def test_several_projections_share_the_limit_of_concurrent_ranges(
    log: EventLog, database_url: str, owner: Connection
) -> None:
    gated = [
        msgspec.structs.replace(
            ANY,
            name=name,
            tables=(name,),
            definition=f"CREATE TABLE {name} (account_id bigint)",
            statements=(f"PERFORM pg_advisory_xact_lock_shared({GATE});",),
        )
        for name in ("first", "second", "third")
    ]
    await append(log, "s", *messages(20))
    await owner.execute("SELECT pg_advisory_lock($1)", GATE)
    rebuilding = asyncio.create_task(_names(rebuild_all(database_url, gated, jobs=2)))

    async def waiting() -> int:
        return int(await owner.fetchval(WAITING, GATE))

    async def two() -> bool:
        return await waiting() == 2

    await eventually(two)
    await asyncio.sleep(0.3)
    assert await waiting() == 2
    await owner.execute("SELECT pg_advisory_unlock($1)", GATE)
    assert sorted(await rebuilding) == ["first", "second", "third"]


async def _names(built: AsyncIterator[tuple[str, int]]) -> list[str]:
    return [name async for name, _ in built]


async def test_a_range_is_retried_after_a_deadlock(
    log: EventLog, database_url: str, owner: Connection
) -> None:
    await append(log, "s", *messages(12))
    await rebuild(database_url, TRIED, pace=Pace(FAST, SMALL))
    assert [row[1] for row in await rows_of(owner, TRIED)] == sorted(
        range(1, 13), key=lambda n: repr((1, n))
    )


async def test_a_failing_range_cancels_the_others_and_leaves_the_live_views(
    log: EventLog, database_url: str, owner: Connection
) -> None:
    await rebuild(database_url, TALLY)
    await append(log, "s", *messages(20))
    broken = msgspec.structs.replace(
        with_version(ANY, 2), statements=(*ANY.statements, "PERFORM 1 / (after_position - 6);")
    )
    before = await rows_of(owner, TALLY)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await rebuild(database_url, broken, pace=Pace(FAST, SMALL))
    assert await rows_of(owner, TALLY) == before
    assert await generations(owner, "tally") == [(1, "live")]
    assert await schemas(owner, "tally") == ["tally_v1_1"]
