"""Idempotency keys are in the log as hashes under a user's secret, which erasure deletes."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import msgspec
import pytest

from eventstore.codec import encode
from eventstore.connections import Connection, connect
from eventstore.envelope import Actor, Metadata, NewEvent, RecordedEvent
from eventstore.errors import AppendRefused
from eventstore.log import EventLog
from eventstore.privacy_events import HistoryRead
from eventstore.running_log import running_log
from tests.eventstore.building import add_account, append, message
from tests.eventstore.test_plans import nodes
from tests.request_keys import hash_of, read_secrets
from tests.running import eventually
from tests.service.privacy.erasing import tables_with

USER = 101
KEY = "ada-is-pregnant-1994"
ROLES = ("colloquy_service", "colloquy_worker", "colloquy_auditor", "colloquy_analyst")
ERASE = "SELECT outcome FROM erase_learner_v1($1, $2, 'letter', $3)"
OPERATOR = encode(Metadata(actor=Actor(None, "operator")))


def of(user: int | None, key: str = KEY) -> Metadata:
    return Metadata(actor=Actor(user, "learner"), idempotency_key=key)


def read() -> NewEvent:
    """An event that begins no turn, since erasure waits for open turns."""
    return NewEvent(event=HistoryRead(what="conversation"))


async def is_waiting(watcher: Connection) -> bool:
    """Whether an append waits for a lock."""
    return bool(
        await watcher.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND query LIKE '%hash_request_keys_v1%' AND datname = current_database())"
        )
    )


async def erase(owner: Connection, user: int, account: int = 1) -> str:
    """Erases as the service's role in the account."""
    await owner.execute(f"SET colloquy.account = '{account}'")
    return str(await owner.fetchval(ERASE, account, user, OPERATOR))


@pytest.fixture
async def others(database_url: str) -> AsyncIterator[list[EventLog]]:
    """The logs of other processes on the same database."""
    async with AsyncExitStack() as stack:
        parts = [await stack.enter_async_context(running_log(database_url)) for _ in range(3)]
        yield [log for log, *_ in parts]


async def test_a_key_is_nowhere_in_the_database_and_its_request_is_found(
    log: EventLog, owner: Connection, others: list[EventLog]
) -> None:
    """By other processes, too, and for users without a roster entry."""
    (asked,) = await append(log, "s", message(), metadata=of(USER))
    assert asked.metadata.idempotency_key is None, "what came back is not what the log has"
    await owner.execute("ANALYZE")
    assert await tables_with(owner, KEY) == []
    for process in (log, *others):
        found = await process.find_request(1, of(USER))
        assert found is not None
        assert found.event_id == asked.event_id
        assert await process.find_request(1, of(USER, "another")) is None
        assert await process.find_request(1, of(102)) is None


async def test_the_hash_is_the_hmac_of_the_standard_library(
    log: EventLog, owner: Connection
) -> None:
    for number, key in enumerate((KEY, "k", "x" * 255, "key of ours ä")):
        await append(log, f"s{number}", message(), metadata=of(USER, key))
        (event,) = await log.read_stream(1, f"s{number}")
        (secret,) = (await read_secrets(owner)).values()
        assert event.metadata.idempotency_key == hash_of(key, secret)


async def test_users_have_secrets_of_their_own_in_each_account(
    log: EventLog, owner: Connection
) -> None:
    await add_account(owner, 2)
    for n, (account, user) in enumerate(((1, USER), (1, 102), (2, USER), (1, USER))):
        await log.append(account, f"s{n}", [message()], expected=None, metadata=of(user, f"k{n}"))
    secrets = [*(await read_secrets(owner)).values(), *(await read_secrets(owner, 2)).values()]
    assert len(secrets) == len(set(secrets)) == 3
    assert {len(secret) for secret in secrets} == {32}


async def test_a_key_that_was_recorded_before_keys_were_hashed_is_still_found(
    log: EventLog, owner: Connection
) -> None:
    """Also for a user who has a secret by now."""
    await owner.fetchrow(
        "SELECT head FROM append_events_v2"
        "($1, $2, $3, '{}', $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        *(1, ["old"], [0], [1], [1], [message().event_id], [encode(message().event)]),
        *([encode(of(USER))], [None], [None], [None], ["message_posted.v1"]),
    )
    assert await owner.fetchval("SELECT metadata->>'idempotency_key' FROM events") == KEY
    found = [await log.find_request(1, of(USER))]
    await append(log, "s", message(), metadata=of(USER, "new"))
    found.append(await log.find_request(1, of(USER)))
    assert [event and event.stream for event in found] == ["old", "old"]


async def test_a_hash_cannot_be_used_as_a_key(log: EventLog) -> None:
    await append(log, "s", message(), metadata=of(USER))
    (event,) = await log.read_stream(1, "s")
    seen = str(event.metadata.idempotency_key)
    assert " " in seen, "or a client could send it"


async def test_a_key_is_on_one_event(log: EventLog, others: list[EventLog]) -> None:
    streams = [
        log.append(1, f"s{n}", [message()], expected=None, metadata=of(USER))
        for n, log in enumerate((log, *others) * 5)
    ]
    outcomes = await asyncio.gather(*streams, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, AppendRefused)]
    assert (len(outcomes), len(refused)) == (20, 19)


async def test_processes_that_meet_new_users_at_once_give_each_one_secret(
    log: EventLog, owner: Connection, others: list[EventLog]
) -> None:
    """In different orders, without a deadlock."""
    chance = random.Random(7)
    users = range(1, 61)

    async def all_of(process: EventLog, name: int) -> None:
        order = chance.sample(users, len(users))
        await asyncio.gather(
            *(
                process.append(
                    1,
                    f"s-{name}-{user}",
                    [message()],
                    expected=None,
                    metadata=of(user, f"{name}-{user}"),
                )
                for user in order
            )
        )

    processes = [log, *others]
    await asyncio.gather(*(all_of(process, name) for name, process in enumerate(processes)))
    assert set(await read_secrets(owner)) == set(users)
    for name in range(len(processes)):
        for user in users:
            found = await log.find_request(1, of(user, f"{name}-{user}"))
            assert found is not None
            assert found.stream == f"s-{name}-{user}"


async def test_only_the_event_with_the_key_is_changed(log: EventLog, owner: Connection) -> None:
    """An assessment in the same append is the model's."""
    model = Metadata(actor=Actor(None, "model"), request_id="r")
    first, last = (msgspec.structs.replace(message(), metadata=model) for _ in range(2))
    await append(log, "s", first, message(), last, metadata=of(USER))
    events = await log.read_stream(1, "s")
    assert [event.metadata.idempotency_key is None for event in events] == [True, False, True]
    assert [events[n].metadata for n in (0, 2)] == [model, model]
    await append(log, "t", message(), metadata=of(None))
    (event,) = await log.read_stream(1, "t")
    assert event.metadata == Metadata(actor=Actor(None, "learner")), "a key that nobody can find"
    assert set(await read_secrets(owner)) == {USER}


async def test_erasing_a_user_deletes_the_secret_and_their_keys_find_nothing(
    log: EventLog, owner: Connection
) -> None:
    """Other users' secrets stay; a later key is new, under a new secret."""
    await owner.execute("INSERT INTO users VALUES (1, $1, 'Ada'), (1, 102, 'Grace')", USER)
    for user in (USER, 102):
        await append(log, f"s{user}", read(), metadata=of(user))
    before = await read_secrets(owner)
    assert await erase(owner, USER) == "erased"
    assert await read_secrets(owner) == {102: before[102]}
    assert await log.find_request(1, of(USER)) is None
    assert await log.find_request(1, of(102)) is not None
    await append(log, "again", read(), metadata=of(USER))
    after = await read_secrets(owner)
    assert after[USER] != before[USER]
    found = await log.find_request(1, of(USER))
    assert found is not None
    assert found.stream == "again"


async def test_a_secret_alone_is_enough_to_erase(log: EventLog, owner: Connection) -> None:
    """An erased user logged in again by an identity provider, without an event."""
    await owner.execute("INSERT INTO users VALUES (1, $1, '[erased]')", USER)
    await append(log, "s", read(), metadata=of(USER))
    assert await erase(owner, USER) == "erased"
    assert await read_secrets(owner) == {}
    assert await erase(owner, USER) == "nothing"


async def test_an_append_that_waits_for_an_erasure_uses_no_deleted_secret(
    log: EventLog, owner: Connection, database_url: str
) -> None:
    watcher = await connect(database_url)
    await owner.execute("INSERT INTO users VALUES (1, $1, 'Ada')", USER)
    await append(log, "s", read(), metadata=of(USER, "first"))
    async with owner.transaction():
        assert await erase(owner, USER) == "erased"
        waiting = asyncio.create_task(append(log, "t", read(), metadata=of(USER, "second")))
        await eventually(lambda: is_waiting(watcher))
    await waiting
    await watcher.close()
    assert await log.find_request(1, of(USER, "second")) is not None


@pytest.mark.parametrize("role", ROLES)
async def test_no_role_reads_secrets_or_tries_keys(
    role: str, log: EventLog, owner: Connection
) -> None:
    """Only the service may look up a key of its account."""
    await append(log, "s", message(), metadata=of(USER))
    await owner.execute(f"SET ROLE {role}")
    for statement in (
        "SELECT * FROM request_secrets",
        "SELECT count(*) FROM request_secrets",
        "DELETE FROM request_secrets",
        "INSERT INTO request_secrets VALUES (1, 7, '', '')",
        "SELECT hash_request_key_v1('a', 'b', 'c')",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.execute(statement)
    searching = owner.fetchval("SELECT find_request_v2(1, $1, $2)", USER, KEY)
    if role == "colloquy_service":
        assert await searching is None, "it has not entered the account"
    else:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await searching


@pytest.mark.parametrize("analyzed", [None, "empty", "full"])
async def test_a_secret_is_looked_up_by_its_key_whenever_the_plan_was_made(
    log: EventLog, owner: Connection, analyzed: str | None
) -> None:
    """An append and a look-up touch as many pages beside 20,000 secrets as beside one."""
    if analyzed == "empty":
        await owner.execute("ANALYZE request_secrets")
    await owner.execute("SET colloquy.account = '1'; SET plan_cache_mode = force_generic_plan")
    await append(log, "s", message(), metadata=of(USER))
    for _ in range(6):  # the plans of this session are made now, and kept
        small = await pages(owner)
    await owner.execute(
        "INSERT INTO request_secrets SELECT 1, n, decode(repeat('00', 64), 'hex'),"
        " decode(repeat('00', 64), 'hex') FROM generate_series(1000, 21000) n"
    )
    if analyzed == "full":
        await owner.execute("ANALYZE request_secrets")
    assert await pages(owner) <= small + 8, "some more levels of an index, for each of its uses"


async def pages(owner: Connection) -> int:
    """Pages that hashing a key and looking one up touch."""
    total = 0
    for statement in (
        f"SELECT hash_request_keys_v1(1, ARRAY['{encode(of(USER))}'::jsonb])",
        f"SELECT find_request_v2(1, {USER}, '{KEY}')",
    ):
        await owner.fetchval(statement)
        explained = await owner.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}")
        plan = next(nodes(msgspec.json.decode(explained)[0]["Plan"]))
        total += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return total


async def test_a_batch_without_keys_reads_nothing_for_them(owner: Connection) -> None:
    plain = encode(Metadata(actor=Actor(USER, "learner")))
    statement = f"SELECT hash_request_keys_v1(1, array_fill('{plain}'::jsonb, ARRAY[64]))"
    await owner.fetchval(statement)
    explained = await owner.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}")
    plan = next(nodes(msgspec.json.decode(explained)[0]["Plan"]))
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] == 0


async def test_concurrent_repeats_of_a_request_append_once(
    log: EventLog, others: list[EventLog]
) -> None:
    async def post(process: EventLog) -> RecordedEvent:
        async def store() -> list[RecordedEvent]:
            return await append(process, "s", message(), metadata=of(USER))

        return await process.append_once(1, of(USER), store)

    events = await asyncio.gather(*(post(process) for process in [log, *others] * 3))
    stored = await log.read_stream(1, "s")
    assert [event.event_id for event in stored] == list({event.event_id for event in events})
    again = await post(others[0])
    assert again.event_id == stored[0].event_id


async def test_appending_once_passes_on_errors_that_are_no_repeat(log: EventLog) -> None:
    async def refused() -> list[RecordedEvent]:
        return await append(log, "s", message(), metadata=of(USER), account_id=99)

    async def without_key() -> list[RecordedEvent]:
        return await append(log, "s", message(), metadata=of(None))

    with pytest.raises(AppendRefused):
        await log.append_once(1, of(USER), refused)
    twice = [await log.append_once(1, of(None), without_key) for _ in range(2)]
    assert twice[0].event_id != twice[1].event_id
