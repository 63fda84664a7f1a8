"""Many appends at once, from one process and from several."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator

import msgspec
import pytest

from eventstore import group_commit
from eventstore.append_batch import PendingAppend, new_pending_append
from eventstore.connections import AccountPool, Connection
from eventstore.envelope import NO_STREAM, RecordedEvent
from eventstore.errors import LogBusy, LogClosed, LogUnavailable, WrongExpectedRevision
from eventstore.group_commit import GroupCommit
from eventstore.log import EventLog
from eventstore.notifier import Notifier
from eventstore.running_log import running_log
from tests.eventstore.building import (
    ACCOUNT,
    BY_LEARNER,
    add_account,
    append,
    message,
    messages,
    positions,
    whole_log,
)
from tests.eventstore.log_reading import follow
from tests.eventstore.waiting import eventually

PRODUCERS = 12
APPENDS = 25


Parts = tuple[EventLog, AccountPool, Notifier]


@pytest.fixture
async def other_parts(database_url: str) -> AsyncIterator[Parts]:
    """Another process' log on the same database, with its pool and notifier."""
    async with running_log(database_url) as parts:
        yield parts


@pytest.fixture
def other_log(other_parts: Parts) -> EventLog:
    """Another process' log on the same database."""
    return other_parts[0]


async def produce(
    log: EventLog, streams: list[str], seed: int, account_id: int = ACCOUNT
) -> list[list[RecordedEvent]]:
    """Appends one to three events at a time to random streams."""
    chance = random.Random(seed)
    return [
        await append(
            log, chance.choice(streams), *messages(chance.randint(1, 3)), account_id=account_id
        )
        for _ in range(APPENDS)
    ]


async def produce_at_once(*logs: EventLog) -> list[RecordedEvent]:
    """The results of many concurrent producers over all logs, in the log's order."""
    streams = ["hot", *(f"s{n}" for n in range(5))]
    producers = (produce(logs[n % len(logs)], streams, n) for n in range(PRODUCERS))
    done = await asyncio.gather(*producers)
    events = [event for appends in done for appended in appends for event in appended]
    return sorted(events, key=lambda event: event.position)


def assert_dense(events: list[RecordedEvent]) -> None:
    """Positions, and revisions of each stream, count from 1 in the log's order."""
    assert positions(events) == list(range(1, len(events) + 1))
    revisions = defaultdict(list)
    for event in events:
        revisions[event.stream].append(event.revision)
    assert all(seen == list(range(1, len(seen) + 1)) for seen in revisions.values())


@pytest.mark.parametrize("streams", [["one"], [f"s{n}" for n in range(30)]], ids=["one", "many"])
async def test_every_append_that_succeeds_is_stored_and_no_other(
    log: EventLog, streams: list[str]
) -> None:
    done = await asyncio.gather(*(produce(log, streams, n) for n in range(PRODUCERS)))
    appended = [event for appends in done for events in appends for event in events]
    stored = await whole_log(log)
    assert sorted(appended, key=lambda event: event.position) == stored
    assert_dense(stored)


async def test_two_processes_share_one_dense_log(log: EventLog, other_log: EventLog) -> None:
    appended = await produce_at_once(log, other_log)
    assert appended == await whole_log(log)
    assert_dense(appended)


async def test_the_order_in_each_stream_is_its_order_in_the_whole_log(
    log: EventLog, other_log: EventLog
) -> None:
    await produce_at_once(log, other_log)
    everything = await whole_log(log)
    for stream in {event.stream for event in everything}:
        of_stream = [event for event in everything if event.stream == stream]
        assert await other_log.read_stream(ACCOUNT, stream) == of_stream


async def test_the_events_of_one_append_have_consecutive_positions(
    log: EventLog, other_log: EventLog
) -> None:
    done = await asyncio.gather(
        *(produce(one, ["hot"], n) for n, one in enumerate([log, other_log] * 4))
    )
    for events in (appended for appends in done for appended in appends):
        first = events[0]
        assert [(e.position, e.revision) for e in events] == [
            (first.position + n, first.revision + n) for n in range(len(events))
        ]


async def test_time_does_not_fall_with_the_position(log: EventLog, other_log: EventLog) -> None:
    times = [event.recorded_at for event in await produce_at_once(log, other_log)]
    assert times == sorted(times)


async def test_followers_see_every_event_once_and_in_order_while_two_processes_append(
    log_parts: Parts, other_parts: Parts
) -> None:
    seen: list[list[RecordedEvent]] = []

    async def collect(one: Parts, limit: int) -> None:
        seen.append(mine := [])
        async for events in follow(one[0], one[2], ACCOUNT, limit=limit):
            mine += events

    following = [
        asyncio.create_task(collect(one, limit))
        for one in (log_parts, other_parts)
        for limit in (1, 100)
    ]
    appended = await produce_at_once(log_parts[0], other_parts[0])

    async def all_have_all() -> bool:
        return all(len(events) >= len(appended) for events in seen)

    await eventually(all_have_all)
    for task in following:
        task.cancel()
    await asyncio.wait(following)
    assert seen == [appended] * 4


async def test_accounts_do_not_mix_in_a_busy_queue(log: EventLog, owner: Connection) -> None:
    for account_id in (2, 3):
        await add_account(owner, account_id)
    await asyncio.gather(
        *(produce(log, ["one", "two"], n, account_id=1 + n % 3) for n in range(PRODUCERS))
    )
    for account_id in (1, 2, 3):
        assert_dense(await whole_log(log, account_id))


@pytest.mark.parametrize("streams", [1, 10])
async def test_exactly_one_of_concurrent_appends_at_one_revision_succeeds(
    log: EventLog, other_log: EventLog, streams: int
) -> None:
    results = await asyncio.gather(
        *(
            append(one, f"s{n % streams}", message(), expected=NO_STREAM)
            for n in range(streams * 10)
            for one in (log, other_log)
        ),
        return_exceptions=True,
    )
    won = [result[0] for result in results if isinstance(result, list)]
    lost = [result for result in results if isinstance(result, WrongExpectedRevision)]
    assert sorted(event.stream for event in won) == sorted(f"s{n}" for n in range(streams))
    assert len(won) + len(lost) == len(results)
    assert sorted(positions(won)) == positions(await whole_log(log)) == list(range(1, streams + 1))


async def test_concurrent_writers_of_a_stream_all_append(
    log: EventLog, other_log: EventLog
) -> None:
    """Writers that lose read and append again, as the service does."""

    async def extend(one: EventLog) -> RecordedEvent:
        while True:
            revision = len(await one.read_stream(ACCOUNT, "s"))
            try:
                return (await append(one, "s", message(), expected=revision))[0]
            except WrongExpectedRevision:
                continue

    won = await asyncio.gather(*(extend(one) for one in [log, other_log] * 10))
    assert sorted(event.revision for event in won) == list(range(1, 21))
    assert_dense(await whole_log(log))


async def test_an_append_of_a_cancelled_caller_reaches_the_disk(
    log_parts: Parts, owner: Connection
) -> None:
    log, _, notifier = log_parts
    follower = follow(log, notifier, ACCOUNT)
    async with owner.transaction():
        await owner.execute("SELECT FROM log_heads FOR UPDATE")
        caller = asyncio.create_task(append(log, "s", message("Not lost")))
        await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
    async with asyncio.timeout(10):
        (event,) = await anext(follower)
    assert event.content == "Not lost"


async def test_closing_commits_waiting_appends_and_refuses_new_ones(
    database_url: str, log: EventLog
) -> None:
    commits = GroupCommit(database_url, lambda _: None)
    commits.start()
    items = [waiting_item(n) for n in range(500)]
    waiting = [asyncio.create_task(commits.submit(item)) for item in items]
    await asyncio.sleep(0)
    await commits.close()
    assert [task.result()[0].stream for task in waiting] == [item.stream for item in items]
    with pytest.raises(LogClosed):
        await commits.submit(waiting_item(500))
    assert len(await whole_log(log)) == 500


async def test_more_than_may_wait_is_refused_at_once(
    database_url: str, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MAX_WAITING", 3)
    commits = GroupCommit(database_url, lambda _: None)
    waiting = [asyncio.create_task(commits.submit(waiting_item(n))) for n in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(LogBusy):
        await commits.submit(waiting_item(3))
    commits.start()
    assert [(await task)[0].stream for task in waiting] == ["s0", "s1", "s2"]
    await commits.submit(waiting_item(4))
    await commits.close()


async def test_an_append_that_waited_too_long_is_not_sent(database_url: str, log: EventLog) -> None:
    commits = GroupCommit(database_url, lambda _: None, timeout=20.0)
    late = msgspec.structs.replace(waiting_item(1), since=asyncio.get_running_loop().time() - 21)
    tasks = [asyncio.create_task(commits.submit(item)) for item in (late, waiting_item(2))]
    commits.start()
    with pytest.raises(LogUnavailable):
        await tasks[0]
    assert await tasks[1] == await whole_log(log)
    await commits.close()


def waiting_item(number: int) -> PendingAppend:
    return new_pending_append(ACCOUNT, f"s{number}", None, [message()], BY_LEARNER)
