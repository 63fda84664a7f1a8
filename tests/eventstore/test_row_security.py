"""Row-level security separates accounts even if a query does not."""

from collections.abc import AsyncIterator

import pytest

from eventstore.connections import AccountPool, Connection, close_pool, connect, open_pool
from eventstore.log import EventLog
from eventstore.notifier import Notifier
from service.identity.accounts import create_account
from tests.eventstore.building import Learner, append_steps, dialogue

Parts = tuple[EventLog, AccountPool, Notifier]

WITH_ACCOUNT = """
SELECT c.oid::regclass::text AS name, c.relrowsecurity AS guarded
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'account_id'
 WHERE c.relkind IN ('r', 'p')
"""
VISIBLE = """
SELECT n.nspname || '.' || c.relname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'account_id'
 WHERE n.nspname !~ '^(pg_|information_schema)' AND c.relkind IN ('r', 'p', 'v', 'm')
   AND has_schema_privilege('colloquy_service', n.oid, 'USAGE')
   AND has_table_privilege('colloquy_service', c.oid, 'SELECT')
"""


@pytest.fixture
async def second(log_parts: Parts, owner: Connection) -> int:
    """Another account with a log, views and a roster, as the first has."""
    log, _, _ = log_parts
    account = await create_account(owner, "Another institution")
    for number in (1, account):
        await append_steps(log, dialogue(Learner()), account_id=number)
        for insert in (
            "INSERT INTO courses VALUES ($1, 1)",
            "INSERT INTO users VALUES ($1, 1, 'Ada')",
            "INSERT INTO enrollments VALUES ($1, 1, 1, 'learner', 'active')",
            "INSERT INTO identities VALUES ($1, 'ada', 1)",
            "INSERT INTO tokens (account_id, user_id, token_hash) VALUES ($1, 1, '$1')",
        ):
            await owner.execute(insert.replace("$1", str(number)))
    return account


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[Connection]:
    """A session of the service's role that has entered no account."""
    connection = await connect(database_url, "colloquy_service")
    yield connection
    await connection.close()


async def visible(owner: Connection) -> list[str]:
    names = [row[0] for row in await owner.fetch(VISIBLE)]
    assert {
        "public.events",
        "public.recorded_events",
        "public.tokens",
        "read.conversation_messages",
    } <= set(names)
    return names


async def accounts_in(connection: Connection, relation: str) -> set[int]:
    rows = await connection.fetch(f"SELECT DISTINCT account_id FROM {relation}")
    return {row[0] for row in rows}


async def test_every_table_that_has_an_account_is_guarded(owner: Connection) -> None:
    rows = await owner.fetch(WITH_ACCOUNT)
    assert len(rows) > 15
    assert [row["name"] for row in rows if not row["guarded"]] == []


async def test_every_stable_view_uses_the_callers_rights(owner: Connection) -> None:
    rows = await owner.fetch(
        "SELECT relname, reloptions FROM pg_class WHERE relkind = 'v' AND relnamespace IN "
        "('read'::regnamespace, 'analytics'::regnamespace) AND relname <> 'freshness'"
    )
    assert len(rows) >= 9
    assert [r["relname"] for r in rows if r["reloptions"] != ["security_invoker=true"]] == []


async def test_a_session_sees_the_account_that_it_entered_and_no_other(
    second: int, service: Connection, owner: Connection
) -> None:
    relations = await visible(owner)
    for account in (second, 1):
        await service.enter(account)  # type: ignore[attr-defined]
        for relation in relations:
            seen = await accounts_in(service, relation)
            assert seen <= {account}, relation
            # Views that this history leaves empty are empty for both.
            assert seen == await accounts_in(owner, relation) & {account}, relation


async def test_a_session_that_has_entered_no_account_sees_nothing(
    second: int, service: Connection, owner: Connection
) -> None:
    for relation in await visible(owner):
        assert await accounts_in(service, relation) == set(), relation


async def test_a_connection_of_the_pool_sees_the_account_of_each_statement(
    second: int, database_url: str
) -> None:
    pool = await open_pool(database_url, "colloquy_service", 1)
    accounts = AccountPool(pool)
    for account in (1, second, second, 1):
        rows = await accounts.fetch(account, "SELECT DISTINCT account_id FROM events")
        assert [row[0] for row in rows] == [account]
    await close_pool(pool)


async def test_a_rebuilt_view_is_guarded_too(
    second: int, database_url: str, owner: Connection
) -> None:
    from projections.definitions import definition
    from projections.rebuild import rebuild

    await rebuild(database_url, definition("conversation_messages"))
    await test_every_table_that_has_an_account_is_guarded(owner)
    await test_every_stable_view_uses_the_callers_rights(owner)
