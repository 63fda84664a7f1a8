"""A server whose queue of notifications is full; every login can fill it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest

from eventstore.connection_urls import with_login
from eventstore.connections import Connection, connect, open_pool
from eventstore.running_log import running_log
from service.analytics.analyst_logins import create_analyst
from service.analytics.analyst_sessions import AnalystSessions
from service.process.database import prepare
from service.timing import USUAL
from tests.fake_anthropic import FakeAnthropic, Stall
from tests.running import eventually, fetch_value, running_service
from tests.servers import OwnServer, own_server

pytestmark = pytest.mark.slow

HOLDER = """
SELECT pid FROM pg_locks
 WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32) | objid::bigint = $1
"""


HOLDERS = """
SELECT array_agg(pid ORDER BY pid) FROM pg_locks
 WHERE locktype = 'advisory' AND mode = 'ExclusiveLock'
"""
"""The sessions by which processes count as alive, among a few."""


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with own_server(fsync="off", max_notify_queue_pages="64") as server:
        asyncio.run(prepare(server.url))
        yield server


@asynccontextmanager
async def full_queue(server: OwnServer) -> AsyncIterator[asyncpg.Connection]:
    """An analyst listens, reads nothing, and sends notifications until the server refuses them."""
    owner = await connect(server.url)
    login = f"ana_{await owner.fetchval('SELECT count(*) FROM analysts')}"
    url = with_login(server.url, login, await create_analyst(owner, login, [1], None))
    deaf, loud = await asyncpg.connect(url), await asyncpg.connect(url)
    await deaf.execute("LISTEN x")
    await deaf.execute("BEGIN; SELECT 1")
    with pytest.raises(asyncpg.ProgramLimitExceededError, match="too many notifications"):
        await _notify_for_ever(loud)
    try:
        yield deaf
    finally:
        for session in (deaf, loud):
            session.terminate()
        await owner.close()


async def _notify_for_ever(session: asyncpg.Connection) -> None:
    for number in range(10_000):
        await session.execute(f"NOTIFY x, '{number:07900}'")


async def test_a_reply_under_way_is_recorded_and_its_process_stays_alive(
    server: OwnServer,
) -> None:
    async with (
        FakeAnthropic() as fake,
        running_service(server.url, anthropic_base_url=fake.url, max_creates=10_000) as service,
        running_service(server.url),
    ):
        conversation = await service.open()
        fake.script(Stall(after=1))
        saying = asyncio.create_task(service.say(conversation["id"], "Still there?"))
        await fake.wait_until(lambda: fake.stalled == 1)
        alive = await fetch_value(server.url, HOLDERS)
        async with full_queue(server):
            sweeps = asyncio.create_task(asyncio.sleep(4 * USUAL.sweep))  # of the other process
            while not sweeps.done():
                await service.open(user=102)  # each is to be told
            assert not saying.done()
            assert await fetch_value(server.url, HOLDERS) == alive
            fake.release()
            status, body = await saying
        assert (status, body["messages"][2]["text"]) == (200, "Still there?")
        assert body == await service.active()


async def test_notifications_are_sent_when_the_queue_has_room(server: OwnServer) -> None:
    async with (
        running_log(server.url) as (_, _, near),
        running_log(server.url) as (_, _, far),
        AsyncExitStack() as stack,
    ):
        owner: Connection = await connect(server.url)
        stack.push_async_callback(owner.close)
        workers = await open_pool(server.url, "colloquy_worker", 1)
        stack.push_async_callback(workers.close)
        alive = await owner.fetchval(HOLDER, near.owner)
        wake_event, heard = far.wake_event(1), asyncio.Event()
        far.subscribe("word", lambda _: heard.set())
        deaf = await stack.enter_async_context(full_queue(server))
        near.send("word", "text")
        near.notify(1)
        await eventually(lambda: near._is_failing)
        assert not wake_event.is_set()
        await AnalystSessions(workers, timedelta(0)).end_old()
        await eventually(deaf.is_closed)
        async with asyncio.timeout(20):
            await heard.wait()
            await wake_event.wait()
        assert await owner.fetchval(HOLDER, near.owner) == alive
