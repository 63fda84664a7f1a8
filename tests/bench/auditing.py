"""Verifying and exporting a whole log, next to reading the same rows and hashing them."""

import resource
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from eventstore.connections import connect
from eventstore.envelope import NO_END
from eventstore.running_log import running_log
from eventstore.sealing.copy_reader import Row as LogRow
from eventstore.sealing.copy_reader import copy_rows
from eventstore.sealing.sealer import Sealer
from eventstore.sealing.signing_keys import KeyLocation, list_keys, open_signer
from eventstore.sealing.verify_log import TrustAnchors, verify_log
from projections.parallel_build import silent
from service.audit.bundle_export import export_bundle
from service.audit.bundle_folder import Selection
from sql.loader import query
from tests.bench.dialogues import start_dialogue
from tests.bench.measuring import Row, fresh_database, scaled

EVENTS = scaled(200_000, at_least=2_000)
_OF_ONE = 20
_GOAL = "≥ 100,000 events/s"


async def bench_audit(server_url: str) -> list[Row]:
    """Events per second of sealing, verifying and exporting a log."""
    async with fresh_database(server_url) as url:
        await _fill(url)
        with TemporaryDirectory() as home:
            sealing = await _seal(url, Path(home))
            floor = await _floor(url)
            began = _peak()
            verifying = await _verify(url, Path(home))
            exporting = await _export(url, Path(home))
    bare = f"COPY of the same rows, SHA-256 of each {EVENTS / floor:,.0f} events/s"
    memory = f"peak {_peak():.0f} MiB, before {began:.0f}"
    return [
        _row("verify the whole log", verifying, bare, floor, memory, _GOAL),
        _row("export the whole log", exporting, bare, floor, memory, _GOAL),
        _row("seal the whole log", sealing, bare, floor, "", ""),
    ]


def _row(what: str, elapsed: float, bare: str, floor: float, memory: str, goal: str) -> Row:
    ours = f"{EVENTS / elapsed:,.0f} events/s" + (f" ({memory})" if memory else "")
    return Row(f"{what}, {EVENTS:,} events", ours, bare, f"{floor / elapsed:.0%}", goal)


async def _fill(url: str) -> None:
    """One dialogue through the log, then copies of its rows up to the size."""
    async with running_log(url) as (log, _pool, _notifier):
        await start_dialogue(log, conversation_id=1, user_id=1, exchanges=_OF_ONE // 2 - 1)
    connection = await connect(url)
    copies = EVENTS // _OF_ONE - 1
    await connection.execute(
        "INSERT INTO events SELECT account_id, position + 20 * n, 'dialogue-1-' || n + 1, "
        "revision, gen_random_uuid(), type, n + 1, "
        "data || jsonb_build_object('conversation_id', n + 1, 'user_id', n + 1), "
        "metadata, content_hash, "
        f"recorded_at FROM generate_series(1, {copies}) n, events ORDER BY 2",
        timeout=3600,
    )
    await connection.execute(
        "INSERT INTO event_content SELECT account_id, position + 20 * n, n + 1, salt, "
        f"content FROM generate_series(1, {copies}) n, event_content ORDER BY 2",
        timeout=3600,
    )
    await connection.execute(f"UPDATE log_heads SET position = {EVENTS} WHERE account_id = 1")
    await connection.execute("VACUUM ANALYZE events, event_content", timeout=3600)
    await connection.close()


async def _seal(url: str, home: Path) -> float:
    place = KeyLocation(home / "keys")
    open_signer(place)
    async with Sealer(url, place, home / "checkpoints", 1).leading() as connection:
        sealer = Sealer(url, place, home / "checkpoints", 1)
        began = time.perf_counter()
        await sealer.seal(connection)
        return time.perf_counter() - began


async def _floor(url: str) -> float:
    connection = await connect(url, "colloquy_auditor")
    read = 0

    async def take(rows: Sequence[LogRow]) -> None:
        nonlocal read
        for row in rows:
            sha256(row[1]).digest()
        read += len(rows)

    began = time.perf_counter()
    await copy_rows(connection, query("copy_lines"), 1, 0, NO_END, take=take)
    elapsed = time.perf_counter() - began
    await connection.close()
    assert read == EVENTS
    return elapsed


async def _verify(url: str, home: Path) -> float:
    connection = await connect(url, "colloquy_auditor")
    trusted = TrustAnchors(list_keys(KeyLocation(home / "keys")), home / "checkpoints" / "1")
    began = time.perf_counter()
    report = await verify_log(connection, 1, trusted, silent)
    elapsed = time.perf_counter() - began
    await connection.close()
    assert (report.problem, report.events, report.sealed) == (None, EVENTS, EVENTS), report
    return elapsed


async def _export(url: str, home: Path) -> float:
    place = KeyLocation(home / "keys")
    began = time.perf_counter()
    done = await export_bundle(
        url, place, 1, Selection("all"), home / "bundle", size=None, progress=silent
    )
    elapsed = time.perf_counter() - began
    assert done.events == EVENTS
    return elapsed


def _peak() -> float:
    """The peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
