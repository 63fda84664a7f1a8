"""Checks of a bundle with its key's successor and with the auditor's own checkpoints."""

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from eventstore.envelope import NewEvent
from eventstore.log import EventLog
from eventstore.privacy_events import LearnerErased, TextExpired
from eventstore.sealing.checkpoint_files import read_notes
from eventstore.sealing.key_rotation import rotate_key
from eventstore.sealing.signed_checkpoint import read_note, sign
from eventstore.sealing.signing_keys import (
    KeyLocation,
    Signer,
    list_keys,
    open_signer,
    read_signer,
    replace_key,
)
from service.audit.bundle_checkpoints import sizes_kept
from service.audit.bundle_folder import BundleRefused, Selection
from service.audit.verify_bundle import Wrong, refuse_unread, verify
from service.errors import NotFound
from tests.eventstore.building import append
from tests.eventstore.sealing.building_seals import replace_unrecorded
from tests.eventstore.sealing.sealed import Sealed, tamper
from tests.service.audit.bundling import ALL, export, make_anew, problem, verify_alone, vkey_of

SECOND = Selection("conversation", 2)
BOTH = pytest.mark.parametrize("selection", [ALL, SECOND], ids=["all", "conversation"])


@pytest.fixture
async def sealed(database_url: str, log: EventLog, tmp_path: Path) -> Sealed:
    """Checkpoints of 4 and 9 events."""
    made = Sealed(database_url, tmp_path / "home", log)
    (tmp_path / "home").mkdir()
    await made.say(4)
    await made.seal()
    await made.say(5, conversation_id=2)
    await made.seal()
    return made


async def rewrite(sealed: Sealed, signer: Signer, tmp_path: Path) -> None:
    """A forged history of the same length, sealed by a key, with the forger's own files."""
    stolen = KeyLocation(tmp_path / "stolen", name=signer.name)
    open_signer(stolen)
    replace_key(stolen, signer)
    await tamper(
        sealed.url,
        "UPDATE event_content SET content = 'I never said that' WHERE position = 3",
        "UPDATE events e SET content_hash = sha256(c.salt || convert_to(c.content, 'UTF8')) "
        "FROM event_content c WHERE c.position = e.position AND e.position = 3",
        "DELETE FROM tree_tiles",
        "DELETE FROM tree_heads",
    )
    await sealed.seal_as_thief(stolen, tmp_path / "files-of-the-forger")


@BOTH
async def test_a_bundle_signed_by_a_replaced_key_is_proved_by_its_successor(
    sealed: Sealed, tmp_path: Path, selection: Selection
) -> None:
    await rotate_key(sealed.url, sealed.place, sealed.folder)
    for size in (4, 9) if selection == ALL else (9,):
        folder = tmp_path / f"bundle-{size}"
        await export(sealed, folder, selection, size)
        assert problem(folder, vkey_of(sealed, tmp_path)) == ""
    await sealed.say(3)
    await sealed.seal()
    await export(sealed, tmp_path / "later", selection, 9)
    assert problem(tmp_path / "later", vkey_of(sealed, tmp_path)) == ""


@pytest.mark.parametrize("name", ["colloquy-test", "school"])
async def test_a_bundle_forged_with_a_stolen_replaced_key_is_refused(
    sealed: Sealed, tmp_path: Path, name: str
) -> None:
    old = read_signer(sealed.place)
    before = list_keys(sealed.place)
    place = msgspec.structs.replace(sealed.place, name=name)
    await rotate_key(sealed.url, place, sealed.folder)
    keys = vkey_of(sealed, tmp_path)
    await rewrite(sealed, old, tmp_path)
    sealed.place.vkeys.write_text("".join(f"{key}\n" for key in before))
    await export(sealed, tmp_path / "forged")
    assert problem(tmp_path / "forged") == ""
    assert "by a key that was replaced" in problem(tmp_path / "forged", keys)


async def test_a_bundle_without_a_successors_checkpoint_is_not_made(
    sealed: Sealed, tmp_path: Path
) -> None:
    replace_unrecorded(sealed.place)
    with pytest.raises(BundleRefused, match="by a key that was replaced"):
        await export(sealed, tmp_path / "bundle")
    await sealed.say(1)
    await sealed.seal()
    await export(sealed, tmp_path / "bundle", size=9)
    assert problem(tmp_path / "bundle", vkey_of(sealed, tmp_path)) == ""


@BOTH
async def test_an_auditors_checkpoints_are_compared(
    sealed: Sealed, tmp_path: Path, selection: Selection
) -> None:
    kept = shutil.copytree(sealed.folder, tmp_path / "kept")
    await export(sealed, tmp_path / "bundle", selection, prove=[4])
    code, told = await verify_alone(
        *(tmp_path / "bundle", tmp_path / "scratch"),
        *("--vkey", str(vkey_of(sealed, tmp_path)), "--checkpoints", str(kept)),
    )
    assert (code, told["verified"]) == (0, True)
    assert (told["log"], told["own_checkpoints"], told["own_checkpoints_compared"]) == (
        *("colloquy-test/1", 2),
        2,
    )
    (key,) = list_keys(sealed.place)
    assert told["signed_by"] == [f"{key.name}+{key.id.hex()}"]
    assert told["sealed_at"].endswith("Z")


@pytest.mark.parametrize(("selection", "size"), [(ALL, 4), (SECOND, 9)], ids=["all", "one"])
async def test_a_fork_signed_with_the_key_is_detected(
    sealed: Sealed, tmp_path: Path, selection: Selection, size: int
) -> None:
    kept = shutil.copytree(sealed.files, tmp_path / "kept")
    await rewrite(sealed, read_signer(sealed.place), tmp_path)
    await export(sealed, tmp_path / "forged", selection)
    keys = vkey_of(sealed, tmp_path)
    assert problem(tmp_path / "forged", keys) == ""
    assert problem(tmp_path / "forged", keys, kept) == (
        f"this is another log: your checkpoint of {size} events has another root"
    )


async def test_a_bundle_that_cannot_be_compared_is_refused_with_advice(
    sealed: Sealed, tmp_path: Path
) -> None:
    """Otherwise a forger would leave out the checkpoints that the auditor has."""
    kept = tmp_path / "kept"
    kept.write_text(read_notes(next(iter(sealed.files.glob("*.checkpoints"))))[0])
    await sealed.say(3)
    await sealed.seal()
    keys = vkey_of(sealed, tmp_path)
    await export(sealed, tmp_path / "bundle", SECOND)
    assert problem(tmp_path / "bundle", keys, kept) == (
        "the bundle proves nothing about 1 checkpoint of yours, the first of 4 events: have it "
        "exported with --prove and the place that you gave as --checkpoints"
    )
    await export(sealed, tmp_path / "proving", SECOND, prove=[4])
    assert problem(tmp_path / "proving", keys, kept) == ""


async def test_a_fork_before_the_last_copied_checkpoints_is_detected(
    sealed: Sealed, tmp_path: Path
) -> None:
    """The auditor copied later checkpoints, too: only the earlier ones reveal it."""
    kept = tmp_path / "kept"
    genuine = read_notes(next(iter(sealed.files.glob("*.checkpoints"))))[0]
    await rewrite(sealed, read_signer(sealed.place), tmp_path)
    await sealed.say(1)
    await sealed.seal()
    forged = (tmp_path / "files-of-the-forger" / "1" / "latest").read_text()
    kept.write_text(f"{genuine}\n{forged}")
    assert sizes_kept(kept, 1, list_keys(sealed.place)) == {4, 9}
    await export(sealed, tmp_path / "forged", SECOND, prove=[9])
    found = problem(tmp_path / "forged", vkey_of(sealed, tmp_path), kept)
    assert "proves nothing about 1 checkpoint of yours, the first of 4 events" in found
    with pytest.raises(NotFound, match="no checkpoint of 4 events"):
        await export(
            sealed, tmp_path / "proving", SECOND, prove=sizes_kept(kept, 1, list_keys(sealed.place))
        )


async def test_all_of_an_auditors_checkpoints_are_proved_on_demand(
    sealed: Sealed, tmp_path: Path
) -> None:
    """By a file, by the folder of an account, or by that of all accounts."""
    for _ in range(3):
        await sealed.say(1)
        await sealed.seal()
    kept = shutil.copytree(sealed.folder, tmp_path / "kept")
    keys, (day,) = vkey_of(sealed, tmp_path), (kept / "1").glob("*.checkpoints")
    for number, place in enumerate((kept, kept / "1", day)):
        sizes = sizes_kept(place, 1, list_keys(sealed.place))
        assert sizes == {4, 9, 10, 11, 12}
        await export(sealed, tmp_path / f"{number}", SECOND, size=10, prove=sizes)
        assert problem(tmp_path / f"{number}", keys, place) == ""
    assert verify(tmp_path / "0", keys, kept)["own_checkpoints_compared"] == 5


async def test_a_place_without_checkpoints_proves_nothing(sealed: Sealed, tmp_path: Path) -> None:
    (tmp_path / "words").write_text("and so on\n")
    with pytest.raises(BundleRefused, match="there is something else: 'and so on"):
        sizes_kept(tmp_path / "words", 1, list_keys(sealed.place))
    (tmp_path / "empty").mkdir()
    for place, account in ((tmp_path / "empty", 1), (sealed.folder, 2)):
        with pytest.raises(BundleRefused, match="holds no checkpoint of account"):
            sizes_kept(place, account, list_keys(sealed.place))


@pytest.mark.parametrize(
    "aside",
    ["1.before/latest", "1/old.txt", "1/old/latest", "x.note", "01/latest", ".a.checkpoints"],
)
async def test_a_kept_file_that_would_not_be_read_is_refused(
    sealed: Sealed, tmp_path: Path, aside: str
) -> None:
    """Its checkpoint may be the one that reveals a fork."""
    kept = shutil.copytree(sealed.folder, tmp_path / "kept")
    await export(sealed, tmp_path / "bundle")
    shutil.copytree(sealed.files, kept / "2")
    assert problem(tmp_path / "bundle", vkey_of(sealed, tmp_path), kept) == ""
    (kept / aside).parent.mkdir(exist_ok=True)
    shutil.copy(sealed.files / "latest", kept / aside)
    found = problem(tmp_path / "bundle", vkey_of(sealed, tmp_path), kept)
    assert f"{kept / aside} is kept there, and would not be read" in found


async def test_a_folder_that_cannot_be_read_is_refused(sealed: Sealed, tmp_path: Path) -> None:
    kept = shutil.copytree(sealed.folder, tmp_path / "kept")
    await export(sealed, tmp_path / "bundle")
    for linked in (kept / "2", kept / "1" / "old"):
        linked.symlink_to(sealed.files)
        found = problem(tmp_path / "bundle", vkey_of(sealed, tmp_path), kept)
        assert f"{linked} is a link, and would not be read" in found
        linked.unlink()
    with pytest.raises(Wrong, match="cannot be read: Permission denied"):
        refuse_unread(PermissionError(13, "Permission denied", "1"))


CUT = {
    "an empty line more": lambda text: text.replace("\n\ncolloquy", "\n\n\ncolloquy", 1),
    "an empty line before": lambda text: "\n" + text,
    "line ends of another system": lambda text: text.replace("\n", "\r\n"),
    "a torn end": lambda text: text[:-30],
    "words": lambda text: text + "and so on\n",
}


@pytest.mark.parametrize("change", CUT)
async def test_a_kept_file_is_read_to_its_end_or_refused(
    sealed: Sealed, tmp_path: Path, change: str
) -> None:
    """Otherwise a checkpoint that reveals a fork could be skipped."""
    path = next(iter(sealed.files.glob("*.checkpoints")))
    (tmp_path / "kept").write_bytes(CUT[change](path.read_text()).encode())
    await export(sealed, tmp_path / "bundle")
    found = problem(tmp_path / "bundle", vkey_of(sealed, tmp_path), tmp_path / "kept")
    assert "there is something else" in found
    (tmp_path / "kept").write_text(path.read_text()[:-1])
    assert problem(tmp_path / "bundle", vkey_of(sealed, tmp_path), tmp_path / "kept") == ""


async def test_a_successors_checkpoint_of_a_given_size_is_included_once(
    sealed: Sealed, tmp_path: Path
) -> None:
    await rotate_key(sealed.url, sealed.place, sealed.folder)
    await export(sealed, tmp_path / "bundle", size=4, prove=[9])
    assert problem(tmp_path / "bundle", vkey_of(sealed, tmp_path)) == ""


async def test_a_later_checkpoint_by_a_replaced_key_is_refused(
    sealed: Sealed, tmp_path: Path
) -> None:
    old = read_signer(sealed.place)
    await rotate_key(sealed.url, sealed.place, sealed.folder)
    keys = vkey_of(sealed, tmp_path)
    await sealed.say(1)
    await sealed.seal()
    stolen = KeyLocation(tmp_path / "stolen", name=old.name)
    open_signer(stolen)
    replace_key(stolen, old)
    await sealed.say(2)
    await sealed.seal_as_thief(stolen, tmp_path / "files")
    await export(sealed, tmp_path / "bundle", size=10, prove=[12])
    assert "of 12 events is by a key that was replaced" in problem(tmp_path / "bundle", keys)


async def test_more_missing_texts_than_were_removed_are_refused(
    sealed: Sealed, tmp_path: Path
) -> None:
    """A removal covers the number of texts that it states, and no text deleted before."""
    expired = TextExpired(conversation_id=1, user_id=101, texts=2, rule="course", days=1)
    await append(sealed.log, "dialogue-1-101", NewEvent(event=expired))
    await tamper(sealed.url, "DELETE FROM event_content WHERE position <= 4")
    await sealed.seal()
    report = await sealed.verify()
    assert (report.position, "from here on 4 texts are missing" in (report.problem or "")) == (
        *(1, True),
    )
    await export(sealed, tmp_path / "bundle")
    assert "4 texts are not here, position 10 removed 2" in problem(tmp_path / "bundle")


async def test_an_auditors_later_checkpoint_is_compared(sealed: Sealed, tmp_path: Path) -> None:
    (late,) = [
        note
        for path in sealed.files.glob("*.checkpoints")
        for note in read_notes(path)
        if read_note(note).size == 9
    ]
    (tmp_path / "kept").write_text(late)
    keys = vkey_of(sealed, tmp_path)
    await export(sealed, tmp_path / "bundle", size=4)
    assert "the first of 9 events" in problem(tmp_path / "bundle", keys, tmp_path / "kept")
    await export(sealed, tmp_path / "proving", size=4, prove=[9])
    assert problem(tmp_path / "proving", keys, tmp_path / "kept") == ""


async def test_checkpoints_of_other_logs_only_are_refused(sealed: Sealed, tmp_path: Path) -> None:
    """Checkpoints of another account, and of another service with another key."""
    ours, theirs = read_signer(sealed.place), open_signer(KeyLocation(tmp_path / "theirs"))
    note = read_note(read_notes(next(iter(sealed.files.glob("*.checkpoints"))))[0])
    await export(sealed, tmp_path / "bundle")
    for origin, signer in (("colloquy-test/2", ours), ("elsewhere/1", theirs)):
        other = msgspec.structs.replace(note, origin=origin)
        (tmp_path / "kept").write_text(sign(other, signer.name, signer.private))
        found = problem(tmp_path / "bundle", vkey_of(sealed, tmp_path), tmp_path / "kept")
        assert found.endswith("holds no checkpoint of colloquy-test/1")


@pytest.mark.parametrize("key_name", ["colloquy-test", "school"])
async def test_a_fork_under_another_name_of_log_and_key_is_detected(
    sealed: Sealed, tmp_path: Path, key_name: str
) -> None:
    """The operator gives the forked log another name, and the auditor copies its checkpoints."""
    kept = shutil.copytree(sealed.files, tmp_path / "kept")
    renamed = msgspec.structs.replace(read_signer(sealed.place), name=key_name)
    await tamper(sealed.url, "UPDATE log_origins SET origin = 'renamed/1'")
    await rewrite(sealed, renamed, tmp_path)
    forged = tmp_path / "files-of-the-forger" / "1"
    with next(iter(kept.glob("*.checkpoints"))).open("a") as file:
        file.write((forged / "latest").read_text() + "\n")
    keys = tmp_path / "keys"
    keys.write_text(f"{renamed.public}\n")
    sealed.place.vkeys.write_text(keys.read_text())
    await export(sealed, tmp_path / "forged")
    assert problem(tmp_path / "forged", keys) == ""
    assert "two roots of 9 events" in problem(tmp_path / "forged", keys, kept)
    (kept / "latest").write_text(read_notes(next(iter(sealed.files.glob("*.checkpoints"))))[0])
    next(iter(kept.glob("*.checkpoints"))).write_text((forged / "latest").read_text())
    assert problem(tmp_path / "forged", keys, kept) == (
        "this is another log: your checkpoint of 4 events has another root"
    )


async def test_checkpoints_under_an_earlier_name_of_the_log_are_compared(
    sealed: Sealed, tmp_path: Path
) -> None:
    """Releases before the log's name was stored used another one."""
    first = next(iter(sealed.files.glob("*.checkpoints")))
    signer = read_signer(sealed.place)
    early, late = [read_note(note) for note in read_notes(first)]
    early = msgspec.structs.replace(early, origin="before/1")
    note = sign(early, signer.name, signer.private)
    await tamper(
        sealed.url,
        f"UPDATE tree_heads SET note = '{note}' WHERE size = 4",
        "INSERT INTO log_origins VALUES (1, 'before/1', 2)",
    )
    (tmp_path / "kept").write_text(note)
    keys = vkey_of(sealed, tmp_path)
    for name, selection, prove in (("all", ALL, ()), ("one", SECOND, (4,))):
        await export(sealed, tmp_path / name, selection, prove=prove)
        assert problem(tmp_path / name, keys, tmp_path / "kept") == ""
    told = verify(tmp_path / "one", keys, tmp_path / "kept")
    assert (told["log"], told["own_checkpoints_call_the_log"]) == (late.origin, ["before/1"])


async def test_only_existing_checkpoints_can_be_exported(sealed: Sealed, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no checkpoint of 5 events"):
        await export(sealed, tmp_path / "bundle", prove=[4, 5])


@pytest.mark.parametrize("removal", ["expiry", "erasure"])
async def test_a_text_restored_after_its_removal_is_refused(
    sealed: Sealed, tmp_path: Path, removal: str
) -> None:
    if removal == "expiry":
        expired = TextExpired(conversation_id=1, user_id=101, texts=4, rule="course", days=1)
        await append(sealed.log, "dialogue-1-101", NewEvent(event=expired))
    else:
        erased = LearnerErased(
            user_id=101, reason="asked", texts=4, conversations=1, names=0, identities=0, tokens=0
        )
        await append(sealed.log, "learner-101", NewEvent(event=erased))
    await sealed.seal()
    await export(sealed, tmp_path / "bundle")
    assert problem(tmp_path / "bundle").startswith("position 1: the text is here, but ")
    lines = (tmp_path / "bundle" / "content.ndjson").read_text().splitlines()
    texts = [json.loads(line) for line in lines]
    kept = [text for text in texts if text["position"] > 4]
    (tmp_path / "bundle" / "content.ndjson").write_text(
        "".join(json.dumps(text, separators=(",", ":")) + "\n" for text in kept)
    )
    make_anew(tmp_path / "bundle", texts=len(kept))
    assert problem(tmp_path / "bundle") == ""
