"""Rebuild of the handlers' views, next to a plain copy of the same rows."""

import asyncio
import time
from uuid import uuid4

from eventstore.connections import connect
from projections.definitions import definitions
from projections.rebuild import rebuild_all
from service.app import running_log
from tests.bench.dialogues import start_dialogue
from tests.bench.measuring import Row, fresh_database

DIALOGUES = 10_000
EXCHANGES = 9
_TOGETHER = 64


async def bench_rebuild(server_url: str) -> list[Row]:
    """Events per second of rebuilding all inline views."""
    async with fresh_database(server_url) as url:
        await _fill(url)
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


async def _fill(url: str) -> None:
    async with running_log(url) as (log, _pool, _link):
        limit = asyncio.Semaphore(_TOGETHER)

        async def one(number: int) -> None:
            async with limit:
                await start_dialogue(
                    log, conversation_id=number, user_id=number, exchanges=EXCHANGES
                )

        async with asyncio.TaskGroup() as group:
            for number in range(1, DIALOGUES + 1):
                group.create_task(one(number))
    connection = await connect(url)
    await connection.execute("VACUUM ANALYZE", timeout=600)
    await connection.close()


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
