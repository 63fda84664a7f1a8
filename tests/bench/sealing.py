"""Sealing: a whole log from nothing beside reading and hashing its lines, and beside appends."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from eventstore.connections import connect
from eventstore.running_log import running_log
from eventstore.sealing.log_sealer import STEP
from eventstore.sealing.sealer import Sealer
from eventstore.sealing.sealing_state import sealing_states
from eventstore.sealing.signing_keys import KeyLocation, open_signer
from tests.bench.appending import produce
from tests.bench.measuring import SCALE, Row, fresh_database, scaled

EVENTS = scaled(1_000_000, at_least=100_000)
PRODUCERS = 128
SECONDS = max(8.0 * SCALE, 0.5)

_COPIES = """
INSERT INTO events
SELECT account_id, $1 + row_number() OVER (ORDER BY position), stream || '-' || $1, revision,
       gen_random_uuid(), type, conversation_id, data, metadata, content_hash, recorded_at
  FROM events WHERE position <= $2
"""
_SET_HEAD = "UPDATE log_heads SET position = $1 WHERE account_id = 1"
_LINES = """
SELECT event_line_v1(e) FROM events e
 WHERE account_id = 1 AND position > $1 AND position <= $2 ORDER BY position
"""


async def bench_seal(server_url: str) -> list[Row]:
    """Events per second of sealing, and its lag behind appends."""
    with TemporaryDirectory() as home:
        async with fresh_database(server_url) as url:
            await _fill(url)
            bare = await _read_and_hash(url)
            ours = await _seal(url, Path(home) / "whole")
        async with fresh_database(server_url) as url:
            beside = await _beside_appends(url, Path(home) / "beside")
    return [
        Row(
            f"sealing of a log, {EVENTS:,} events",
            f"{EVENTS / ours:,.0f} events/s",
            f"reading the lines, SHA-256 of each {EVENTS / bare:,.0f} events/s",
            f"{bare / ours:.0%}",
        ),
        beside,
    ]


def _sealer(url: str, home: Path, seconds: float) -> Sealer:
    place = KeyLocation(home / "keys")
    open_signer(place)
    return Sealer(url, place, home / "checkpoints", seconds)


async def _fill(url: str) -> None:
    """Some real events, and copies of them up to the number."""
    async with running_log(url) as (log, _pool, _notifier):
        await produce(log, PRODUCERS, 1.0, [])
        real = size = await log.head(1)
    connection = await connect(url)
    while size < EVENTS:
        await connection.execute(_COPIES, size, min(real, EVENTS - size), timeout=600)
        size += min(real, EVENTS - size)
    await connection.execute(_SET_HEAD, EVENTS)
    await connection.execute("VACUUM ANALYZE", timeout=600)
    await connection.close()


async def _read_and_hash(url: str) -> float:
    connection = await connect(url)
    began = time.perf_counter()
    number = 0
    for first in range(0, EVENTS, STEP):
        rows = await connection.fetch(_LINES, first, first + STEP)
        number += len([hashlib.sha256(row[0].encode()).digest() for row in rows])
    elapsed = time.perf_counter() - began
    await connection.close()
    assert number == EVENTS
    return elapsed


async def _seal(url: str, home: Path) -> float:
    sealer = _sealer(url, home, 1)
    async with sealer.leading() as connection:
        began = time.perf_counter()
        await sealer.seal(connection)
        elapsed = time.perf_counter() - began
        (state,) = await sealing_states(connection)
    assert state.sealed == EVENTS
    return elapsed


async def _beside_appends(url: str, home: Path) -> Row:
    """Appends with a sealer every second, then without it; the sealer's largest lag."""
    async with running_log(url) as (log, _pool, _notifier):
        times: list[float] = []
        async with _sealing(url, home) as lags:
            await produce(log, PRODUCERS, SECONDS, times)
        sealed = len(times) / SECONDS
        times.clear()
        await produce(log, PRODUCERS, SECONDS, times)
        alone = len(times) / SECONDS
    return Row(
        "appends, 128 producers, sealed every second",
        f"{sealed:,.0f}/s, {max(lags):,} events behind at most",
        f"not sealed {alone:,.0f}/s",
        f"{sealed / alone:.0%}",
        "keeps up",
    )


@asynccontextmanager
async def _sealing(url: str, home: Path) -> AsyncIterator[list[int]]:
    """A running sealer; the number of unsealed events at each of its rounds."""
    lags: list[int] = []

    async def rounds() -> None:
        sealer = _sealer(url, home, 1)
        async with sealer.leading() as connection:
            while True:
                (state,) = await sealing_states(connection)
                lags.append(state.head - state.sealed)
                await sealer.seal(connection)
                await asyncio.sleep(1)

    task = asyncio.create_task(rounds())
    try:
        yield lags
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
