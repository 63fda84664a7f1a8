"""The followed projections on a generated term: rebuilds, concurrent reads, and lag.

The logs have a million events.
"""

import asyncio
import sys
import time
from uuid import uuid4

from eventstore.connections import connect
from projections.definitions import Definition
from projections.rebuild import rebuild
from service.cli.progress import progress_bar
from tests.bench.beside_rebuilds import (
    PER_SECOND as GETS,
)
from tests.bench.beside_rebuilds import (
    Beside,
    Rebuilt,
    followed,
    measure_beside,
    rebuild_elsewhere,
)
from tests.bench.lagging import PER_SECOND, SECONDS, Lags, measure_lag
from tests.bench.measuring import Row, fresh_database, percentile, scaled
from tests.bench.peer_projection import EVENTS as PEER_EVENTS
from tests.bench.peer_projection import measure_peer
from tests.bench.term import Term, write_term

EVENTS = scaled(1_000_000, at_least=3_000)

_TABLES = """
SELECT c.oid::regclass::text FROM pg_class c
  JOIN projections p ON c.relnamespace = p.schema_name::regnamespace
 WHERE c.relkind = 'r' AND p.state = 'live' AND p.mode = 'followed'
"""
_COUNTING = Definition(
    name="message_counts",
    description="Messages by course and day.",
    version=1,
    mode="followed",
    tables=("message_counts",),
    consumes=("message_posted.v1",),
    readers=("colloquy_analyst",),
    definition="CREATE TABLE message_counts (account_id bigint, course_id bigint, day date, "
    "messages bigint NOT NULL, PRIMARY KEY (account_id, course_id, day))",
    statements=(
        """
        INSERT INTO message_counts AS c (account_id, course_id, day, messages)
        SELECT e.account_id, (e.data->>'course_id')::bigint,
               (e.recorded_at AT TIME ZONE 'UTC')::date, count(*)
          FROM events e
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position
           AND e.type = 'message_posted.v1'
         GROUP BY 1, 2, 3
            ON CONFLICT (account_id, course_id, day)
            DO UPDATE SET messages = c.messages + excluded.messages;
        """,
    ),
)
"""What the peer does: counts messages by course and day."""


async def bench_analytics(server_url: str) -> list[Row]:
    """Rebuilds beside a copy and the peer's runner; concurrent readers; lag."""
    term = Term(events=EVENTS, courses=max(8, min(200, EVENTS // 2_500)))
    async with fresh_database(server_url) as url:
        _say(f"writing a term of {term.events:,} events")
        await write_term(url, term, progress_bar("Writing a term"))
        _say("rebuilding")
        rebuilt = await asyncio.to_thread(rebuild_elsewhere, url)
        rows = _print_rows(_rebuild_row(rebuilt, await _copy(url)))
        _say("the peer")
        rows += _print_rows(await _peer_row(url, term))
        _say("reads beside rebuilds")
        rows += _print_rows(*_read_rows(await measure_beside(url, term)))
        _say("lag")
        rows += _print_rows(*_lag_rows(await measure_lag(url)))
    return rows


def _rebuild_row(rebuilt: Rebuilt, copied: float) -> Row:
    number = len(followed())
    return Row(
        f"rebuild of the {number} followed projections, {EVENTS:,} events",
        f"{EVENTS / rebuilt.seconds:,.0f} events/s "
        f"(peak {rebuilt.peak:.0f} MiB, before {rebuilt.before:.0f})",
        f"INSERT … SELECT of the same rows {EVENTS / copied:,.0f} events/s",
        f"{copied / rebuilt.seconds:.0%}",
    )


async def _copy(url: str) -> float:
    """Seconds of copying all tables of the followed projections, indexes included."""
    connection = await connect(url)
    elapsed = 0.0
    for (source,) in await connection.fetch(_TABLES):
        copy = f"copy_{uuid4().hex[:8]}"
        await connection.execute(f"CREATE TABLE {copy} (LIKE {source} INCLUDING INDEXES)")
        began = time.perf_counter()
        await connection.execute(f"INSERT INTO {copy} SELECT * FROM {source}", timeout=3600)
        elapsed += time.perf_counter() - began
        await connection.execute(f"DROP TABLE {copy}")
    await connection.close()
    return elapsed


async def _peer_row(url: str, term: Term) -> Row:
    began = time.perf_counter()
    await rebuild(url, _COUNTING)
    elapsed = time.perf_counter() - began
    connection = await connect(url)
    counted = await connection.fetchval("SELECT sum(messages)::bigint FROM read.message_counts")
    await connection.execute("SELECT drop_views_v1('message_counts')")
    await connection.execute(
        "SELECT drop_generation_v1(name, generation) FROM projections WHERE name = 'message_counts'"
    )
    await connection.close()
    peer = await asyncio.to_thread(measure_peer, url, term.courses)
    ours, theirs = counted / elapsed, PEER_EVENTS / peer
    return Row(
        f"counting messages by course and day, {counted:,} of {EVENTS:,} events",
        f"{ours:,.0f} messages/s",
        f"eventsourcing's projection runner, {PEER_EVENTS:,} events {theirs:,.0f} messages/s",
        f"{ours / theirs:.0f} ×",
    )


def _read_rows(found: Beside) -> list[Row]:
    rows = [
        Row(
            f"GET active conversation, {GETS:.0f}/s, while rebuilding, p{percent}",
            f"{percentile(found.beside, percent):.1f} ms",
            f"no rebuild {percentile(found.alone, percent):.1f} ms",
            f"{percentile(found.beside, percent) / percentile(found.alone, percent):.1f} ×",
        )
        for percent in (50, 99)
    ]
    reads = sum(len(seen.counts) for seen in found.seen)
    strange = sum(seen.strange for seen in found.seen)
    shown = f"{reads:,} reads, {strange} of them neither the old rows nor the new"
    return [*rows, Row(f"views of {len(found.seen)} projections across swaps", shown, "", "", "0")]


def _lag_rows(lags: Lags) -> list[Row]:
    everything, worst = lags.everything, lags.by_projection[lags.worst]
    label = f"followed views behind the head, {PER_SECOND:,} events/s for {SECONDS:.0f} s"
    appended = f"appended {lags.per_second:,.0f}/s"
    return [
        Row(f"{label}, p50", f"{percentile(everything, 50):.0f} ms", appended, ""),
        Row(f"{label}, p99", f"{percentile(everything, 99):.0f} ms", appended, "", "≤ 50 ms"),
        Row(f"… of the worst ({lags.worst}), p99", f"{percentile(worst, 99):.0f} ms", "", ""),
    ]


def _print_rows(*rows: Row) -> list[Row]:
    """Prints figures as they are measured; all of them take many minutes."""
    for row in rows:
        _say(f"{row.what}: {row.ours}; {row.beside}")
    return list(rows)


def _say(what: str) -> None:
    print(f"  … {what}", file=sys.stderr, flush=True)
