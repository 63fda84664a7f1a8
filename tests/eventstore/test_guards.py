"""An append is refused if its guard no longer holds."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from eventstore.connections import Connection, connect
from eventstore.envelope import NO_STREAM, RecordedEvent
from eventstore.errors import GuardBroken, LimitReached, WrongExpectedRevision
from eventstore.guards import Guard, Quota
from eventstore.log import EventLog
from service.identity.accounts import link_identity
from service.identity.roster import Enrollment, Role, import_roster
from service.identity.tokens import create_token
from tests.eventstore.building import (
    ACCOUNT,
    BY_LEARNER,
    add_account,
    append,
    message,
    whole_log,
)
from tests.eventstore.waiting import appends_wait

USER, OTHER = 101, 102
AHEAD = "UPDATE log_heads SET recorded_at = now() + interval '3 days'"
HOLD = "SELECT FROM log_heads FOR UPDATE"


async def enroll(owner: Connection, role: Role = "learner", user: int = USER) -> None:
    row = Enrollment(course_id=1, user_id=user, name="Ada", role=role, status="active")
    await import_roster(owner, ACCOUNT, [row])


@pytest.fixture(autouse=True)
async def _people(owner: Connection) -> None:
    for user in (USER, OTHER):
        await enroll(owner, user=user)
        await create_token(owner, ACCOUNT, user)
    await link_identity(owner, ACCOUNT, "ada", USER)


async def guarded(
    log: EventLog, guard: Guard, stream: str = "s", expected: int | None = None
) -> list[RecordedEvent]:
    return await log.append(
        ACCOUNT, stream, [message()], expected=expected, metadata=BY_LEARNER, guard=guard
    )


HOLDING: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a token": {"token_id": 1},
    "a time to come": {"until": datetime.now(UTC) + timedelta(hours=1)},
    "a name": {"subject": "ada", "user_id": USER},
    "a role": {"course_id": 1, "user_id": USER, "role": "learner"},
    "streams where nothing is": {"streams": ("learner-101", "experience-1")},
}
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no such token": ({"token_id": 99}, "token"),
    "no administrator's token": ({"token_id": 1, "admin": True}, "token"),
    "a time that is over": ({"until": datetime(2020, 1, 1, tzinfo=UTC)}, "token"),
    "nobody's name": ({"subject": "grace", "user_id": USER}, "token"),
    "another's name": ({"subject": "ada", "user_id": OTHER}, "token"),
    "another role": ({"course_id": 1, "user_id": USER, "role": "teacher"}, "role"),
    "no course of theirs": ({"course_id": 2, "user_id": USER, "role": "learner"}, "role"),
}


@pytest.mark.parametrize("name", HOLDING)
async def test_an_append_whose_guard_holds_is_stored(name: str, log: EventLog) -> None:
    await append(log, "learner-101", message())
    assert await guarded(log, Guard(position=1, **HOLDING[name])) == (await whole_log(log))[1:]


@pytest.mark.parametrize("name", BROKEN)
async def test_an_append_whose_guard_is_broken_stores_nothing(name: str, log: EventLog) -> None:
    conditions, changed = BROKEN[name]
    with pytest.raises(GuardBroken) as refusal:
        await guarded(log, Guard(position=0, **conditions))
    assert refusal.value.changed == changed
    assert await whole_log(log) == []


async def test_a_newer_event_in_a_guarded_stream_breaks_the_guard(log: EventLog) -> None:
    await append(log, "experience-1", message())
    await append(log, "experience-1", message())
    await guarded(log, Guard(position=2, streams=("learner-101", "experience-1")))
    with pytest.raises(GuardBroken) as refusal:
        await guarded(log, Guard(position=1, streams=("learner-101", "experience-1")))
    assert refusal.value.changed == "stream"


async def test_the_expected_revision_covers_the_appends_own_stream(log: EventLog) -> None:
    await append(log, "s", message())
    guard = Guard(position=0, streams=("s",))
    with pytest.raises(WrongExpectedRevision):
        await guarded(log, guard, expected=NO_STREAM)
    await guarded(log, guard, expected=1)


async def test_another_accounts_tokens_streams_and_names_do_not_count(
    owner: Connection, log: EventLog
) -> None:
    await add_account(owner, 2)
    await append(log, "experience-1", message(), account_id=2)
    await guarded(log, Guard(position=0, streams=("experience-1",)))
    for conditions in (HOLDING["a token"], HOLDING["a name"], HOLDING["a role"]):
        with pytest.raises(GuardBroken):
            await log.append(
                *(2, "s", [message()]),
                expected=None,
                metadata=BY_LEARNER,
                guard=Guard(position=1, **conditions),
            )


@pytest.fixture
async def holder(database_url: str) -> AsyncIterator[Connection]:
    """A connection that can hold the account's head row."""
    connection = await connect(database_url)
    yield connection
    await connection.close()


async def at_once(owner: Connection, holder: Connection, *appends: Any) -> list[Any]:
    """The results of appends of which all but the first two share a batch."""
    async with holder.transaction():
        await holder.execute(HOLD)
        first = asyncio.gather(*appends[:2], return_exceptions=True)
        await appends_wait(owner, 1)
        others = asyncio.gather(*appends[2:], return_exceptions=True)
        await asyncio.sleep(0)
    return [*(await first), *(await others)]


async def test_the_other_appends_of_a_batch_are_stored_if_one_is_refused(
    owner: Connection, holder: Connection, log: EventLog
) -> None:
    bad, good = Guard(position=0, token_id=99), Guard(position=0, token_id=1)
    appends = [guarded(log, bad if n % 3 == 0 else good, f"s{n}", NO_STREAM) for n in range(2, 30)]
    results = await at_once(
        owner, holder, append(log, "a", message()), append(log, "b", message()), *appends
    )
    refused = [n for n, result in enumerate(results) if isinstance(result, GuardBroken)]
    assert refused == [n for n in range(2, 30) if n % 3 == 0]
    stored = [e for result in results if isinstance(result, list) for e in result]
    assert sorted(stored, key=lambda e: e.position) == await whole_log(log)


async def test_a_refused_append_leaves_no_gap_in_its_stream(
    owner: Connection, holder: Connection, log: EventLog
) -> None:
    """They expect no revision, so without guards they would share a batch."""
    bad, good = Guard(position=0, token_id=99), Guard(position=0, token_id=1)
    results = await at_once(
        owner,
        holder,
        append(log, "a", message()),
        append(log, "b", message()),
        *(guarded(log, bad if n % 2 else good) for n in range(10)),
        *(append(log, "s", message()) for _ in range(5)),
    )
    stored = [e for result in results[2:] if isinstance(result, list) for e in result]
    assert sorted(e.revision for e in stored) == list(range(1, 11))
    assert len(await log.read_stream(ACCOUNT, "s")) == 10


def limited(most: int, user: int = USER, kind: str = "message") -> Guard:
    return Guard(position=0, limit=Quota(user_id=user, kind=kind, most=most))


async def test_a_limit_is_exact_in_one_batch(
    owner: Connection, holder: Connection, log: EventLog
) -> None:
    """Requests of other users or kinds, and requests refused for other reasons, do not count."""
    broken = msgspec.structs.replace(limited(3), token_id=99)
    results = await at_once(
        owner,
        holder,
        append(log, "a", message()),
        append(log, "b", message()),
        *(guarded(log, broken, f"broken-{n}") for n in range(3)),
        *(guarded(log, limited(3), f"mine-{n}", NO_STREAM) for n in range(6)),
        *(guarded(log, limited(2, OTHER), f"other-{n}", NO_STREAM) for n in range(2)),
        *(guarded(log, limited(1, USER, "create"), f"create-{n}", NO_STREAM) for n in range(1)),
    )
    # The two before the batch are messages of the same user, and count.
    outcomes = [type(result).__name__ for result in results]
    assert outcomes[2:5] == ["GuardBroken"] * 3
    assert outcomes[5:11] == ["list"] + ["LimitReached"] * 5
    assert outcomes[11:] == ["list"] * 3


async def test_the_day_is_that_of_the_append(owner: Connection, log: EventLog) -> None:
    """After a clock was ahead, appends keep its day, and limits still apply."""
    await owner.execute(AHEAD)
    (event, *_) = await guarded(log, limited(2))
    await guarded(log, limited(2))
    with pytest.raises(LimitReached) as refusal:
        await guarded(log, limited(2))
    assert refusal.value.day == event.recorded_at.astimezone(UTC).date()
    assert refusal.value.day >= (datetime.now(UTC) + timedelta(days=2)).date()
