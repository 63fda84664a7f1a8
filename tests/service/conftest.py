"""A service in front of a fake provider, which all tests of a module share.

Modules that need another one have fixtures of the same names.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.databases import cloned_database
from tests.fake_anthropic import FakeAnthropic
from tests.running import Service, running_service


@pytest.fixture(scope="session", autouse=True)
def _judgements_are_waited_for() -> Iterator[None]:
    """However long they take, by replies in this process; tests of late ones say otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.turns.model_reply._ASSESSMENT_TIMEOUT", 60.0)
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fake() -> AsyncIterator[FakeAnthropic]:
    async with FakeAnthropic() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(fake: FakeAnthropic, server_url: str) -> AsyncIterator[Service]:
    """A service that asks the fake provider; every test brings a learner of its own."""
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url, anthropic_base_url=fake.url) as running,
    ):
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other(service: Service, fake: FakeAnthropic) -> AsyncIterator[Service]:
    """Another process on the same database, as far as turns can tell."""
    async with running_service(service.database_url, anthropic_base_url=fake.url) as running:
        running.tokens = service.tokens  # those of later learners too
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def learner(service: Service) -> int:
    """A learner whose dialogue is empty."""
    return await service.enroll()
