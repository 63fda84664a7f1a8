"""A tail lasts no longer than its reader's leave, and tells how far it is while it looks."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientError

from eventstore.connections import connect
from eventstore.running_log import running_log
from service.audit.event_search import EventFilter, EventSearch
from service.audit.live_tail import LiveTail
from service.errors import InvalidToken
from tests.eventstore.building import append, append_steps, history
from tests.running import Service, eventually, running_service
from tests.service.audit.test_audited_events import AUDITOR, EVENTS, Tail, hold

REVOKE = "UPDATE tokens SET revoked_at = now() WHERE user_id = $1"


@pytest.fixture
async def service(demo_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    """A service whose tails are never silent for long, with a random history."""
    monkeypatch.setattr("service.audit.live_tail.SILENCE", 0.0)
    async with running_service(demo_url) as running:
        async with running_log(demo_url) as (log, _, _):
            await append_steps(log, history(3))
        yield running


async def test_a_tail_ends_when_its_token_is_revoked(service: Service) -> None:
    tail = Tail(service, 0)
    try:
        await eventually(lambda: bool(tail.frames))
        owner = await connect(service.database_url)
        await owner.execute(REVOKE, AUDITOR)
        await owner.close()
        await eventually(lambda: tail.ended)
        last = tail.frames[-1][0]
        async with running_log(service.database_url) as (log, _, _):
            await append(log, "learner-4444", hold(4444))
        assert last < await service.head()
        again = await service.request("GET", EVENTS, user=AUDITOR)
        assert again.status == 401
    finally:
        await tail.close()


async def test_lines_end_when_their_token_is_revoked(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not in order, so that nobody takes them for all that there were."""
    asked = 0

    async def refuse(_: object) -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise InvalidToken

    monkeypatch.setattr("service.audit.event_streams.PAGE", 1)
    monkeypatch.setattr("service.audit.event_streams.auditor_of", refuse)
    lines: list[bytes] = []

    async def read() -> None:
        headers = {
            "Accept": "application/x-ndjson",
            "Authorization": f"Bearer {service.tokens[str(AUDITOR)]}",
        }
        async with service._http.get(service.url + EVENTS, headers=headers) as answer:
            while line := await answer.content.readline():
                lines.append(line)

    with pytest.raises(ClientError):
        await read()
    assert asked == 3
    assert len(lines) <= 2


async def test_nothing_that_was_found_is_handed_to_who_may_not_read_any_more(
    service: Service,
) -> None:
    answers = [True, False]

    async def ask() -> bool:
        return answers.pop(0)

    async with running_log(service.database_url) as (_log, pool, notifier):
        tails = LiveTail(EventSearch(pool), notifier)
        assert [found async for found in tails.follow(1, EventFilter(), 0, ask)] == []
    assert answers == []


async def test_a_tail_that_finds_nothing_for_long_tells_where_to_go_on(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.audit.event_search.WINDOW", 10)
    head = await service.head()
    assert head > 30
    headers = {
        "Accept": "text/event-stream",
        "Authorization": f"Bearer {service.tokens[str(AUDITOR)]}",
    }
    url = f"{service.url}{EVENTS}?type=none.v1"
    async with service._http.get(url, headers=headers) as response:
        lines = [(await response.content.readline()).decode().strip() for _ in range(9)]
    assert lines == [
        *(": keep-alive", "id: 10", ""),
        *(": keep-alive", "id: 20", ""),
        *(": keep-alive", "id: 30", ""),
    ]
