"""The freshness view shows how current and complete each projection is."""

import msgspec
import pytest

from eventstore.connections import Connection, Pool, Role, connect
from projections.pause import pause_projection
from projections.rebuild import rebuild
from tests.eventstore.building import add_account, append, message, messages
from tests.projections.test_projection_runner import POISONED
from tests.projections.viewing import Parts, catch_up

SHOWN = msgspec.structs.replace(POISONED, schema="analytics")
FRESHNESS = """
SELECT account_id, version, position, head, lag_events, lag_seconds, last_error, error_position,
       error_at IS NOT NULL AS tried, paused
  FROM analytics.freshness WHERE projection = 'poisoned' ORDER BY account_id
"""


@pytest.fixture
async def stopped(log_parts: Parts, workers: Pool, database_url: str, owner: Connection) -> None:
    """A projection that is fresh in account 1, and stopped at the second event of account 2."""
    log, _, notifier = log_parts
    await add_account(owner, 2)
    await rebuild(database_url, SHOWN)
    await append(log, "s", *messages(3))
    await append(log, "s", message(conversation_id=1), account_id=2)
    await append(log, "s", message(conversation_id=666), message(), account_id=2)
    await catch_up(workers, notifier)


async def test_each_account_has_a_row_with_position_lag_and_error(
    stopped: None, owner: Connection
) -> None:
    fresh, behind = await owner.fetch(FRESHNESS)
    assert tuple(fresh) == (1, 1, 3, 3, 0, 0.0, None, None, False, False)
    assert (behind["position"], behind["head"], behind["lag_events"]) == (1, 3, 2)
    assert (behind["last_error"], behind["error_position"]) == ("division by zero", 2)
    assert behind["tried"]
    assert behind["lag_seconds"] > 0
    await pause_projection(owner, "poisoned")
    assert [row["paused"] for row in await owner.fetch(FRESHNESS)] == [True, True]


@pytest.mark.parametrize(
    ("role", "entered", "seen"),
    [
        ("colloquy_service", None, []),
        ("colloquy_service", 2, [2]),
        ("colloquy_analyst", None, [1, 2]),
        ("colloquy_analyst", 1, [1]),
        ("colloquy_auditor", None, [1, 2]),
    ],
)
async def test_each_role_sees_the_accounts_that_it_may(
    role: Role, entered: int | None, seen: list[int], stopped: None, database_url: str
) -> None:
    """The owner's sessions as analyst see all accounts, or the entered one."""
    connection = await connect(database_url, role)
    if entered:
        await connection.enter(entered)
    for path in ("public", "analytics"):
        await connection.execute(f"SET search_path = {path}")
        assert [row["account_id"] for row in await connection.fetch(FRESHNESS)] == seen
    await connection.close()
