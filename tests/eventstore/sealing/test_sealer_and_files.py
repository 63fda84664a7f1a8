"""If the files know more than the log, the account's sealing stops and an error is logged."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from eventstore.connections import Connection
from eventstore.sealing.checkpoint_files import CheckpointFiles, read_notes
from eventstore.sealing.sealer import Sealer
from eventstore.sealing.signed_checkpoint import verify
from eventstore.sealing.signing_keys import KeyLocation, list_keys
from tests.eventstore.building import add_account
from tests.eventstore.sealing.building_seals import (
    SET_HEAD,
    fill,
    forget,
    is_sealed_well,
    seal,
    sealed,
)
from tests.eventstore.sealing.trees import leaves_of_log, naive_root


async def test_files_that_could_not_be_written_get_the_missing_notes_in_order(
    owner: Connection, sealer: Sealer, place: KeyLocation, folder: Path
) -> None:
    folder.write_text("in the way")
    for head in (1, 2, 3):
        await fill(owner, head, head)
        errors = await seal(sealer)
        assert errors == (["checkpoint_files_failed"] if head == 1 else [])
    assert await sealed(owner) == 3
    folder.unlink()
    assert await seal(sealer) == []
    assert await is_sealed_well(owner, place, folder)


async def test_the_next_leader_writes_the_note_after_a_crash_between_commit_and_file(
    database_url: str, owner: Connection, sealer: Sealer, place: KeyLocation, folder: Path
) -> None:
    await fill(owner, 1, 1)
    await seal(sealer)
    before = {path: path.read_bytes() for path in (folder / "1").iterdir()}
    for head in (2, 3):
        await fill(owner, head, head)
        await seal(sealer)
    for path in (folder / "1").iterdir():
        path.unlink()  # one more than before, where midnight has passed
    for path, content in before.items():
        path.write_bytes(content)
    assert await seal(Sealer(database_url, place, folder, 1)) == []
    assert await is_sealed_well(owner, place, folder)


@pytest.mark.parametrize("refilled_to", [5, 10, 12])
async def test_a_log_that_went_back_is_reported_and_not_sealed(
    owner: Connection, sealer: Sealer, place: KeyLocation, folder: Path, refilled_to: int
) -> None:
    """A shorter log than the files know, an equally long one with another root, a longer one."""
    await add_account(owner, 2)
    await fill(owner, 1, 5)
    await seal(sealer)
    await fill(owner, 6, 10)
    await seal(sealer)
    in_files = {path: path.read_bytes() for path in (folder / "1").iterdir()}
    await forget(owner, 5)
    await fill(owner, 6, refilled_to)
    await fill(owner, 1, 3, account_id=2)
    assert await seal(sealer, rounds=3) == ["log_went_back"]
    assert await sealed(owner) == 5
    assert {path: path.read_bytes() for path in (folder / "1").iterdir()} == in_files
    assert await is_sealed_well(owner, place, folder, 2)


async def test_the_error_names_both_sizes(owner: Connection, sealer: Sealer) -> None:
    await fill(owner, 1, 10)
    await seal(sealer)
    await forget(owner, 5)
    with capture_logs() as logs:
        async with sealer.leading() as connection:
            await sealer.seal(connection)
    (entry,) = [entry for entry in logs if entry["event"] == "log_went_back"]
    assert entry["account_id"] == 1
    assert entry["error"] == "the checkpoint files know 10 events, the log ends at 5"


async def test_it_is_told_again_as_long_as_it_lasts_and_ends_when_it_is_mended(
    owner: Connection, database_url: str, place: KeyLocation, folder: Path
) -> None:
    sealer = Sealer(database_url, place, folder, 1, say_again=0.0)
    await fill(owner, 1, 10)
    await seal(sealer)
    await forget(owner, 5)
    assert await seal(sealer, rounds=3) == ["log_went_back"] * 3
    folder.rename(folder.with_name("elsewhere"))
    assert await seal(sealer) == []
    assert await sealed(owner) == 5


async def test_a_log_without_its_tail_is_reported_without_files(
    owner: Connection, sealer: Sealer, folder: Path
) -> None:
    await fill(owner, 1, 10)
    await seal(sealer)
    folder.rename(folder.with_name("elsewhere"))
    await owner.execute(SET_HEAD, 1, 8)
    assert await seal(sealer) == ["log_went_back"]


async def test_an_account_that_only_the_files_know_is_reported(
    owner: Connection, sealer: Sealer
) -> None:
    await add_account(owner, 2)
    await fill(owner, 1, 1, account_id=2)
    await seal(sealer)
    await owner.execute("DELETE FROM log_heads WHERE account_id = 2")
    await fill(owner, 1, 1)
    assert await seal(sealer) == ["log_went_back"]
    assert await sealed(owner) == 1


async def test_a_log_with_a_hole_is_not_sealed(owner: Connection, sealer: Sealer) -> None:
    await fill(owner, 1, 4)
    await fill(owner, 6, 10)
    assert await seal(sealer) == ["log_went_back"]
    assert await sealed(owner) == 0


async def test_a_tile_that_was_tampered_with_is_noticed_at_the_next_checkpoint(
    owner: Connection, sealer: Sealer
) -> None:
    await fill(owner, 1, 10)
    await seal(sealer)
    await owner.execute("ALTER TABLE tree_tiles DISABLE TRIGGER ALL")
    await owner.execute("UPDATE tree_tiles SET hashes = sha256('') || substr(hashes, 33)")
    await fill(owner, 11, 12)
    assert await seal(sealer) == ["log_went_back"]
    assert await sealed(owner) == 10


async def test_files_with_other_contents_stop_the_sealing_of_that_account(
    owner: Connection, sealer: Sealer, folder: Path
) -> None:
    await fill(owner, 1, 1)
    await seal(sealer)
    (folder / "1" / "latest").write_text("something else")
    await fill(owner, 2, 2)
    assert await seal(sealer) == ["sealing_stopped"]
    assert await sealed(owner) == 1


async def test_the_files_alone_prove_what_was_sealed(
    owner: Connection, sealer: Sealer, place: KeyLocation, folder: Path
) -> None:
    await fill(owner, 1, 7)
    await seal(sealer)
    (day,) = (folder / "1").glob("*.checkpoints")
    (note,) = read_notes(day)
    assert verify(note, list_keys(place)).root == naive_root(await leaves_of_log(owner))
    assert CheckpointFiles(folder, 1).size() == 7
