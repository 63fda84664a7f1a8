"""What a request costs over HTTP does not depend on how much there is, nor on when it began."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from eventstore.connections import Connection
from projections.pause import pause_projection
from tests.costs import SIZES, School
from tests.eventstore.building import Learner
from tests.projections.test_facts import FACTS
from tests.running import Service, client, service_process

pytestmark = pytest.mark.timeout(300)  # tens of thousands of events, beside other tests

REQUESTS = 8
TURNS = 2 * (REQUESTS + 5)
"""POSTs, and a learner to read, of two processes."""
FLUSHED = 1.1
"""Seconds after which a session reports what it has read, when it is next used."""

ROWS = """
SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables
 WHERE relname NOT IN ('projections', 'projection_pauses', 'projection_checkpoints', 'log_heads')
"""
"""Without what processes look at by the clock."""


async def rows_each(owner: Connection, service: Service, learners: Iterator[Learner]) -> float:
    """Rows for a POST of a message, by another learner each time, and a GET together."""

    async def call(method: str, one: Learner, more: str, **options: Any) -> None:
        path = f"/api/v1/courses/1/ai_experiences/{one.experience_id}/conversations"
        status, answer = await service.call(method, path + more, user=one.user_id, **options)
        assert status == 200, answer
        assert answer["messages"]

    async def post() -> None:
        one = next(learners)
        await call("POST", one, f"/{one.active}/messages", json={"message": "It is tilted."})

    async def get() -> None:
        await call("GET", same, "")

    async def rows() -> int:
        for _ in range(2):
            await post()
            await get()
            await asyncio.sleep(FLUSHED)
        return int(await owner.fetchval(ROWS))

    same = next(learners)
    before = await rows()
    for _ in range(REQUESTS):
        await post()
        await get()
    return (await rows() - before) / (REQUESTS + 2)


@pytest.mark.slow
async def test_a_request_reads_no_more_rows_however_much_there_is(
    owner: Connection, database_url: str
) -> None:
    """The whole way in one state of statistics; its statements in all of them: `tests.costs`."""
    school = School(owner, database_url, "analyzed while empty")
    await school.found()
    for known in FACTS:  # their steps are counted elsewhere
        await pause_projection(owner, known.name)
    environment = {"DATABASE_URL": database_url, "COLLOQUY_SEAL_SECONDS": "0"}
    found: list[float] = []
    async with service_process(environment) as early:
        for size in (SIZES[0], SIZES[-1]):
            await school.grow(size + 25 * TURNS)
            learners = iter(school.usual[-TURNS:])
            tokens = {str(one.user_id): str(one.user_id) for one in school.usual}
            async with service_process(environment) as late:
                for process in (early, late):
                    async with client(process.url, tokens) as service:
                        found.append(await rows_each(owner, service, learners))
    # A session may report in the next measurement what it has read in the one before.
    assert max(found) <= 1.5 * min(found[:2]), found
