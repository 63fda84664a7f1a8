"""A live tail ends with its reader's permission, and reports its position while it searches."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientError

from eventstore.connections import connect
from eventstore.running_log import running_log
from service.audit.event_search import EventFilter, EventPage, EventSearch
from service.audit.live_tail import LiveTail
from service.timing import Timing
from tests.eventstore.building import append, append_steps, history, message
from tests.running import Service, eventually, running_service
from tests.service.audit.test_audited_events import AUDITOR, EVENTS, Tail, hold

REVOKE = "UPDATE tokens SET revoked_at = now() WHERE user_id = $1"


@pytest.fixture
async def service(demo_url: str) -> AsyncIterator[Service]:
    """A service whose tails are never silent, with a random history."""
    async with running_service(demo_url, Timing(assessment=60.0, keep_alive=0.0)) as running:
        async with running_log(demo_url) as (log, _, _):
            await append_steps(log, history(3))
        yield running


def headers_for(service: Service, media: str) -> dict[str, str]:
    return {"Accept": media, "Authorization": f"Bearer {service.tokens[str(AUDITOR)]}"}


async def revoke_token(service: Service) -> None:
    owner = await connect(service.database_url)
    await owner.execute(REVOKE, AUDITOR)
    await owner.close()


async def test_a_tail_ends_when_its_token_is_revoked(service: Service) -> None:
    tail = Tail(service, 0)
    try:
        await eventually(lambda: bool(tail.frames))
        await revoke_token(service)
        await eventually(lambda: tail.ended)
        last = tail.frames[-1][0]
        async with running_log(service.database_url) as (log, _, _):
            await append(log, "learner-4444", hold(4444))
        assert last < await service.head()
        again = await service.request("GET", EVENTS, user=AUDITOR)
        assert again.status == 401
    finally:
        await tail.close()


async def test_lines_break_off_when_their_token_is_revoked(service: Service) -> None:
    """They do not end in order, so that nobody takes them for the whole log."""
    async with running_log(service.database_url) as (log, _, _):
        for _ in range(64):  # more than the sockets between client and service take
            await append(log, "dialogue-1-101", message("x" * 2**18))
    lines: list[bytes] = []
    headers = headers_for(service, "application/x-ndjson")
    async with service._http.get(service.url + EVENTS, headers=headers) as response:

        async def read_on() -> None:
            while line := await response.content.readline():
                lines.append(line)

        lines.append(await response.content.readline())
        await revoke_token(service)
        with pytest.raises(ClientError):
            await read_on()
    assert len(lines) < await service.head()


async def test_a_page_is_not_yielded_once_the_reader_may_not_read(service: Service) -> None:
    answers = [True, False]

    async def check() -> bool:
        return answers.pop(0)

    async with running_log(service.database_url) as (_log, pool, notifier):
        tail = LiveTail(EventSearch(pool), notifier, keep_alive=0.0)
        assert [page async for page in tail.follow(1, EventFilter(), 0, check)] == []
    assert answers == []


async def test_a_tail_without_matching_events_sends_the_position_to_resume_from(
    service: Service,
) -> None:
    url = f"{service.url}{EVENTS}?type=none.v1"
    async with service._http.get(
        url, headers=headers_for(service, "text/event-stream")
    ) as response:
        lines = [(await response.content.readline()).decode().strip() for _ in range(3)]
    assert lines == [": keep-alive", f"id: {await service.head()}", ""]


async def test_a_tail_yields_its_position_after_each_window_of_the_log(service: Service) -> None:
    assert await service.head() > 30
    async with running_log(service.database_url) as (_log, pool, notifier):
        tail = LiveTail(EventSearch(pool, window=10), notifier, keep_alive=0.0)
        pages = tail.follow(1, EventFilter(types=("none.v1",)), 0)
        assert [await anext(pages) for _ in range(3)] == [EventPage([], n) for n in (10, 20, 30)]
