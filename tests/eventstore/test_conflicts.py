"""Appends are retried while others append first, up to a limit."""

import asyncio

import pytest

from eventstore.conflicts import MAX_ATTEMPTS, retry_on_conflict
from eventstore.errors import GuardBroken, LogBusy, WrongExpectedRevision
from eventstore.log import EventLog
from tests.eventstore.building import append, message
from tests.eventstore.log_reading import read_all


class TooBusy(Exception):
    """Every attempt met a conflict."""


def conflict() -> WrongExpectedRevision:
    return WrongExpectedRevision("s", 1, 2)


class Attempts:
    """Raises the errors given, one an attempt, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.made = 0

    async def __call__(self) -> str:
        self.made += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


async def test_conflicts_are_retried_and_other_errors_are_not() -> None:
    after_two = Attempts(conflict(), conflict())
    assert await retry_on_conflict(after_two, TooBusy) == "done"
    assert after_two.made == 3
    other = Attempts(conflict(), LogBusy())
    with pytest.raises(LogBusy):
        await retry_on_conflict(other, TooBusy)
    assert other.made == 2
    guarded = Attempts(GuardBroken("stream"))
    assert await retry_on_conflict(guarded, TooBusy, conflict=GuardBroken) == "done"
    with pytest.raises(GuardBroken):
        await retry_on_conflict(Attempts(GuardBroken("stream")), TooBusy)


async def test_retries_end() -> None:
    endless = Attempts(*(conflict() for _ in range(100)))
    with pytest.raises(TooBusy):
        await retry_on_conflict(endless, TooBusy)
    assert endless.made == MAX_ATTEMPTS
    twice = Attempts(*(conflict() for _ in range(100)))
    with pytest.raises(TooBusy):
        await retry_on_conflict(twice, TooBusy, attempts=2)
    assert twice.made == 2


async def test_writers_of_one_stream_all_append_in_the_end(log: EventLog) -> None:
    async def extend() -> None:
        revision = len(await log.read_stream(1, "s"))
        await append(log, "s", message(), expected=revision)

    await asyncio.gather(*(retry_on_conflict(extend, TooBusy) for _ in range(8)))
    assert [event.revision for event in await read_all(log)] == list(range(1, 9))
