"""A generated term with data for all tables, and its exports, shared by a module's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from eventstore.connections import Connection, Pool, connect
from projections.definitions import definitions
from projections.rebuild import rebuild_all
from tests.bench.term import Term, write_term
from tests.databases import TEMPLATE, cloned_database
from tests.eventstore.building import Learner
from tests.projections.analysing import Analysis
from tests.projections.viewing import Parts
from tests.service.analytics.table_files.exports import FORMATS, take

TERM = Term(events=2_000, courses=4, accounts=2, days=7)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def term(server_url: str) -> AsyncIterator[str]:
    """The URL of a database with a term of two institutions."""
    async with cloned_database(server_url, TEMPLATE) as url:
        await write_term(url, TERM)
        async for _ in rebuild_all(url, definitions().values()):
            pass
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def analyst(term: str) -> AsyncIterator[Connection]:
    """A connection that reads the term's views with SQL."""
    connection = await connect(term, "colloquy_analyst")
    yield connection
    await connection.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def exports(term: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an export of the whole term in each format, named after it."""
    out = tmp_path_factory.mktemp("exports")
    for format_ in FORMATS:
        await take(term, out / format_, format_)
    return out


@pytest.fixture
def analysis(log_parts: Parts, workers: Pool, owner: Connection) -> Analysis:
    """The events in the test's database, and the tables that an analyst sees of them."""
    return Analysis(log_parts, workers, owner)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
async def ada(analysis: Analysis) -> Learner:
    """A learner with a message on the first day, and one on the second."""
    learner = Learner()
    await analysis.at("2031-03-01T10:00Z")
    await analysis.happens(learner.asks_to_open(), learner.opens(), learner.says())
    await analysis.happens(learner.is_answered_well())
    await analysis.at("2031-03-02T10:00Z")
    await analysis.happens(learner.says(), learner.is_answered())
    await analysis.sees("turn_facts", "turn_id")
    return learner
