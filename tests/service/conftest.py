"""A service in front of a fake provider, which all tests of a module share.

Modules that need another one have fixtures of the same names.
"""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.databases import cloned_database
from tests.fake_anthropic import FakeAnthropic
from tests.running import Service, running_beside, running_service


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
    async with running_beside(service, anthropic_base_url=fake.url) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def learner(service: Service) -> int:
    """A learner whose dialogue is empty."""
    return await service.enroll()
