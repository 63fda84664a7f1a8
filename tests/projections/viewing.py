"""Reads views, and defines small projections for tests."""

from collections.abc import Iterable
from typing import Any

import msgspec

from eventstore.connections import AccountPool, Connection, Pool
from eventstore.log import EventLog
from eventstore.notifier import Notifier
from projections.definitions import Definition, definitions
from projections.projection_runner import ProjectionRunner

Rows = list[tuple[Any, ...]]

TALLY = Definition(
    name="tally",
    description="Every position that was applied, as often as it was.",
    version=1,
    mode="followed",
    tables=("tally",),
    consumes=("message_posted.v1",),
    readers=("colloquy_service",),
    definition="CREATE TABLE tally (account_id bigint, position bigint)",
    statements=(
        """
        INSERT INTO tally (account_id, position)
        SELECT e.account_id, e.position FROM events e
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position;
        """,
    ),
)
GATE = 42
GATED = msgspec.structs.replace(
    TALLY, statements=(*TALLY.statements, f"PERFORM pg_advisory_xact_lock({GATE});")
)
"""A tally that, in the middle of its work, waits for whoever holds the gate's lock."""

AT_THE_GATE = """
SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database
 WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.objid = $1 AND NOT l.granted
"""


async def rows_of(connection: Connection, definition: Definition) -> Rows:
    """All rows of a projection's views, sorted."""
    rows: Rows = []
    for table in definition.tables:
        found = await connection.fetch(f"SELECT * FROM {definition.schema}.{table}")
        rows += sorted((tuple(row) for row in found), key=repr)
    return rows


async def all_rows(connection: Connection) -> dict[str, Rows]:
    """The rows of every projection of this program."""
    return {name: await rows_of(connection, known) for name, known in definitions().items()}


async def generations(connection: Connection, name: str) -> list[tuple[int, str]]:
    """A projection's generations and their states."""
    rows = await connection.fetch(
        "SELECT generation, state FROM projections WHERE name = $1 ORDER BY generation", name
    )
    return [tuple(row) for row in rows]


async def schemas(connection: Connection, name: str) -> list[str]:
    """The schemas that a projection has in the database."""
    rows = await connection.fetch(
        "SELECT nspname FROM pg_namespace WHERE nspname LIKE $1 ORDER BY nspname", f"{name}_v%"
    )
    return [row[0] for row in rows]


async def catch_up(pool: Pool, notifier: Notifier) -> None:
    """Brings the followed projections up to the head."""
    runner = ProjectionRunner(pool, notifier)
    while await runner.catch_up():
        pass


def with_version(definition: Definition, version: int) -> Definition:
    """The definition with another version."""
    return msgspec.structs.replace(definition, version=version)


Parts = tuple[EventLog, AccountPool, Notifier]
Names = Iterable[str]
