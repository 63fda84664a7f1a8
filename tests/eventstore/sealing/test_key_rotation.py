"""A replaced sealing key proves nothing after its successor's record."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import asyncpg
import msgspec
import pytest
from structlog.testing import capture_logs

from eventstore.connections import Connection, connect
from eventstore.errors import KeyRefused
from eventstore.log import EventLog
from eventstore.sealing.key_rotation import rotate_key
from eventstore.sealing.sealer import Sealer
from eventstore.sealing.signed_checkpoint import cosign, read_note, sign, verify
from eventstore.sealing.signing_keys import (
    KeyLocation,
    Signer,
    generate_successor,
    list_keys,
    lock_keys,
    open_signer,
    read_signer,
    replace_key,
)
from sql.loader import query
from tests.databases import database_named
from tests.eventstore.building import ACCOUNT
from tests.eventstore.sealing.building_seals import replace_unrecorded
from tests.eventstore.sealing.sealed import Sealed, tamper

ROTATIONS = "SELECT account_id, size, root, note FROM key_rotations ORDER BY recorded_at"


@pytest.fixture
async def sealed(database_url: str, log: EventLog, tmp_path: Path) -> Sealed:
    """One checkpoint of 8 events."""
    made = Sealed(database_url, tmp_path, log)
    await made.say(8)
    await made.seal()
    return made


async def rotate(sealed: Sealed) -> Signer:
    rotation = await rotate_key(sealed.url, sealed.place, sealed.folder)
    assert rotation.problems == []
    return rotation.signer


async def forge(sealed: Sealed, thief: Signer, *, says: timedelta = timedelta()) -> None:
    """A checkpoint of all events by a stolen key, in the database and in the files."""
    old, away = sealed.place.key.read_bytes(), sealed.place.folder / "away"
    away.mkdir()
    stolen = KeyLocation(away, name=thief.name)
    open_signer(stolen)
    replace_key(stolen, thief)
    await sealed.seal_as_thief(stolen)
    assert sealed.place.key.read_bytes() == old
    if says:
        head = await last_head(sealed.url)
        said = read_note(head["note"])
        said = msgspec.structs.replace(said, time=said.time + says)
        note = sign(said, thief.name, thief.private)
        await tamper(
            sealed.url,
            f"UPDATE tree_heads SET note = '{note}', sealed_at = '{said.time}' "
            f"WHERE size = {said.size}",
        )
        (sealed.files / "latest").unlink()
        for path in sealed.files.glob("*.checkpoints"):
            path.write_text(path.read_text().replace(head["note"], note))


async def last_head(url: str) -> asyncpg.Record:
    connection = await connect(url)
    try:
        head = await connection.fetchrow(query("get_tree_head"), ACCOUNT, None)
    finally:
        await connection.close()
    assert head is not None
    return head


async def test_a_rotation_records_each_logs_size_and_root_signed_by_both_keys(
    sealed: Sealed, owner: Connection
) -> None:
    old = read_signer(sealed.place)
    new = await rotate(sealed)
    (row,) = await owner.fetch(ROTATIONS)
    head = await last_head(sealed.url)
    for key in (old.public, new.public):
        said = verify(row["note"], [key])
        assert (said.origin, said.size, said.root) == ("colloquy-test/1", 8, head["root"])
    assert (row["account_id"], row["size"], row["root"]) == (ACCOUNT, 8, head["root"])
    assert list_keys(sealed.place) == [old.public, new.public]
    assert read_signer(sealed.place).public == new.public


async def test_checkpoints_of_the_old_key_stay_valid(sealed: Sealed) -> None:
    await rotate(sealed)
    assert (await sealed.verify()).problem is None
    await sealed.say(1)
    await sealed.seal()
    await rotate(sealed)
    report = await sealed.verify()
    assert (report.problem, report.checkpoints, report.findings) == (None, 2, 0)


@pytest.mark.parametrize("says", [timedelta(), timedelta(days=-300)], ids=["now", "backdated"])
async def test_a_checkpoint_that_a_stolen_key_signs_later_is_found(
    sealed: Sealed, says: timedelta
) -> None:
    old = read_signer(sealed.place)
    await rotate(sealed)
    await sealed.say(2)
    await forge(sealed, old, says=says)
    report = await sealed.verify()
    assert report.position == 9
    assert "is by a key that was replaced" in (report.problem or "")
    assert "bears witness to 8 events only" in (report.problem or "")


async def test_a_key_that_was_replaced_twice_proves_nothing_new(sealed: Sealed) -> None:
    """Its successor was stolen, too, and signs the record."""
    first = read_signer(sealed.place)
    second = await rotate(sealed)
    await rotate(sealed)
    await sealed.say(2)
    await forge(sealed, first)
    head = await last_head(sealed.url)
    note = cosign(head["note"], second.name, second.private)
    await tamper(sealed.url, f"UPDATE tree_heads SET note = '{note}' WHERE size = 10")
    report = await sealed.verify()
    assert (report.position, report.findings > 0) == (9, True)


async def test_a_key_replaced_without_a_record_counts_once_its_successor_has_sealed(
    sealed: Sealed,
) -> None:
    """As earlier releases replaced keys."""
    replace_unrecorded(sealed.place)
    report = await sealed.verify()
    assert (report.position, "bears witness to 0 events" in (report.problem or "")) == (1, True)
    await sealed.say(1)
    await sealed.seal()
    assert (await sealed.verify()).problem is None


async def test_a_record_that_was_changed_is_found(sealed: Sealed) -> None:
    await rotate(sealed)
    await tamper(sealed.url, "UPDATE key_rotations SET size = 7")
    report = await sealed.verify()
    assert (report.position, "is not what its note says" in (report.problem or "")) == (7, True)


async def test_a_record_that_was_removed_is_missed(sealed: Sealed) -> None:
    await rotate(sealed)
    await tamper(sealed.url, "DELETE FROM key_rotations")
    assert (await sealed.verify()).problem is not None


async def unrecorded(sealed: Sealed, owner: Connection) -> str:
    """The reason why a rotation recorded nothing of the log."""
    before = await owner.fetch(ROTATIONS)
    rotation = await rotate_key(sealed.url, sealed.place, sealed.folder)
    assert await owner.fetch(ROTATIONS) == before
    assert read_signer(sealed.place).public == rotation.signer.public
    (problem,) = rotation.problems
    return problem


async def rewrite(sealed: Sealed, thief: Signer, tmp_path: Path) -> None:
    """A rewritten history, sealed by a key, that differs only from the machine's files."""
    stolen = KeyLocation(tmp_path / "stolen", name=thief.name)
    open_signer(stolen)
    replace_key(stolen, thief)
    await tamper(
        sealed.url,
        "UPDATE event_content SET content = 'I never said that' WHERE position = 5",
        "UPDATE events e SET content_hash = sha256(c.salt || convert_to(c.content, 'UTF8')) "
        "FROM event_content c WHERE c.position = e.position AND e.position = 5",
        "DELETE FROM tree_tiles",
        "DELETE FROM tree_heads",
    )
    await sealed.seal_as_thief(stolen, tmp_path / "files-of-the-thief")


async def test_a_forged_database_gets_no_signature_at_a_rotation(
    sealed: Sealed, owner: Connection, tmp_path: Path
) -> None:
    stranger = open_signer(KeyLocation(tmp_path / "stranger", name="colloquy-test"))
    said = msgspec.structs.replace(read_note((await last_head(sealed.url))["note"]), root=bytes(32))
    note = sign(said, stranger.name, stranger.private)
    await tamper(sealed.url, f"UPDATE tree_heads SET note = '{note}', root = '\\x{'00' * 32}'")
    assert "none of the keys has signed" in await unrecorded(sealed, owner)


async def test_a_thief_of_the_current_key_gets_no_signature_of_the_next_one(
    sealed: Sealed, owner: Connection, tmp_path: Path
) -> None:
    """The operator replaces the key because of the theft; the machine's files show the forgery."""
    await rewrite(sealed, read_signer(sealed.place), tmp_path)
    assert "of 8 events the log has another root" in await unrecorded(sealed, owner)


async def test_a_thief_of_a_replaced_key_gets_no_signature_of_the_next_one(
    sealed: Sealed, owner: Connection, tmp_path: Path
) -> None:
    old = read_signer(sealed.place)
    await rotate(sealed)
    await sealed.say(2)
    await sealed.seal()
    await rewrite(sealed, old, tmp_path)
    assert "by a key that was replaced" in await unrecorded(sealed, owner)


async def test_a_checkpoint_that_is_not_of_the_log_gets_no_record(
    sealed: Sealed, owner: Connection
) -> None:
    """The tree is unchanged, the events are not."""
    await tamper(sealed.url, "UPDATE events SET metadata = '{}' WHERE position = 2")
    assert "of 8 events the log has another root" in await unrecorded(sealed, owner)


async def test_a_key_replaced_under_one_name_is_replaced_under_all(sealed: Sealed) -> None:
    """The log's name was changed, the key was not; then it was stolen and replaced."""
    renamed = KeyLocation(sealed.place.folder, name="colloquy-renamed")
    open_signer(renamed)
    thief = read_signer(sealed.place)
    await rotate_key(sealed.url, renamed, sealed.folder)
    assert [key.name for key in list_keys(sealed.place)] == [
        "colloquy-test",
        *["colloquy-renamed"] * 2,
    ]
    assert (await sealed.verify()).problem is None
    await sealed.say(2)
    await forge(sealed, thief)
    report = await sealed.verify()
    assert (report.position, "was replaced" in (report.problem or "")) == (9, True)


async def test_a_key_replaced_together_with_its_name_is_replaced(sealed: Sealed) -> None:
    renamed, thief = KeyLocation(sealed.place.folder, name="school"), read_signer(sealed.place)
    rotation = await rotate_key(sealed.url, renamed, sealed.folder)
    assert rotation.problems == []
    await sealed.say(2)
    await forge(sealed, thief)
    report = await sealed.verify()
    assert (report.position, "was replaced" in (report.problem or "")) == (9, True)


async def test_a_key_that_other_settings_bring_back_seals_no_more(sealed: Sealed) -> None:
    open_signer(KeyLocation(sealed.home / "elsewhere"))
    shared = KeyLocation(sealed.place.folder, sealed.home / "elsewhere" / "seal.key", "school")
    await sealed.say(1)
    await sealed.seal(place=shared)
    await sealed.say(1)
    with capture_logs() as logs:
        await sealed.seal()
    (entry_logged,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert "was replaced, as" in entry_logged["error"]
    assert (await sealed.verify()).problem is None
    await rotate(sealed)
    await sealed.seal()
    report = await sealed.verify()
    assert (report.problem, report.unsealed) == (None, 0)


async def test_a_key_that_a_list_repeats_stays_replaced(sealed: Sealed) -> None:
    old = read_signer(sealed.place)
    await rotate(sealed)
    with sealed.place.vkeys.open("a") as file:
        file.write(f"{old.public}\n")
    await sealed.say(2)
    await forge(sealed, old)
    assert (await sealed.verify()).position == 9


async def test_a_machine_with_a_copy_of_a_replaced_key_seals_no_more(
    sealed: Sealed, tmp_path: Path
) -> None:
    copy = KeyLocation(tmp_path / "other", name="another-name")
    open_signer(copy)
    replace_key(copy, msgspec.structs.replace(read_signer(sealed.place), name="another-name"))
    await rotate(sealed)
    await sealed.say(1)
    with capture_logs() as logs:
        sealer = Sealer(sealed.url, copy, tmp_path / "files", 1)
        async with sealer.leading() as connection:
            await sealer.seal(connection)
    (entry_logged,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert "was replaced on another machine" in entry_logged["error"]
    await sealed.seal()
    assert (await sealed.verify()).problem is None


async def test_a_rotation_before_the_first_start_is_refused(
    database_url: str, tmp_path: Path
) -> None:
    place = KeyLocation(tmp_path / "keys")
    with pytest.raises(KeyRefused):
        await rotate_key(database_url, place, tmp_path)
    assert list_keys(place) == []


async def test_a_database_that_is_away_leaves_the_key_in_its_place(sealed: Sealed) -> None:
    before = read_signer(sealed.place).public
    with pytest.raises((OSError, asyncpg.PostgresError)):
        await rotate_key(database_named(sealed.url, "gone"), sealed.place, sealed.folder)
    assert read_signer(sealed.place).public == before
    assert list_keys(sealed.place) == [before]


async def test_a_rotation_waits_for_a_checkpoint_that_is_being_recorded(
    sealed: Sealed, owner: Connection
) -> None:
    lock = await asyncio.to_thread(lock_keys, sealed.place)
    rotating = asyncio.create_task(asyncio.to_thread(asyncio.run, rotate(sealed)))
    await asyncio.sleep(0.3)
    assert await owner.fetch(ROTATIONS) == []
    assert not rotating.done()
    os.close(lock)
    await rotating
    assert len(await owner.fetch(ROTATIONS)) == 1


def test_a_key_that_a_crash_left_unlisted_is_listed_before_it_signs(tmp_path: Path) -> None:
    place = KeyLocation(tmp_path)
    old = open_signer(place)
    listed = place.vkeys.read_text()
    new = generate_successor(old)
    replace_key(place, new)
    place.vkeys.write_text(listed)
    assert open_signer(place).public == new.public
    assert list_keys(place) == [old.public, new.public]
