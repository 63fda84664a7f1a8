"""Checks of the database server for what breaks our promises and its operator must change.

Settings that a session can change are set in each session (`eventstore.sessions`).
"""

from collections.abc import Mapping

from eventstore.clock import MAX_DRIFT, database_clock
from eventstore.connections import Connection
from sql.loader import query

CONNECTIONS = 26
"""Connections that one serving process uses at most."""

_LOSES = "a crash can lose acknowledged events, and damage the rest"
_HIDES = "damaged pages are read as if they were whole or empty"
_CONSEQUENCES: Mapping[str, str] = {
    "fsync": _LOSES,
    "full_page_writes": f"{_LOSES}, unless the file system never tears a page",
    "data_sync_retry": "events that the disk did not take may be lost unnoticed",
    "zero_damaged_pages": _HIDES,
    "ignore_checksum_failure": _HIDES,
    "ignore_invalid_pages": _HIDES,
    "ignore_system_indexes": "the server does not use its system indexes",
    "allow_system_table_mods": "its system tables can be changed by hand",
    "autovacuum": "deleted texts stay in the server's files",
    "session_replication_role": "foreign keys are not checked",
}


async def server_findings(connection: Connection, processes: int = 1) -> list[str]:
    """What is wrong with the server, a line each.

    Args:
        connection: The owner's, to a database with our schema.
        processes: The number of processes that will serve.
    """
    findings = [
        f"server: {row['name']} is {row['setting']}: {_CONSEQUENCES[row['name']]}"
        for row in await connection.fetch(query("list_unsafe_settings"))
    ]
    findings += [
        f"server: {row['name']} is {row['setting']}: learners' texts get into its log: set "
        f"log_parameter_max_length to 0 and auto_explain.log_min_duration to -1 for the owner"
        for row in await connection.fetch(query("list_logging_settings"))
    ]
    findings += [
        f"database: trigger {row['name']} of {row['relation']} is disabled: changes that it "
        "refuses are possible"
        for row in await connection.fetch(query("list_guards_off"))
    ]
    findings += [
        f"database: the table {row['relation']} is unlogged: a crash empties it"
        for row in await connection.fetch(query("list_unlogged_tables"))
    ]
    return findings + await process_findings(connection, processes)


async def process_findings(connection: Connection, processes: int = 1) -> list[str]:
    """What is wrong for processes that will serve on this machine, a line each."""
    clock = await database_clock(connection)
    return clock_findings(clock.drift) + await _limits(connection, processes)


def clock_findings(drift: float) -> list[str]:
    """A line if this machine's clock is too far from the database's.

    Args:
        drift: Seconds by which this machine's clock is ahead.
    """
    if abs(drift) <= MAX_DRIFT:
        return []
    which = "ahead of" if drift > 0 else "behind"
    return [f"clock: this machine's is {abs(drift):.0f} s {which} the database's"]


async def _limits(connection: Connection, processes: int) -> list[str]:
    row = await connection.fetchrow(query("get_limits"))
    assert row is not None
    findings = []
    if row["connections"] < CONNECTIONS * processes:
        which = "a serving process uses" if processes == 1 else f"{processes} processes use"
        findings.append(
            f"server: we can have {row['connections']} connections ({row['told']}); {which} "
            f"up to {CONNECTIONS * processes}"
        )
    if row["encoding"] != "UTF8":
        findings.append(
            f"database: its encoding is {row['encoding']}, which lacks characters: make one with "
            "ENCODING 'UTF8'"
        )
    if row["prepared"] and await connection.fetch(query("list_analysts")):
        findings.append(
            "server: max_prepared_transactions is not 0: an analyst can leave a prepared "
            "transaction open, which nothing ends"
        )
    return findings
