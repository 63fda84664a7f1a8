"""One process at a time seals the committed log, and never against the files."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs

from eventstore.append_batch import arguments, new_pending_append
from eventstore.connections import Connection, Pool
from eventstore.log import EventLog
from eventstore.sealing import log_sealer
from eventstore.sealing import sealer as sealer_module
from eventstore.sealing.sealer import Sealer
from eventstore.sealing.signed_checkpoint import verify
from eventstore.sealing.signing_keys import KeyLocation
from eventstore.sealing.tiles import HEIGHT, Key, StoredTiles, TiledTree, Tiles
from sql.loader import query
from tests.eventstore.building import BY_LEARNER, add_account, append, messages
from tests.eventstore.sealing.building_seals import (
    HEADS,
    fill,
    is_sealed_well,
    replace_unrecorded,
    seal,
    sealed,
)
from tests.eventstore.sealing.trees import leaves_of_log
from tests.eventstore.waiting import eventually


@asynccontextmanager
async def running(*sealers: Sealer) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(sealer.run()) for sealer in sealers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_a_log_is_sealed_up_to_its_head_round_by_round(
    log: EventLog, owner: Connection, sealer: Sealer, place: KeyLocation, folder: Path
) -> None:
    assert await seal(sealer) == []
    assert await sealed(owner) == 0
    for _ in range(3):
        await append(log, "s", *messages(3))
        assert await seal(sealer, rounds=2) == []
    assert [head["size"] for head in await owner.fetch(HEADS, 1)] == [3, 6, 9]
    assert await is_sealed_well(owner, place, folder)


async def test_every_account_has_its_own_tree(
    log: EventLog, owner: Connection, sealer: Sealer, place: KeyLocation, folder: Path
) -> None:
    await add_account(owner, 2)
    await append(log, "s", *messages(3))
    await append(log, "s", *messages(5), account_id=2)
    assert await seal(sealer) == []
    for account_id in (1, 2):
        assert await is_sealed_well(owner, place, folder, account_id)


async def test_the_format_of_a_leaf_never_changes(owner: Connection) -> None:
    await owner.execute(
        """
        INSERT INTO events VALUES
            (1, 1, 'dialogue-1-101', 7, '00000000-0000-7000-8000-00000000000a',
             'message_posted.v1', 16, '{"type": "message_posted.v1", "b": [1, null], "a": "é\\n"}',
             '{"actor": {"id": 101, "role": "learner"}}', sha256('x'),
             '2026-01-02 04:04:05.000070+01'),
            (1, 2, 'a "quoted"\\stream', 1, '00000000-0000-7000-8000-00000000000b', 'x.v1', NULL,
             '{}', '{}', NULL, '2026-12-31 23:59:59.999999+00')
        """
    )
    await owner.execute("SET timezone = 'Asia/Tokyo'; SET datestyle = 'German'")
    rows = await owner.fetch("SELECT event_line_v1(e) FROM events e ORDER BY position")
    assert [row[0] for row in rows] == [
        '{"account_id":1,"position":1,"stream":"dialogue-1-101","revision":7,'
        '"event_id":"00000000-0000-7000-8000-00000000000a","type":"message_posted.v1",'
        '"conversation_id":16,"recorded_at":"2026-01-02T03:04:05.000070Z",'
        '"content_hash":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",'
        '"data":{"a": "é\\n", "b": [1, null], "type": "message_posted.v1"},'
        '"metadata":{"actor": {"id": 101, "role": "learner"}}}',
        '{"account_id":1,"position":2,"stream":"a \\"quoted\\"\\\\stream","revision":1,'
        '"event_id":"00000000-0000-7000-8000-00000000000b","type":"x.v1","conversation_id":null,'
        '"recorded_at":"2026-12-31T23:59:59.999999Z","content_hash":null,"data":{},"metadata":{}}',
    ]


async def test_a_log_is_sealed_across_the_ends_of_tiles(
    owner: Connection, sealer: Sealer, place: KeyLocation, folder: Path
) -> None:
    """Earlier full tiles are not written again."""
    sizes = (255, 256, 257, 300, 301, 512, 513)
    before = 0
    for size in sizes:
        await fill(owner, before + 1, size)
        assert await seal(sealer) == []
        before = size
    assert [head["size"] for head in await owner.fetch(HEADS, 1)] == list(sizes)
    assert await is_sealed_well(owner, place, folder)


async def test_seventy_thousand_events_are_sealed_in_two_steps(
    owner: Connection, sealer: Sealer, place: KeyLocation, folder: Path
) -> None:
    await fill(owner, 1, 70_000)
    assert await seal(sealer) == []
    await fill(owner, 70_001, 70_003)
    assert await seal(sealer) == []
    assert [head["size"] for head in await owner.fetch(HEADS, 1)] == [70_000, 70_003]
    assert await is_sealed_well(owner, place, folder)


class CountedTiles(StoredTiles):
    """Counts the tiles that are read."""

    reads = 0

    async def read(self, keys: Collection[Key]) -> Tiles:
        tiles = await super().read(keys)
        CountedTiles.reads += len(tiles)
        return tiles


async def test_a_new_leader_reads_the_edge_of_the_tree_and_no_more(
    database_url: str,
    owner: Connection,
    place: KeyLocation,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With tiles of four hashes, 4,000 leaves make a tree of six levels of tiles."""
    await fill(owner, 1, 3_999)
    await seal(Sealer(database_url, place, folder, 1, height=2))
    await fill(owner, 4_000, 4_001)
    monkeypatch.setattr(log_sealer, "StoredTiles", CountedTiles)
    monkeypatch.setattr(CountedTiles, "reads", 0)
    await seal(Sealer(database_url, place, folder, 1, height=2))
    assert await is_sealed_well(owner, place, folder)
    assert await owner.fetchval("SELECT count(*) FROM tree_tiles") > 1_300
    levels = 6
    old_edge, old_root, new_root = levels, levels, levels
    assert 0 < CountedTiles.reads <= old_edge + old_root + new_root


async def test_what_was_grown_before_a_crash_is_not_grown_again(
    database_url: str,
    owner: Connection,
    place: KeyLocation,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_sealer, "STEP", 100)
    await fill(owner, 1, 350)
    dying = Sealer(database_url, place, folder, 1)
    whole = StoredTiles.store

    async def store(self: StoredTiles, tiles: Tiles) -> None:
        if await self.size() == 200:
            raise ConnectionResetError("killed")
        await whole(self, tiles)

    with monkeypatch.context() as patched:
        patched.setattr(StoredTiles, "store", store)
        with pytest.raises(ConnectionResetError):
            await seal(dying)
    assert await sealed(owner) == 0
    assert not folder.exists()
    assert await seal(Sealer(database_url, place, folder, 1)) == []
    assert [head["size"] for head in await owner.fetch(HEADS, 1)] == [350]
    assert await is_sealed_well(owner, place, folder)


async def test_an_append_under_way_is_not_sealed(
    log: EventLog, owner: Connection, sealer: Sealer
) -> None:
    await append(log, "s", *messages(3))
    item = new_pending_append(1, "t", None, messages(2), BY_LEARNER)
    transaction = owner.transaction()
    await transaction.start()
    await owner.fetchrow(query("append_events"), *arguments([item]))
    assert await owner.fetchval("SELECT max(position) FROM events") == 5
    await seal(sealer)
    assert await sealed(owner) == 3
    await transaction.commit()
    await seal(sealer)
    assert await sealed(owner) == 5


async def test_the_database_itself_takes_no_checkpoint_beyond_the_head_and_none_twice(
    owner: Connection, workers: Pool
) -> None:
    await fill(owner, 1, 5)
    record = query("record_tree_head")
    now = await owner.fetchval("SELECT now()")
    with pytest.raises(asyncpg.CheckViolationError):
        await workers.execute(record, 1, 6, bytes(32), "note", now)
    await workers.execute(record, 1, 4, bytes(32), "note", now)
    for size in (3, 4):
        with pytest.raises(asyncpg.CheckViolationError):
            await workers.execute(record, 1, size, bytes(32), "note", now)


async def test_a_replaced_key_signs_the_next_checkpoint(
    owner: Connection, sealer: Sealer, place: KeyLocation, folder: Path
) -> None:
    await fill(owner, 1, 1)
    await seal(sealer)
    new = replace_unrecorded(place)
    await fill(owner, 2, 2)
    await seal(sealer)
    heads = await owner.fetch(HEADS, 1)
    assert verify(heads[1]["note"], [new.public]).size == 2
    assert await is_sealed_well(owner, place, folder)


async def test_a_key_that_others_can_read_stops_the_sealing_until_it_is_repaired(
    owner: Connection, sealer: Sealer, place: KeyLocation
) -> None:
    await fill(owner, 1, 1)
    place.key.chmod(0o644)
    assert await seal(sealer, rounds=2) == ["sealing_stopped"]
    place.key.chmod(0o600)
    assert await seal(sealer) == []
    assert await sealed(owner) == 1


async def test_a_missing_key_is_not_generated_while_the_service_runs(
    owner: Connection, sealer: Sealer, place: KeyLocation
) -> None:
    await fill(owner, 1, 1)
    place.key.unlink()
    assert await seal(sealer) == ["sealing_stopped"]
    assert not place.key.exists()


async def test_another_sealer_takes_over_when_the_leaders_session_ends(
    database_url: str, log: EventLog, owner: Connection, place: KeyLocation, folder: Path
) -> None:
    kill = """
    SELECT pg_terminate_backend(l.pid) FROM pg_locks l
     WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND (l.classid::bigint << 32 | l.objid::bigint) = $1
    """
    sealers = [Sealer(database_url, place, folder, 0.02) for _ in range(2)]
    with capture_logs() as logs:
        async with running(*sealers):
            for number in range(1, 4):
                await append(log, "s", *messages(2))
                await eventually(lambda: is_sealed_well(owner, place, folder))
                leads = [entry for entry in logs if entry["event"] == "sealing_leads"]
                assert len(leads) == number
                assert len(await owner.fetch(kill, sealer_module._LOCK)) == 1
                await eventually(lambda: leads_again(logs, number + 1))  # noqa: B023
    assert await is_sealed_well(owner, place, folder)


async def leads_again(logs: Sequence[Mapping[str, object]], number: int) -> bool:
    return len([entry for entry in logs if entry["event"] == "sealing_leads"]) == number


async def test_sealing_goes_on_while_events_are_appended(
    database_url: str, log: EventLog, owner: Connection, place: KeyLocation, folder: Path
) -> None:
    async def produce(stream: str) -> None:
        for _ in range(30):
            await append(log, stream, *messages(2))

    async with running(*(Sealer(database_url, place, folder, 0.001) for _ in range(2))):
        producing = asyncio.gather(*(produce(f"s{n}") for n in range(4)))
        await eventually(lambda: sealed(owner))
        await append(log, "after the first checkpoint", *messages(1))
        await producing
        await eventually(lambda: is_sealed_well(owner, place, folder))
    assert await sealed(owner) == 241
    assert len(await owner.fetch(HEADS, 1)) > 1


async def test_stored_tiles_yield_valid_proofs(
    owner: Connection, sealer: Sealer, workers: Pool
) -> None:
    from tests.eventstore.sealing.proofs import is_consistent, is_included, prove_inclusion

    await fill(owner, 1, 600)
    await seal(sealer)
    await fill(owner, 601, 1_000)
    await seal(sealer)
    first, second = await owner.fetch(HEADS, 1)
    tree = TiledTree(StoredTiles(workers, 1), HEIGHT)
    leaves = await leaves_of_log(owner)
    for index in (0, 255, 256, 599, 999):
        proof = await prove_inclusion(tree, index, 1_000)
        assert is_included(index, 1_000, leaves[index], proof, second["root"])
    proof = await tree.prove_consistency(600, 1_000)
    assert is_consistent(600, 1_000, first["root"], second["root"], proof)
