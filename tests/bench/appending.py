"""Durable appends per second: ours, the `eventsourcing` package's recorder, a bare loop.

Ours appends a message and its reply in turn, as a conversation does: each with an expected
revision, its salted text apart, and the handlers' views updated in the same transaction. The bare
loop inserts rows of the same shape in groups of the size that ours formed, over one connection, and
does nothing else. The peer inserts one event a call.

Ours is measured in the first process of a fresh database, whose plans were made for empty tables;
in a restarted one; and on a log of a million events.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import msgspec
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from uuid_utils.compat import uuid7

from eventstore import batch_writer as lane
from eventstore.append_batch import PendingAppend, arguments, new_pending_append
from eventstore.connections import Connection, connect
from eventstore.log import EventLog
from eventstore.running_log import running_log
from service.embedded_postgres.socket_folder import PORT
from tests.bench.dialogues import EXCHANGES, METADATA, TEXT, fill, message, reply
from tests.bench.measuring import SCALE, Row, execute, fresh_database, percentile, scaled
from tests.databases import name_of, socket_folder_of

SECONDS = 1.0 * SCALE
ROUNDS = scaled(9)
GROWN = scaled(1_000_000, at_least=1_000)

_TABLES = """
CREATE TABLE IF NOT EXISTS bare_events (LIKE events INCLUDING INDEXES);
CREATE TABLE IF NOT EXISTS bare_content (LIKE event_content INCLUDING INDEXES);
CREATE SEQUENCE IF NOT EXISTS bare_position;
TRUNCATE bare_events, bare_content;
"""
_INSERT = """
WITH fresh AS MATERIALIZED (
    SELECT nextval('bare_position') AS position, n.* FROM unnest(
        $1::text[], $2::bigint[], $3::uuid[], $4::jsonb[], $5::jsonb[],
        $6::bigint[], $7::bytea[], $8::text[], $9::bytea[])
        AS n (stream, revision, event_id, data, metadata, subject, salt, content, hash)
), stored AS (
    INSERT INTO bare_events SELECT 1, position, stream, revision, event_id, 'message_posted.v1',
                                   1, data, metadata, hash, now() FROM fresh
)
INSERT INTO bare_content SELECT 1, position, subject, salt, content FROM fresh
"""


class Rate(msgspec.Struct, frozen=True):
    """Events per second, and the milliseconds that an append took."""

    per_second: float
    p50_ms: float
    p99_ms: float
    group: float = 1.0


async def bench_append(server_url: str) -> list[Row]:
    """Three loads: 1, 16 and 128 producers in one process."""
    rows: list[Row] = []
    async with grown_database(server_url) as grown:
        for producers in (1, 16, 128):
            rows += await _bench(server_url, grown, producers)
    return rows


@asynccontextmanager
async def grown_database(server_url: str) -> AsyncIterator[str]:
    """The owner's URL of a database with a log of `GROWN` events and fresh statistics."""
    async with fresh_database(server_url) as url:
        await fill(url, GROWN // (2 * EXCHANGES + 2))
        yield url


async def _bench(server_url: str, grown: str, producers: int) -> list[Row]:
    """The places alternate, so that other load on the machine affects all of them."""
    label = f"durable appends, {producers} producer{'s' if producers > 1 else ''}"
    async with AsyncExitStack() as stack:
        fresh, restarted, other = [
            await stack.enter_async_context(fresh_database(server_url)) for _ in range(3)
        ]
        async with running_log(restarted) as (log, _, _):
            await produce(log, producers, 2.0, [])
        places = {"fresh": fresh, "restarted": restarted, "grown": grown}
        logs = {
            name: (await stack.enter_async_context(running_log(url)))[0]
            for name, url in places.items()
        }
        ours: dict[str, list[Rate]] = {name: [] for name in places}
        peers: list[Rate] = []
        bare: list[Rate] = []
        for _ in range(ROUNDS):
            for name, log in logs.items():
                ours[name].append(await _ours(log, producers))
            peers.append(await asyncio.to_thread(_peer, other, producers))
            bare.append(await _bare(other, max(1, round(ours["fresh"][-1].group))))
    peer, floor = middle(peers), middle(bare)
    shown = {
        "fresh": f"{label}, the first process of a fresh database",
        "restarted": f"{label}, a restarted process",
        "grown": f"{label}, {GROWN:,} events in the log",
    }
    rows = [
        Row(
            shown[name],
            f"{rate.per_second:,.0f}/s (p50 {rate.p50_ms:.1f} ms, p99 {rate.p99_ms:.1f} ms, "
            f"{rate.group:.0f} a commit)",
            f"eventsourcing {peer.per_second:,.0f}/s (p50 {peer.p50_ms:.1f} ms)",
            f"{rate.per_second / peer.per_second:.1f} ×",
            "≥ 20 ×" if producers == 128 else "",
        )
        for name, rate in ((name, middle(rates)) for name, rates in ours.items())
    ]
    first = middle(ours["fresh"])
    rows.append(
        Row(
            f"{label}, fresh",
            f"{first.per_second:,.0f}/s",
            f"bare loop, same groups {floor.per_second:,.0f}/s",
            f"{first.per_second / floor.per_second:.0%}",
            "≥ 80 %" if producers == 128 else "",
        )
    )
    return rows


def middle(rates: Sequence[Rate]) -> Rate:
    """The round whose rate is the median."""
    return sorted(rates, key=lambda rate: rate.per_second)[len(rates) // 2]


async def _ours(log: EventLog, producers: int) -> Rate:
    times: list[float] = []
    with _counted_commits() as commits:
        began = time.perf_counter()
        await produce(log, producers, SECONDS, times)
        elapsed = time.perf_counter() - began
    return _rate(times, elapsed, len(times) / max(1, len(commits)))


@contextmanager
def _counted_commits() -> Iterator[list[int]]:
    """Records the size of every batch."""
    sizes: list[int] = []

    def counting(batch: Sequence[PendingAppend]) -> tuple[Any, ...]:
        sizes.append(len(batch))
        return arguments(batch)

    lane.arguments = counting  # type: ignore[attr-defined]
    try:
        yield sizes
    finally:
        lane.arguments = arguments  # type: ignore[attr-defined]


async def produce(log: EventLog, producers: int, seconds: float, times: list[float]) -> None:
    """Appends for some seconds from this many tasks, and records the seconds of each append."""
    until = time.perf_counter() + seconds
    async with asyncio.TaskGroup() as group:
        for _ in range(producers):
            group.create_task(_converse(log, until, times))


async def _converse(log: EventLog, until: float, times: list[float]) -> None:
    stream, revision, turn = f"dialogue-1-{uuid4().int % 10**9}", 0, ""
    while time.perf_counter() < until:
        turn = turn if revision % 2 else str(uuid7())
        event = reply(turn) if revision % 2 else message(turn)
        began = time.perf_counter()
        await log.append(1, stream, [event], expected=revision, metadata=METADATA)
        times.append(time.perf_counter() - began)
        revision += 1


def _peer(url: str, producers: int) -> Rate:
    parts = urlsplit(url)
    datastore = PostgresDatastore(
        dbname=name_of(url),
        host=socket_folder_of(url),
        port=PORT,
        user=parts.username or "",
        password=parts.password or "",
        pool_size=min(producers, 32),
        max_overflow=0,
    )
    recorder = PostgresApplicationRecorder(datastore)
    recorder.create_table()
    state = msgspec.json.encode({"text": TEXT, **msgspec.to_builtins(message("t").event)})
    datastore.pool.open(wait=True, timeout=30)
    times: list[float] = []
    began = time.perf_counter()
    with ThreadPoolExecutor(producers) as threads:
        for work in [threads.submit(_record_for, recorder, state, times) for _ in range(producers)]:
            work.result()
    elapsed = time.perf_counter() - began
    datastore.close()
    return _rate(times, elapsed)


def _record_for(recorder: PostgresApplicationRecorder, state: bytes, times: list[float]) -> None:
    stream: UUID = uuid4()
    version = 0
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        version += 1
        began = time.perf_counter()
        recorder.insert_events([StoredEvent(stream, version, "message_posted.v1", state)])
        times.append(time.perf_counter() - began)


async def _bare(url: str, group: int) -> Rate:
    await execute(url, _TABLES)
    connections = [await connect(url)]
    times: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(_insert_groups(c, group, times) for c in connections))
    elapsed = time.perf_counter() - began
    for connection in connections:
        await connection.close()
    return _rate([t for t in times for _ in range(group)], elapsed, group)


async def _insert_groups(connection: Connection, group: int, times: list[float]) -> None:
    groups = [_columns(group) for _ in range(8)]
    until = time.perf_counter() + SECONDS
    revision = 0
    stream = uuid4().hex
    while time.perf_counter() < until:
        began = time.perf_counter()
        revisions = list(range(revision, revision + group))
        ids = [uuid7() for _ in revisions]
        columns = groups[revision % 8]
        await connection.execute(_INSERT, [stream] * group, revisions, ids, *columns)
        revision += group
        times.append(time.perf_counter() - began)


def _columns(group: int) -> Sequence[Any]:
    events = [message(str(uuid7())) if n % 2 else reply(str(uuid7())) for n in range(group)]
    items = [new_pending_append(1, f"s{n}", 0, [event], METADATA) for n, event in enumerate(events)]
    data, metadata, subjects, salts, contents = arguments(items)[7:12]
    return data, metadata, subjects, salts, contents, [bytes(32)] * group


def _rate(times: Sequence[float], elapsed: float, group: float = 1.0) -> Rate:
    return Rate(
        per_second=len(times) / elapsed,
        p50_ms=percentile(times, 50) * 1000,
        p99_ms=percentile(times, 99) * 1000,
        group=group,
    )
