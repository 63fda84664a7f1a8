"""Durable appends per second: ours, the `eventsourcing` package's recorder, a bare loop.

Ours appends what a conversation appends, a message and its reply in turn, each with its
revision expected, its text salted and apart, and all the handlers' views kept in the same
transaction. The bare loop inserts rows of the same shape in groups of the size that ours
formed, over two connections, and does nothing else. The peer inserts one event a call.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import msgspec
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from uuid_utils.compat import uuid7

from eventstore import lane
from eventstore.batch import Item, arguments, new_item
from eventstore.connections import Connection, connect
from eventstore.events import MessagePosted, PromptVersion, ReplyCompleted, ReplyRecord, Usage
from eventstore.log import EventLog
from eventstore.records import Actor, Metadata, NewEvent
from service.app import running_log
from tests.bench.measuring import Row, execute, fresh_database, percentile

TEXT = "The near side is pulled more strongly than the far side, so the water is drawn out. " * 3
SECONDS = 4.0
METADATA = Metadata(actor=Actor(101, "learner"), token_id=1, request_id=str(uuid7()))

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
    for producers in (1, 16, 128):
        async with fresh_database(server_url) as url:
            ours = await _ours(url, producers)
            peer = await asyncio.to_thread(_peer, url, producers)
            bare = await _bare(url, max(1, round(ours.group)))
        label = f"durable appends, {producers} producer{'s' if producers > 1 else ''}"
        shown = (
            f"{ours.per_second:,.0f}/s (p50 {ours.p50_ms:.1f} ms, p99 {ours.p99_ms:.1f} ms, "
            f"{ours.group:.0f} a commit)"
        )
        rows += [
            Row(
                label,
                shown,
                f"eventsourcing {peer.per_second:,.0f}/s (p50 {peer.p50_ms:.1f} ms)",
                f"{ours.per_second / peer.per_second:.1f} ×",
                "≥ 15 ×" if producers == 128 else "",
            ),
            Row(
                "",
                "",
                f"bare loop, same groups {bare.per_second:,.0f}/s",
                f"{ours.per_second / bare.per_second:.0%}",
                "≥ 80 %" if producers == 128 else "",
            ),
        ]
    return rows


async def _ours(url: str, producers: int) -> Rate:
    async with running_log(url) as (log, _pool, _link):
        await produce(log, producers, 1.0, [])
        times: list[float] = []
        with _counted_commits() as commits:
            began = time.perf_counter()
            await produce(log, producers, SECONDS, times)
            elapsed = time.perf_counter() - began
    return _rate(times, elapsed, len(times) / max(1, len(commits)))


@contextmanager
def _counted_commits() -> Iterator[list[int]]:
    """Notes the size of every batch."""
    sizes: list[int] = []

    def counting(batch: Sequence[Item]) -> tuple[Any, ...]:
        sizes.append(len(batch))
        return arguments(batch)

    lane.arguments = counting  # type: ignore[attr-defined]
    try:
        yield sizes
    finally:
        lane.arguments = arguments  # type: ignore[attr-defined]


async def produce(log: EventLog, producers: int, seconds: float, times: list[float]) -> None:
    """Appends for some seconds from so many tasks; notes how long each append took (seconds)."""
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


def message(turn_id: str, conversation_id: int = 1) -> NewEvent:
    """What a learner says, as a new event."""
    posted = MessagePosted(
        conversation_id=conversation_id,
        turn_id=turn_id,
        message_id=str(uuid7()),
        course_id=1,
        experience_id=1,
        user_id=101,
        model="claude-haiku-5-5",
        owner=1,
        deadline_at=datetime.now(UTC) + timedelta(minutes=1),
    )
    return NewEvent(event=posted, content=TEXT, subject_id=101)


def reply(turn_id: str, conversation_id: int = 1) -> NewEvent:
    """What the model answers, as a new event."""
    completed = ReplyCompleted(
        conversation_id=conversation_id,
        turn_id=turn_id,
        message_id=str(uuid7()),
        reply=RECORD,
    )
    return NewEvent(event=completed, content=TEXT, subject_id=101)


RECORD = ReplyRecord(
    model_requested="claude-haiku-5-5",
    model="claude-haiku-5-5",
    max_tokens=1024,
    prompt=PromptVersion("socratic_tutor.v1", "0" * 64),
    stop_reason="end_turn",
    usage=Usage(1200, 60, 0, 1100),
    provider_request_id="req_0123456789",
    first_token_ms=400,
    duration_ms=1300,
)


def _peer(url: str, producers: int) -> Rate:
    parts = urlsplit(url)
    datastore = PostgresDatastore(
        dbname=parts.path.strip("/"),
        host=parts.hostname or "",
        port=parts.port or 0,
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
    items = [new_item(1, f"s{n}", 0, [event], METADATA) for n, event in enumerate(events)]
    _, _, _, _, _, _, data, metadata, subjects, salts, contents, _ = arguments(items)
    return data, metadata, subjects, salts, contents, [bytes(32)] * group


def _rate(times: Sequence[float], elapsed: float, group: float = 1.0) -> Rate:
    return Rate(
        per_second=len(times) / elapsed,
        p50_ms=percentile(times, 50) * 1000,
        p99_ms=percentile(times, 99) * 1000,
        group=group,
    )
