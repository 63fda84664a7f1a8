"""All figures of an answer are of one moment, whatever changes while they are read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, cast

import msgspec
import pytest

from eventstore.connections import AccountConnection, AccountPool, Connection, Pool
from projections.definitions import definition
from projections.rebuild import rebuild
from service.analytics.figures import CourseFigures
from service.analytics.figures_queries import Days, FiguresReader
from tests.eventstore.building import Learner
from tests.projections.analysing import Analysis
from tests.projections.viewing import Parts

DAYS = Days(date(2031, 3, 1), date(2031, 3, 2))


@pytest.fixture
def analysis(log_parts: Parts, workers: Pool, owner: Connection) -> Analysis:
    """The events in the test's database, and the tables that an analyst sees of them."""
    return Analysis(log_parts, workers, owner)


@pytest.fixture
async def ada(analysis: Analysis) -> Learner:
    """A learner with one message and its reply."""
    learner = Learner()
    await analysis.at("2031-03-01T10:00Z")
    await analysis.happens(learner.asks_to_open(), learner.opens(), learner.says())
    await analysis.happens(learner.is_answered())
    await analysis.sees("turn_facts", "turn_id")
    return learner


async def figures(pool: AccountPool) -> CourseFigures:
    """The course's figures, without the time at which they were read."""
    result = await FiguresReader(pool).of_course(1, 1, DAYS)
    fresh = msgspec.structs.replace(result.freshness, as_of=DAYS.first)
    return msgspec.structs.replace(result, freshness=fresh)


class InterruptedPool(AccountPool):
    """Awaits an interruption after the first rows that a connection fetches."""

    def __init__(self, pool: AccountPool, interruption: Callable[[], Awaitable[object]]) -> None:
        super().__init__(pool._pool)
        self._interruption = interruption

    @asynccontextmanager
    async def acquire(self, account_id: int) -> AsyncIterator[AccountConnection]:
        async with super().acquire(account_id) as connection:
            yield cast("AccountConnection", InterruptedConnection(connection, self._interruption))


class InterruptedConnection:
    def __init__(
        self, connection: AccountConnection, interruption: Callable[[], Awaitable[object]]
    ) -> None:
        self._connection = connection
        self._interruptions = [interruption]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def fetch(self, *arguments: Any) -> Any:
        rows = await self._connection.fetch(*arguments)
        while self._interruptions:
            await self._interruptions.pop()()
        return rows


async def test_events_appended_while_figures_are_read_are_not_counted(
    ada: Learner, analysis: Analysis, log_parts: Parts
) -> None:
    _, pool, _ = log_parts
    before = await figures(pool)

    async def append_more() -> None:
        await analysis.happens(ada.says(), ada.is_answered())
        await analysis.sees("turn_facts", "turn_id")

    assert await figures(InterruptedPool(pool, append_more)) == before
    after = await figures(pool)
    assert (before.totals.messages, after.totals.messages) == (1, 2)
    assert after.freshness.position == before.freshness.position + 2


async def test_views_are_not_swapped_while_figures_are_read(
    ada: Learner, log_parts: Parts, database_url: str
) -> None:
    """A transaction sees no rows of tables that were filled after its snapshot."""
    _, pool, _ = log_parts
    before = await figures(pool)
    rebuilding: list[asyncio.Task[int]] = []

    async def start_rebuild() -> None:
        rebuilding.append(asyncio.create_task(rebuild(database_url, definition("turn_facts"))))
        await asyncio.wait(rebuilding, timeout=2)

    assert await figures(InterruptedPool(pool, start_rebuild)) == before
    assert await asyncio.wait_for(rebuilding[0], 60) > 0
    assert await figures(pool) == before
