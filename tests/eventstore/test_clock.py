"""The database's time, advanced between two reads."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from eventstore.clock import MAX_DRIFT, DatabaseClock, database_clock
from eventstore.connections import Connection

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


class Session:
    """A database at noon, which takes two seconds to answer."""

    def __init__(self) -> None:
        self.seconds = 100.0

    async def fetchval(self, query: str, *args: Any) -> Any:
        self.seconds += 2.0
        return NOON


async def test_the_clock_continues_from_the_middle_of_request_and_answer() -> None:
    session = Session()
    clock = DatabaseClock(lambda: session.seconds, lambda: NOON)
    await clock.read(session)
    assert clock.now() == NOON + timedelta(seconds=1)
    session.seconds += 60.0
    assert clock.now() == NOON + timedelta(seconds=61)
    assert clock.drift == -61.0


@pytest.mark.parametrize(
    ("ahead", "warnings"), [(3600.0, 1), (-3600.0, 1), (MAX_DRIFT + 1, 1), (0.0, 0), (MAX_DRIFT, 0)]
)
async def test_a_drifting_clock_is_logged_once_an_hour(ahead: float, warnings: int) -> None:
    session = Session()
    clock = DatabaseClock(lambda: session.seconds, lambda: clock.now() + timedelta(seconds=ahead))
    await clock.read(session)
    with capture_logs() as lines:
        clock.warn_of_drift()
        clock.warn_of_drift()
        assert [line["event"] for line in lines] == ["clock_drift"] * warnings
        session.seconds += 3601.0
        clock.warn_of_drift()
    assert len(lines) == 2 * warnings
    assert all(line["seconds"] == round(ahead, 1) for line in lines)


async def test_the_clock_has_the_databases_time(owner: Connection) -> None:
    clock = await database_clock(owner)
    before = await owner.fetchval("SELECT clock_timestamp()")
    assert timedelta(0) <= before - clock.now() + timedelta(seconds=1) < timedelta(seconds=2)
