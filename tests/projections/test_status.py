"""The progress of each projection."""

import asyncio

from eventstore.connections import Connection, Pool
from projections.definitions import definitions
from projections.rebuild import rebuild
from projections.status import ProjectionStatus, projection_status
from tests.eventstore.building import add_account, append, messages
from tests.eventstore.waiting import eventually
from tests.projections.viewing import AT_THE_GATE, GATE, GATED, Parts, catch_up


async def status_of(owner: Connection, name: str, account_id: int = 1) -> list[ProjectionStatus]:
    return [
        status
        for status in await projection_status(owner)
        if (status.name, status.account_id) == (name, account_id)
    ]


async def test_every_projection_of_every_account_is_listed(owner: Connection) -> None:
    await add_account(owner, 2)
    listed = [(status.name, status.account_id) for status in await projection_status(owner)]
    assert listed == [(name, account_id) for name in sorted(definitions()) for account_id in (1, 2)]


async def test_on_an_empty_log_nothing_is_behind(owner: Connection) -> None:
    for status in await projection_status(owner):
        assert (status.position, status.head, status.lag_events) == (0, 0, 0)
        assert (status.state, status.lag_seconds, status.error) == ("live", None, None)


async def test_an_inline_projection_is_never_behind(log_parts: Parts, owner: Connection) -> None:
    await append(log_parts[0], "s", *messages(3))
    (status,) = await status_of(owner, "conversations")
    assert (status.mode, status.position, status.head) == ("inline", 3, 3)
    assert status.lag_seconds is None


async def test_a_followed_projection_tells_how_many_events_and_seconds_it_is_behind(
    log_parts: Parts, workers: Pool, owner: Connection
) -> None:
    log, _, notifier = log_parts
    await append(log, "s", *messages(3))
    await catch_up(workers, notifier)
    (first, *_) = await append(log, "s", *messages(2))
    (status,) = await status_of(owner, "turn_facts")
    assert (status.position, status.head, status.lag_events) == (3, 5, 2)
    now = await owner.fetchval("SELECT clock_timestamp()")
    assert status.lag_seconds is not None
    assert 0 <= status.lag_seconds <= (now - first.recorded_at).total_seconds()
    await catch_up(workers, notifier)
    (status,) = await status_of(owner, "turn_facts")
    assert (status.lag_events, status.lag_seconds) == (0, None)


async def test_a_generation_under_construction_is_listed_beside_the_live_one(
    log_parts: Parts, database_url: str, owner: Connection
) -> None:
    await rebuild(database_url, GATED)
    await append(log_parts[0], "s", *messages(3))
    await owner.execute("SELECT pg_advisory_lock($1)", GATE)
    building = asyncio.create_task(rebuild(database_url, GATED))
    await eventually(lambda: owner.fetchval(AT_THE_GATE, GATE))
    live, fresh = await status_of(owner, "tally")
    assert (live.generation, live.state) == (1, "live")
    assert (fresh.generation, fresh.state, fresh.position, fresh.head) == (2, "building", 0, 3)
    assert fresh.lag_seconds is not None
    await owner.execute("SELECT pg_advisory_unlock($1)", GATE)
    await building
