"""`colloquy seal` and what `colloquy doctor` says of sealing, as processes."""

import re
from pathlib import Path

import msgspec
import pytest

from eventstore.connections import Connection
from eventstore.log import EventLog
from eventstore.running_log import running_log
from eventstore.sealing.signed_checkpoint import parse_verifier_key, verify
from tests.eventstore.building import append, edits
from tests.eventstore.waiting import eventually
from tests.running import colloquy, service_process

pytestmark = pytest.mark.slow

LAST = "SELECT coalesce(max(size), 0) FROM tree_heads"


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "COLLOQUY_HOME": str(tmp_path),
        "COLLOQUY_SEAL_SECONDS": "0.05",
    }


async def sealed_to(environment: dict[str, str], owner: Connection, log: EventLog) -> None:
    """Three more events, sealed by a running service."""
    await append(log, "experience-1", *edits(3))
    head = await log.head(1)
    async with service_process(environment):
        await eventually(lambda: owner.fetchval(f"SELECT ({LAST}) = $1", head))
        latest = Path(environment["COLLOQUY_HOME"]) / "checkpoints" / "1" / "latest"

        async def written() -> bool:
            return latest.exists() and f"\n{head}\n" in latest.read_text()

        await eventually(written)


async def test_status_tells_how_far_each_account_is_sealed(
    environment: dict[str, str], log: EventLog, owner: Connection
) -> None:
    code, out, _ = await colloquy(environment, "seal", "status")
    assert (code, out) == (0, "account 1  0/0 sealed  never  files up to date\n")
    await sealed_to(environment, owner, log)
    await append(log, "experience-1", *edits(1))
    code, out, _ = await colloquy(environment, "seal", "status", "--json")
    report = msgspec.json.decode(out)
    assert (report["sealed"], report["head"], report["files"]) == (3, 4, "files up to date")
    assert (code, report["sound"]) == (0, True)


async def test_status_and_doctor_tell_that_the_log_went_back(
    environment: dict[str, str], log: EventLog, owner: Connection
) -> None:
    await sealed_to(environment, owner, log)
    await owner.execute("UPDATE log_heads SET position = 2")
    code, out, _ = await colloquy(environment, "seal", "status")
    assert code == 1
    assert "files know 3 events: the log went back" in out
    code, out, _ = await colloquy(environment, "doctor")
    assert code == 1
    assert "WRONG  sealing of account 1" in out


async def test_doctor_shows_key_last_checkpoint_and_how_far_behind(
    environment: dict[str, str], log: EventLog, owner: Connection
) -> None:
    _, out, _ = await colloquy(environment, "doctor")
    assert "ok     sealing key: made at the first start" in out
    await sealed_to(environment, owner, log)
    await append(log, "experience-1", *edits(2))
    _, out, _ = await colloquy(environment, "doctor")
    assert "ok     sealing of account 1: 2 events behind, last checkpoint 2" in out
    assert f"ok     sealing key: {environment['COLLOQUY_HOME']}/keys/seal.key, colloquy-" in out


async def test_a_rotated_key_signs_what_comes_and_the_list_has_both(
    environment: dict[str, str], log: EventLog, owner: Connection
) -> None:
    code, _, err = await colloquy(environment, "seal", "key")
    assert code == 1
    assert "there is no key yet" in err
    await sealed_to(environment, owner, log)
    code, new, _ = await colloquy(environment, "seal", "rotate-key")
    assert code == 0
    _, listed, _ = await colloquy(environment, "seal", "key")
    keys = [parse_verifier_key(line) for line in listed.splitlines()]
    assert str(keys[-1]) == new.strip()
    await sealed_to(environment, owner, log)
    notes = [row[0] for row in await owner.fetch("SELECT note FROM tree_heads ORDER BY size")]
    assert verify(notes[0], keys[:1]).size == 3
    assert verify(notes[-1], keys[1:]).size == 6


async def test_a_key_that_others_can_read_stops_the_start_with_one_line(
    environment: dict[str, str], log: EventLog, owner: Connection
) -> None:
    await sealed_to(environment, owner, log)
    (Path(environment["COLLOQUY_HOME"]) / "keys" / "seal.key").chmod(0o644)
    for arguments in ((), ("--workers", "2")):
        with pytest.raises(RuntimeError) as ended:
            async with service_process(environment, *arguments):
                pass
        output = str(ended.value).removeprefix("the service ended with code 1: ")
        lines = [line for line in output.splitlines() if not line.startswith("{")]
        assert len(lines) == 1, output
        assert re.search(r"colloquy: others .* chmod 600 it$", lines[0])
    code, out, _ = await colloquy(environment, "doctor")
    assert code == 1
    assert "WRONG  sealing key: others than its owner can use" in out


async def test_a_service_that_seals_nothing_makes_no_key(
    environment: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    async with (
        service_process(environment | {"COLLOQUY_SEAL_SECONDS": "0"}),
        running_log(database_url) as (log, _pool, _notifier),
    ):
        await append(log, "experience-1", *edits(1))
    assert list(tmp_path.iterdir()) == []
