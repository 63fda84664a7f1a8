"""Rebuild of the handlers' views, next to a plain copy of the same rows."""

import time
from uuid import uuid4

from eventstore.connections import connect
from projections.definitions import definitions
from projections.rebuild import rebuild_all
from tests.bench.dialogues import fill
from tests.bench.measuring import Row, fresh_database, scaled

DIALOGUES = scaled(10_000, at_least=50)


async def bench_rebuild(server_url: str) -> list[Row]:
    """Events per second of rebuilding all inline views."""
    async with fresh_database(server_url) as url:
        await fill(url, DIALOGUES)
        inline = [d for d in definitions().values() if d.mode == "inline"]
        began = time.perf_counter()
        events = max([events async for _, events in rebuild_all(url, inline)])
        elapsed = time.perf_counter() - began
        copied = await _copy(url, [table for d in inline for table in d.tables])
    return [
        Row(
            f"rebuild of the {len(inline)} handlers' views, {events:,} events",
            f"{events / elapsed:,.0f} events/s",
            f"INSERT … SELECT of the same rows {events / copied:,.0f} events/s",
            f"{copied / elapsed:.0%}",
            "≥ 150,000 events/s",
        )
    ]


async def _copy(url: str, tables: list[str]) -> float:
    connection = await connect(url)
    schemas = await connection.fetch(
        "SELECT unnest(tables) AS name, schema_name FROM projections WHERE state = 'live'"
    )
    live = {row["name"]: row["schema_name"] for row in schemas}
    began = time.perf_counter()
    for table in tables:
        copy = f"copy_{uuid4().hex[:8]}"
        source = f"{live[table]}.{table}"
        await connection.execute(f"CREATE TABLE {copy} (LIKE {source} INCLUDING INDEXES)")
        await connection.execute(f"INSERT INTO {copy} SELECT * FROM {source}", timeout=600)
    elapsed = time.perf_counter() - began
    await connection.close()
    return elapsed
