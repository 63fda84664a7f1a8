"""Whatever a statement ends with: a readable log, an answer of the contract, a next turn."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from eventstore.connections import Connection, close_pool, connect, open_pool
from eventstore.database_errors import SQLSTATES, Meaning, is_passing, meaning
from eventstore.group_commit import GroupCommit
from tests.databases import cloned_database
from tests.running import CONVERSATIONS, Service, eventually, messages_of, running_service
from tests.service.histories import assert_lawful

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATES = sorted(
    kind.sqlstate
    for kind in vars(asyncpg).values()
    if isinstance(kind, type) and issubclass(kind, asyncpg.PostgresError) and kind.sqlstate
)
"""All that PostgreSQL has a name for."""

AWAY = ("08006", "25006", "28P01", "40003", "53100", "53300", "57P01", "57P02", "57P05", "58030")
BUSY = ("40001", "40P01", "53200", "53400", "55P03", "55000", "57014", "XX000", "XX002")
UNFIT = ("42501", "42P01", "42883", "3F000")
REFUSED = ("22003", "22P05", "23514", "P0001", "ZZ123")
OURS = ("42601", "55006", "0A000", "21000", "54001")

FOREVER, ONCE = 1_000_000, 1
PLACES = ("append", "commit", "view", "check", "number", "read")
FAULTS = """
CREATE TABLE faults (place text, state text, most int);
CREATE SEQUENCE fault_count;
CREATE FUNCTION raise_fault(here text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    fault faults%ROWTYPE;
BEGIN
    SELECT * INTO fault FROM faults WHERE place = here;
    IF FOUND AND nextval('fault_count') <= fault.most THEN
        RAISE EXCEPTION 'a secret word' USING ERRCODE = fault.state;
    END IF;
END
$$;
CREATE FUNCTION raise_in_trigger() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    PERFORM raise_fault(TG_ARGV[0]);
    RETURN NULL;
END
$$;
CREATE TRIGGER fault AFTER INSERT ON events
    FOR EACH STATEMENT EXECUTE FUNCTION raise_in_trigger('append');
CREATE CONSTRAINT TRIGGER late_fault AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION raise_in_trigger('commit');
DO $$
BEGIN
    EXECUTE replace(pg_get_functiondef('find_change_v1'::regproc), 'find_change_v1', 'find_change');
    EXECUTE replace(pg_get_functiondef('next_id_v1'::regproc), 'next_id_v1', 'next_id');
END
$$;
CREATE OR REPLACE FUNCTION find_change_v1(account bigint, guard jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    PERFORM raise_fault('check');
    RETURN find_change(account, guard);
END
$$;
CREATE OR REPLACE FUNCTION next_id_v1(account bigint, kind text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    PERFORM raise_fault('number');
    RETURN next_id(account, kind);
END
$$;
CREATE OR REPLACE FUNCTION try_writing_v1() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    PERFORM raise_fault('ready');
    PERFORM FROM schema_migrations m WHERE m.number = 1 FOR UPDATE;
END
$$;
CREATE OR REPLACE FUNCTION current_account_v1() RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
BEGIN
    PERFORM public.raise_fault('read');
    RETURN nullif(current_setting('colloquy.account', true), '')::bigint;
END
$$;
"""

some = settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(server_url: str) -> AsyncIterator[Service]:
    """A service that gives up soon, on a database whose statements can be made to fail."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eventstore.running_log.GroupCommit", partial(GroupCommit, timeout=0.3))
        patch.setattr("eventstore.batch_writer._FAILING", 0.5)
        async with cloned_database(server_url) as url:
            await make_faults(url)
            async with running_service(url) as running:
                yield running


async def make_faults(url: str) -> None:
    """Lets each place fail, and does not yet."""
    connection = await connect(url)
    try:
        await connection.execute(FAULTS)
        schema = await connection.fetchval(
            "SELECT schema_name FROM projections WHERE name = 'pending_turns'"
        )
        await connection.execute(
            f"CREATE TRIGGER fault AFTER INSERT OR DELETE ON {schema}.pending_turns "
            "FOR EACH STATEMENT EXECUTE FUNCTION raise_in_trigger('view')"
        )
    finally:
        await connection.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owner(service: Service) -> AsyncIterator[Connection]:
    connection = await connect(service.database_url)
    yield connection
    await connection.close()


async def fail(owner: Connection, place: str, state: str, most: int = FOREVER) -> None:
    """From now on so many statements at this place end with this error."""
    await owner.execute("SELECT setval('fault_count', 1, false)")
    await owner.execute("INSERT INTO faults VALUES ($1, $2, $3)", place, state, most)


async def is_ready(service: Service) -> bool:
    return (await service.call("GET", "/readyz", user=None))[0] == 200


async def assert_next_turn(service: Service, owner: Connection, learner: int) -> None:
    """The fault is over: soon all is as before, and what is in the log can be read."""
    await owner.execute("DELETE FROM faults")
    await eventually(partial(is_ready, service))

    async def is_answered() -> bool:
        status, opened = await service.call("POST", CONVERSATIONS, user=learner)
        return status == 201 and (await service.say(opened["id"], "And now?", learner))[0] == 200

    await eventually(is_answered)
    assert_lawful(await service.history())


def assert_of_the_contract(
    state: str, response: Any, body: dict[str, Any], *, stores: bool
) -> None:
    """What clients may be told of an error of the database."""
    status = response.status
    kind = SQLSTATES.get(state) or SQLSTATES.get(state[:2], Meaning.REFUSED)
    if status < 400:
        return
    assert body.pop("reference_id") == response.headers["X-Request-Id"]
    assert "secret" not in f"{body} {response.headers}"
    if status == 503 and body["code"] in ("database_unavailable", "busy"):
        assert int(response.headers["Retry-After"]) > 0
        assert body["retryable"] is True
    match kind:
        case Meaning.AWAY | Meaning.BUSY | Meaning.UNFIT:
            assert status == 503, body
        case Meaning.REFUSED if stores:
            assert (status, body["code"]) in ((422, "refused"), (503, "internal_error")), body
        case _:
            assert status in (500, 503), body


def error_of(state: str) -> asyncpg.PostgresError:
    return asyncpg.PostgresError.new({"C": state, "M": "a secret word"})


async def test_what_errors_mean() -> None:
    """The table has each class of PostgreSQL's; others are a trigger's."""
    assert {code[:2] for code in STATES} <= set(SQLSTATES)
    for kind, states in (
        (Meaning.AWAY, AWAY),
        (Meaning.BUSY, BUSY),
        (Meaning.UNFIT, UNFIT),
        (Meaning.REFUSED, REFUSED),
        (Meaning.OURS, OURS),
    ):
        assert {state: meaning(error_of(state)) for state in states} == dict.fromkeys(states, kind)
    for away in (ConnectionResetError(), TimeoutError(), asyncpg.InterfaceError("closed")):
        assert is_passing(away)
    for ours in (asyncpg.ClientConfigurationError("no URL"), KeyError(), ValueError()):
        assert meaning(ours) is Meaning.OURS


async def test_sessions_that_are_no_good_are_not_used_again(service: Service) -> None:
    pool = await open_pool(service.database_url, "colloquy_service", 1)
    raising = "DO $$BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{}'; END$$"
    before = await pool.fetchval("SELECT pg_backend_pid()")
    for state in (*BUSY, *UNFIT, *REFUSED, *OURS):
        with pytest.raises(asyncpg.PostgresError):
            await pool.execute(raising.format(state))
    assert await pool.fetchval("SELECT pg_backend_pid()") == before
    for state in AWAY:
        with pytest.raises(asyncpg.PostgresError):
            await pool.execute(raising.format(state))
        after = await pool.fetchval("SELECT pg_backend_pid()")
        assert after != before, state
        async with pool.acquire() as connection:
            with pytest.raises(asyncpg.PostgresError, match="no"):
                async with connection.transaction():
                    await connection.execute(raising.format(state))
        before = await pool.fetchval("SELECT pg_backend_pid()")
        assert before != after, state
    await close_pool(pool)


async def test_a_service_that_cannot_write_is_not_ready(
    service: Service, owner: Connection
) -> None:
    """Reading goes on. Whether it can write is tried where nobody else does, too."""
    learner = await service.enroll()
    opened = await service.open(learner)
    assert await is_ready(service)
    for place in ("append", "ready"):
        await fail(owner, place, "25006")
        if place == "append":
            status, body = await service.say(opened["id"], "Hello?", learner)
            assert (status, body["code"]) == (503, "database_unavailable")
        await eventually(partial(is_unready, service))
        assert (await service.active(learner))["id"] == opened["id"]
        await assert_next_turn(service, owner, learner)
        opened = await service.active(learner)
    async with owner.transaction(readonly=True):
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await owner.execute("SELECT try_writing_v1()")


async def is_unready(service: Service) -> bool:
    response = await service.request("GET", "/readyz", user=None)
    assert response.status == 200 or int(response.headers["Retry-After"]) > 0
    return response.status == 503


@some
@given(
    state=st.sampled_from(STATES) | st.from_regex(r"\A[0-9A-Z]{5}\Z").filter(lambda s: s > "0000Z"),
    place=st.sampled_from(PLACES),
    most=st.sampled_from([ONCE, 3, FOREVER]),
)
@example(state="25006", place="append", most=FOREVER)
@example(state="55P03", place="view", most=FOREVER)
@example(state="58030", place="commit", most=ONCE)
@example(state="53100", place="number", most=FOREVER)
@example(state="57P01", place="read", most=FOREVER)
async def test_any_error_of_any_statement(
    service: Service, owner: Connection, state: str, place: str, most: int
) -> None:
    learner = await service.enroll()
    opened = await service.open(learner)
    await fail(owner, place, state, most)
    for method, path in (
        ("POST", messages_of(opened["id"])),
        ("GET", CONVERSATIONS),
        ("POST", CONVERSATIONS),
        ("DELETE", f"{CONVERSATIONS}/{opened['id']}"),
    ):
        body = {"json": {"message": "What now?"}} if path.endswith("messages") else {}
        response = await service.request(method, path, user=learner, **body)
        answer = await response.json()
        if response.status not in (404, 409):  # the one before left a turn, or another conversation
            assert_of_the_contract(state, response, answer, stores=method != "GET")
    await assert_next_turn(service, owner, learner)
