"""Machines with clocks days apart serve one database, whose clock alone counts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from eventstore.dialogue_events import MessagePosted, OpeningRequested
from eventstore.privacy_events import HistoryRead
from tests.fake_anthropic import FakeAnthropic, Stall
from tests.running import (
    CONVERSATIONS,
    TEACHER,
    Service,
    ServiceProcess,
    client,
    demo_tokens,
    service_process,
)
from tests.shifted_clocks import shifted_by

pytestmark = pytest.mark.faketime

LIMIT = 2
SWEEPS = 5.0
"""Seconds in which every process looks twice for abandoned turns."""


@asynccontextmanager
async def machine(
    days: int, url: str, fake: FakeAnthropic, folder: Path
) -> AsyncIterator[tuple[ServiceProcess, Service]]:
    settings = {
        "DATABASE_URL": url,
        "ANTHROPIC_BASE_URL": fake.url,
        "COLLOQUY_MAX_CREATES": str(LIMIT),
    }
    tokens = await demo_tokens(url)
    clock = folder / f"clock{days}"
    clock.write_text(f"{days:+d}d\n")
    async with (
        service_process(settings | shifted_by(clock)) as process,
        client(process.url, tokens, url) as service,
    ):
        yield process, service


async def test_processes_whose_clocks_are_days_apart_agree(demo_url: str, tmp_path: Path) -> None:
    async with (
        FakeAnthropic() as fake,
        machine(2, demo_url, fake, tmp_path) as (ahead, early),
        machine(-2, demo_url, fake, tmp_path) as (behind, late),
    ):
        for ours, theirs in ((early, late), (late, early)):
            await neither_ends_the_others_turn(fake, ours, theirs)
        await the_daily_limit_is_shared(early, late)
        assert (await early.call("GET", f"{CONVERSATIONS}?user_id=101", user=TEACHER))[0] == 200
        log = await early.history()
        for request in log:
            if isinstance(request.event, OpeningRequested | MessagePosted):
                left = request.event.deadline_at - request.recorded_at
                assert timedelta(0) < left < timedelta(minutes=5)
        reads = [e.metadata.idempotency_key for e in log if isinstance(e.event, HistoryRead)]
        assert len(reads) == len(set(reads))
        for process, days in ((ahead, 2), (behind, -2)):
            (warning,) = process.log_lines("clock_drift")
            assert abs(warning["seconds"] - days * 86_400) < 60
            findings = [line["finding"] for line in process.log_lines("database_unsafe")]
            assert len([line for line in findings if line.startswith("clock: ")]) == 1
            assert not process.log_lines("turn_abandoned")


async def neither_ends_the_others_turn(fake: FakeAnthropic, ours: Service, theirs: Service) -> None:
    fake.script(Stall(after=1))
    await fake.wait_until(lambda: fake.stalled == 0)
    opening = asyncio.create_task(ours.call("POST", CONVERSATIONS))
    await fake.wait_until(lambda: fake.stalled == 1)
    await asyncio.sleep(SWEEPS)
    assert (await theirs.call("POST", CONVERSATIONS))[1]["code"] == "turn_in_progress"
    fake.release()
    assert (await opening)[0] == 201


async def the_daily_limit_is_shared(*services: Service) -> None:
    for service in services:
        answer = await service.request("POST", CONVERSATIONS)
        assert answer.status == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 86_400
