"""Followed views have each event once, however often their runners are killed."""

import asyncio
import random
from itertools import count

import pytest

from eventstore.connections import Connection, Pool
from projections.definitions import definitions
from projections.rebuild import rebuild
from projections.status import projection_status
from tests.eventstore.building import add_account, append_steps, history
from tests.eventstore.waiting import eventually
from tests.projections.runner_process import following
from tests.projections.viewing import Parts, catch_up, rows_of

FOLLOWED = [d for d in definitions().values() if d.mode == "followed"]
SEED = 1
STEPS = 2_000
LIVES = 4
"""How many lives are cut short, before the one in which a step is sure to be hit."""

END_A_STEP = """
SELECT count(pg_terminate_backend(pid)) FROM (
    SELECT pid FROM pg_stat_activity
     WHERE datname = current_database() AND query LIKE '%advance_projection_v1%'
       AND state = 'active' AND pid <> pg_backend_pid()
     ORDER BY random() LIMIT 1) AS victim
"""


async def fill(parts: Parts, seed: int, account_id: int, over: asyncio.Event) -> None:
    """Appends until the end of the test, so that there is always a step to make."""
    for more in count(seed, 10):
        for step in history(more, steps=STEPS, learners=4):
            await append_steps(parts[0], [step], account_id=account_id)
            if over.is_set():
                return


async def kill_at_random(url: str, owner: Connection, chance: random.Random) -> None:
    """Kills two runners one after the other, the last within a step."""
    for _ in range(LIVES):
        async with following(url), following(url):
            for _ in range(chance.randrange(1, 60)):
                await asyncio.sleep(chance.random() * 0.01)
                await owner.execute(END_A_STEP)
    async with following(url), following(url):
        await eventually(lambda: owner.fetchval(END_A_STEP))


@pytest.mark.slow
async def test_followed_views_equal_a_rebuild_after_runners_were_killed_at_random(
    log_parts: Parts, workers: Pool, database_url: str, owner: Connection
) -> None:
    """Processes by SIGKILL, and a database session within a step."""
    await add_account(owner, 2)
    over = asyncio.Event()
    filling = [asyncio.create_task(fill(log_parts, SEED + n, n, over)) for n in (1, 2)]
    await kill_at_random(database_url, owner, random.Random(SEED))

    async def all_followed() -> bool:
        return all(s.position for s in await projection_status(owner))

    async with following(database_url):
        await eventually(all_followed)
    over.set()
    await asyncio.gather(*filling)

    async def all_caught_up() -> bool:
        """A killed process's last step may still run in the server."""
        await catch_up(workers, log_parts[2])
        return all(s.position == s.head and s.error is None for s in await projection_status(owner))

    await eventually(all_caught_up)
    for known in FOLLOWED:
        before = await rows_of(owner, known)
        assert before, known.name
        await rebuild(database_url, known)
        assert await rows_of(owner, known) == before, known.name


async def test_a_follower_is_replaced_when_its_process_dies(
    log_parts: Parts, database_url: str, owner: Connection
) -> None:
    async def fresh() -> bool:
        return all(s.position == s.head for s in await projection_status(owner))

    async with following(database_url) as first, following(database_url):
        await append_steps(log_parts[0], history(7, steps=10))
        await eventually(fresh)
        first.kill()
        await first.wait()
        await append_steps(log_parts[0], history(8, steps=10))
        await eventually(fresh)
