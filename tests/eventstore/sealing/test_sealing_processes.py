"""Two services on one log: a sealer that is killed is replaced."""

import asyncio
from pathlib import Path

import pytest

from eventstore.connections import Connection, connect
from eventstore.log import EventLog
from eventstore.sealing.checkpoint_files import read_notes
from eventstore.sealing.signed_checkpoint import verify
from eventstore.sealing.signing_keys import KeyLocation, list_keys
from tests.eventstore.building import append, edits
from tests.eventstore.sealing.trees import leaves_of_log, naive_root
from tests.eventstore.waiting import eventually
from tests.running import ServiceProcess, service_process

WAITING_STORES = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%store_tiles_v1%'
"""
LAST = "SELECT max(size) FROM tree_heads"


async def leader_among(services: list[ServiceProcess]) -> ServiceProcess:
    async def look() -> list[ServiceProcess]:
        return [service for service in services if service.log_lines("sealing_leads")]

    return (await eventually(look))[0]


@pytest.mark.slow
async def test_a_leader_killed_in_the_middle_of_a_step_is_replaced_and_the_tree_is_whole(
    database_url: str, log: EventLog, owner: Connection, tmp_path: Path
) -> None:
    environment = {
        "DATABASE_URL": database_url,
        "COLLOQUY_HOME": str(tmp_path),
        "COLLOQUY_SEAL_SECONDS": "0.05",
    }
    async with service_process(environment) as first, service_process(environment) as second:
        leader = await leader_among([first, second])
        (other,) = {first, second} - {leader}
        await append(log, "experience-1", *edits(300))
        await eventually(lambda: owner.fetchval(f"SELECT ({LAST}) = 300"))
        blocker = await connect(database_url)
        await blocker.execute("BEGIN; LOCK TABLE tree_tiles IN SHARE MODE")
        await append(log, "experience-1", *edits(300))
        await eventually(lambda: owner.fetchval(WAITING_STORES))
        await leader.kill()
        producing = asyncio.create_task(append(log, "experience-1", *edits(30)))
        await blocker.close()
        await producing
        await leader_among([other])
        await eventually(lambda: owner.fetchval(f"SELECT ({LAST}) = 630"))
        await eventually(lambda: files_have(tmp_path, 630))
    await all_is_well(owner, tmp_path)


async def files_have(home: Path, size: int) -> bool:
    return f"\n{size}\n" in (home / "checkpoints" / "1" / "latest").read_text()


async def all_is_well(owner: Connection, home: Path) -> None:
    """Whether table and files hold the same checkpoints, each with the right root."""
    heads = await owner.fetch("SELECT size, root, note FROM tree_heads ORDER BY size")
    days = sorted((home / "checkpoints" / "1").glob("*.checkpoints"))
    assert [note for day in days for note in read_notes(day)] == [head["note"] for head in heads]
    leaves = await leaves_of_log(owner)
    keys = list_keys(KeyLocation(home / "keys"))
    assert len(keys) == 1
    for head in heads:
        assert verify(head["note"], keys).root == naive_root(leaves[: head["size"]])
