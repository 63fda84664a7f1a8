"""All that an answer tells is of one moment, whatever becomes of the views while it is read."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date

import msgspec
import pytest

from eventstore.connections import AccountConnection, AccountPool, Connection, Pool
from projections.definitions import definition
from projections.rebuild import rebuild
from service.analytics import figures_queries as reading
from service.analytics.figures import CourseFigures
from service.analytics.figures_queries import Days, FiguresReader
from tests.eventstore.building import Learner
from tests.projections.analysing import Analysis
from tests.projections.viewing import Parts

DAYS = Days(date(2031, 3, 1), date(2031, 3, 2))


@pytest.fixture
def analysis(log_parts: Parts, workers: Pool, owner: Connection) -> Analysis:
    """What happens in the test's database, and what an analyst sees of it."""
    return Analysis(log_parts, workers, owner)


@pytest.fixture
async def ada(analysis: Analysis) -> Learner:
    """A learner who has said something and was answered."""
    learner = Learner()
    await analysis.at("2031-03-01T10:00Z")
    await analysis.happens(learner.asks_to_open(), learner.opens(), learner.says())
    await analysis.happens(learner.is_answered())
    await analysis.sees("turn_facts", "turn_id")
    return learner


async def figures(pool: AccountPool) -> CourseFigures:
    """The course's; when they were read is left out."""
    result = await FiguresReader(pool).of_course(1, 1, DAYS)
    fresh = msgspec.structs.replace(result.freshness, as_of=DAYS.first)
    return msgspec.structs.replace(result, freshness=fresh)


def meanwhile(monkeypatch: pytest.MonkeyPatch, what: Callable[[], Awaitable[object]]) -> None:
    """Lets something happen between the first statement of an answer and the others."""
    first = reading._freshness

    async def interrupted(
        connection: AccountConnection, account_id: int, names: list[str]
    ) -> object:
        result = await first(connection, account_id, names)
        await what()
        return result

    monkeypatch.setattr(reading, "_freshness", interrupted)


async def test_what_happens_while_figures_are_read_is_in_none_of_them(
    ada: Learner, analysis: Analysis, log_parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, pool, _ = log_parts
    before = await figures(pool)

    async def she_goes_on() -> None:
        await analysis.happens(ada.says(), ada.is_answered())
        await analysis.sees("turn_facts", "turn_id")

    with monkeypatch.context() as patch:
        meanwhile(patch, she_goes_on)
        assert await figures(pool) == before
    after = await figures(pool)
    assert (before.totals.messages, after.totals.messages) == (1, 2)
    assert after.freshness.position == before.freshness.position + 2


async def test_views_are_not_swapped_while_figures_are_read(
    ada: Learner, log_parts: Parts, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new tables were filled after that moment: it would see nothing in them."""
    _, pool, _ = log_parts
    before = await figures(pool)
    rebuilding: list[asyncio.Task[int]] = []

    async def somebody_rebuilds() -> None:
        rebuilding.append(asyncio.create_task(rebuild(database_url, definition("turn_facts"))))
        await asyncio.wait(rebuilding, timeout=2)

    with monkeypatch.context() as patch:
        meanwhile(patch, somebody_rebuilds)
        assert await figures(pool) == before
    assert await asyncio.wait_for(rebuilding[0], 60) > 0
    assert await figures(pool) == before
