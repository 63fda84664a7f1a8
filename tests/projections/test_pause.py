"""Operators pause and resume projections."""

import asyncio

import pytest

from eventstore.connections import Connection, Pool, connect
from projections.errors import NotFollowed, UnknownProjection
from projections.pause import pause_projection, resume_projection
from projections.projection_runner import ProjectionRunner
from projections.rebuild import rebuild
from projections.status import projection_status
from tests.eventstore.building import append, message, messages
from tests.eventstore.waiting import eventually
from tests.projections.test_projection_runner import POISONED, TALLIED, running, tallied
from tests.projections.viewing import AT_THE_GATE, GATE, GATED, TALLY, Parts, catch_up

A_PAUSE_WAITS = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock' AND query ~ 'FOR UPDATE'
"""


async def test_nobody_advances_a_paused_projection_until_it_is_resumed(
    log_parts: Parts, workers: Pool, database_url: str, owner: Connection
) -> None:
    log, _, notifier = log_parts
    await rebuild(database_url, TALLY)
    assert await pause_projection(owner, "tally")
    assert not await pause_projection(owner, "tally")
    await append(log, "s", *messages(3))
    async with running(ProjectionRunner(workers, notifier)):
        await eventually(lambda: _fresh(owner, "turn_facts"))
        assert await owner.fetchval(TALLIED, 1) is None
        (status,) = [s for s in await projection_status(owner) if s.name == "tally"]
        assert (status.paused, status.lag_events) == (True, 3)
        assert await resume_projection(owner, "tally")
        await eventually(tallied(owner, 3))
    assert not await resume_projection(owner, "tally")


async def _fresh(owner: Connection, name: str) -> bool:
    return all(s.lag_events == 0 for s in await projection_status(owner) if s.name == name)


@pytest.mark.parametrize("steps_before", [0, 1])
async def test_a_pause_waits_for_the_step_that_is_under_way(
    log_parts: Parts, workers: Pool, database_url: str, owner: Connection, steps_before: int
) -> None:
    log, _, notifier = log_parts
    await rebuild(database_url, GATED)
    for _ in range(steps_before):
        await append(log, "s", message())
        await catch_up(workers, notifier)
    await append(log, "s", message())
    await owner.execute("SELECT pg_advisory_lock($1)", GATE)
    stepping = asyncio.create_task(catch_up(workers, notifier))
    await eventually(lambda: owner.fetchval(AT_THE_GATE, GATE))
    other = await connect(database_url)
    pausing = asyncio.create_task(pause_projection(other, "tally"))
    await eventually(lambda: owner.fetchval(A_PAUSE_WAITS))
    assert not pausing.done()
    await owner.execute("SELECT pg_advisory_unlock($1)", GATE)
    await pausing
    await stepping
    assert len(await owner.fetchval(TALLIED, 1)) == steps_before + 1
    await other.close()


async def test_a_stopped_projection_that_is_resumed_is_tried_at_once(
    log_parts: Parts,
    workers: Pool,
    database_url: str,
    owner: Connection,
) -> None:
    log, _, notifier = log_parts
    await rebuild(database_url, POISONED)
    await append(log, "s", message(conversation_id=1), message(conversation_id=666))
    runner = ProjectionRunner(workers, notifier, retry=3600.0)
    while await runner.catch_up():
        pass
    (status,) = [s for s in await projection_status(owner) if s.name == "poisoned"]
    assert (status.error_position, status.error_type) == (2, "message_posted.v1")
    schema = await owner.fetchval("SELECT schema_name FROM projections WHERE name = 'poisoned'")
    await owner.execute(
        f"CREATE OR REPLACE FUNCTION {schema}.apply(account bigint, after_position bigint, "
        "upto_position bigint, types text[]) RETURNS void LANGUAGE plpgsql AS 'BEGIN END'"
    )
    assert not await runner.catch_up()
    assert not await resume_projection(owner, "poisoned")
    assert await runner.catch_up()
    (status,) = [s for s in await projection_status(owner) if s.name == "poisoned"]
    assert (status.error, status.lag_events) == (None, 0)


async def test_pausing_an_unknown_or_inline_projection_is_refused(owner: Connection) -> None:
    for steer in (pause_projection, resume_projection):
        with pytest.raises(UnknownProjection, match="there is no projection nonsense; there are"):
            await steer(owner, "nonsense")
        with pytest.raises(NotFollowed, match="conversations is updated in the transaction"):
            await steer(owner, "conversations")
