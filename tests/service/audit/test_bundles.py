"""A bundle verifies on a machine without this project, and a changed one does not."""

import asyncio
import json
import os
import random
import shutil
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from eventstore.dialogue_events import ReplyCancelled
from eventstore.envelope import NewEvent
from eventstore.log import EventLog
from eventstore.privacy_events import HistoryRead
from eventstore.sealing.signed_checkpoint import Checkpoint, read_note, sign
from eventstore.sealing.signing_keys import KeyLocation, open_signer, read_signer
from service.audit import verify_bundle
from service.audit.bundle_export import export_bundle
from service.audit.bundle_folder import GROWING, MANIFEST, BundleRefused, Selection
from service.audit.verification import verify_account
from service.errors import NotFound
from service.settings import Settings
from tests.eventstore.building import ACCOUNT, append, append_steps, experience_created, message
from tests.eventstore.sealing.sealed import Sealed, owning, tamper
from tests.running import ROOT
from tests.service.audit.bundling import (
    ALL,
    PROGRAM,
    contents,
    erase,
    export,
    make_anew,
    problem,
    verify_alone,
    vkey_of,
)

FIRST = Selection("conversation", 1)


@pytest.fixture
async def sealed(database_url: str, log: EventLog, tmp_path: Path) -> Sealed:
    """Three conversations, then more of the first one, and three checkpoints."""
    made = Sealed(database_url, tmp_path / "home", log)
    (tmp_path / "home").mkdir()
    await append_steps(log, [experience_created()])
    await made.say(3)
    await made.seal()
    await made.say(5, conversation_id=2)
    await made.seal()
    await made.say(2, conversation_id=3)
    await made.say(1)
    await made.seal()
    await made.say(1)
    return made


@pytest.fixture
async def bundle(sealed: Sealed, tmp_path: Path) -> Path:
    """A bundle of the first conversation, with an earlier checkpoint of another day."""
    await tamper(
        sealed.url, "UPDATE tree_heads SET sealed_at = sealed_at - interval '2 days' WHERE size < 9"
    )
    await export(sealed, tmp_path / "bundle", FIRST)
    return tmp_path / "bundle"


SELECTIONS = {
    "all": (ALL, 12),
    "conversation": (FIRST, 4),
    "another": (Selection("conversation", 2), 5),
    "course": (Selection("course", 1), 12),
    "user": (Selection("user", 101), 12),
}


@pytest.mark.parametrize("name", SELECTIONS)
async def test_a_bundle_verifies_alone(sealed: Sealed, tmp_path: Path, name: str) -> None:
    selection, events = SELECTIONS[name]
    done = await export(sealed, tmp_path / "bundle", selection)
    code, proved = await verify_alone(
        tmp_path / "bundle", tmp_path / "bare", "--vkey", str(vkey_of(sealed, tmp_path))
    )
    assert (code, proved["verified"], proved["own_keys"]) == (0, True, True), proved
    assert (proved["events"], proved["tree_size"]) == (done.events, 12)
    assert done.unsealed == 1
    if name != "user":
        assert done.events == events
    proof = (tmp_path / "bundle" / "proof.txt").read_text()
    assert (proof == "") == (done.events == 12)


async def test_a_bundle_is_cut_at_the_stated_checkpoint(sealed: Sealed, tmp_path: Path) -> None:
    await export(sealed, tmp_path / "old", ALL, size=4)
    code, proved = await verify_alone(tmp_path / "old", tmp_path / "bare")
    assert (code, proved["events"], proved["tree_size"]) == (0, 4, 4)
    with pytest.raises(NotFound, match="no checkpoint of 5 events"):
        await export(sealed, tmp_path / "none", ALL, size=5)
    with pytest.raises(NotFound, match="nothing up to 12 is of conversation 99"):
        await export(sealed, tmp_path / "nothing", Selection("conversation", 99))


async def test_a_bundle_verified_with_its_own_keys_prints_a_warning(
    bundle: Path, tmp_path: Path
) -> None:
    code, proved = await verify_alone(bundle, tmp_path / "bare")
    assert (code, proved["own_keys"]) == (0, False)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", bundle / "verify_bundle.py", bundle),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert "WARNING: the only keys were those in the bundle itself" in out.decode()
    assert "compared with no checkpoint of your own" in out.decode()
    assert out.decode().endswith("\nverified\n")


async def test_a_folder_without_a_bundle_is_wrong_usage(tmp_path: Path) -> None:
    code, answer = await verify_alone(tmp_path / "nothing", tmp_path / "bare")
    assert (code, answer["verified"]) == (2, False)


async def test_the_same_selection_gives_the_same_bytes(sealed: Sealed, tmp_path: Path) -> None:
    for name in ("one", "two"):
        await export(sealed, tmp_path / name, FIRST)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


async def test_a_folder_with_something_else_is_left_alone(
    sealed: Sealed, bundle: Path, tmp_path: Path
) -> None:
    before = contents(bundle)
    with pytest.raises(BundleRefused, match="holds a finished bundle"):
        await export(sealed, bundle, FIRST)
    assert contents(bundle) == before
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter").write_text("Dear Ada")
    with pytest.raises(BundleRefused, match="holds something else"):
        await export(sealed, other, FIRST)
    assert [path.name for path in other.iterdir()] == ["letter"]


def flips(content: bytes, number: int) -> Iterator[bytes]:
    """Copies of the content, each with one bit changed: `number` bits of each byte in turn."""
    changed = bytearray(content)
    for at in range(len(content)):
        for bit in range(at, at + 8, 8 // number):
            changed[at] ^= 1 << bit % 8
            yield bytes(changed)
            changed[at] ^= 1 << bit % 8


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_no_byte_of_any_file_can_be_changed(bundle: Path, sealed: Sealed) -> None:
    """Every byte of every file is checked, or covered by a digest."""
    vkey = vkey_of(sealed, bundle.parent)
    assert problem(bundle, vkey) == ""
    tried = 0
    for path in sorted(bundle.iterdir()):
        content = path.read_bytes()
        number = {"verify_bundle.py": 1, MANIFEST: 8}.get(path.name, 2)
        # The program is as long as all else together, and only its digest is looked at.
        step = 17 if path.name == "verify_bundle.py" else 1
        for changed in islice(flips(content, number), 0, None, step):
            path.write_bytes(changed)
            assert problem(bundle, vkey), f"{path.name} can be changed unseen"
            tried += 1
        path.write_bytes(content)
    assert tried > 10_000
    assert problem(bundle, vkey) == ""


async def test_no_file_can_be_cut_lengthened_left_out_or_added(
    bundle: Path, sealed: Sealed
) -> None:
    vkey = vkey_of(sealed, bundle.parent)
    for path in sorted(bundle.iterdir()):
        content = path.read_bytes()
        for changed in (content[:-1], content[: len(content) // 2], b"", content + b"\n"):
            path.write_bytes(changed)
            assert (changed == content) or problem(bundle, vkey), path.name
        path.unlink()
        assert problem(bundle, vkey)
        path.mkdir()
        assert problem(bundle, vkey)
        path.rmdir()
        path.write_bytes(content)
    for name in (".hidden", "events.ndjson~", "verify_bundle.pyc"):
        (bundle / name).write_text("x")
        assert "does not belong to the bundle" in problem(bundle, vkey)
        (bundle / name).unlink()
    assert problem(bundle, vkey) == ""


PROOFS = (*GROWING, "checkpoint", "checkpoints.ndjson")


async def test_changes_are_detected_although_the_manifest_is_forged(
    bundle: Path, sealed: Sealed
) -> None:
    """Bytes of what is signed, or leads to it, cannot be changed whatever the manifest says.

    The time of a checkpoint is signed too. Left are what nobody signs: the README, the copy of
    the program, the list of keys where the auditor has their own, and in the manifest its time
    and the program's version.
    """
    vkey = vkey_of(sealed, bundle.parent)
    chance = random.Random(6962)
    for name in PROOFS:
        path = bundle / name
        content = path.read_bytes()
        assert content, f"{name} is empty, and so not tried"
        for _ in range(60):
            changed = bytearray(content)
            changed[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            path.write_bytes(changed)
            make_anew(bundle)
            assert problem(bundle, vkey), f"{name}: {bytes(changed)!r}"
        path.write_bytes(content)
    make_anew(bundle)
    assert problem(bundle, vkey) == ""


@pytest.mark.parametrize("name", GROWING)
async def test_lines_cannot_be_reordered_left_out_or_doubled(
    bundle: Path, sealed: Sealed, name: str
) -> None:
    vkey = vkey_of(sealed, bundle.parent)
    path = bundle / name
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) > 1
    swapped = [lines[1], lines[0], *lines[2:]]
    for changed in (swapped, lines[1:], lines[:-1], [lines[0], *lines], [*lines, lines[-1]]):
        path.write_bytes(b"".join(changed))
        make_anew(bundle)
        found = problem(bundle, vkey)
        if name == "content.ndjson" and len(changed) < len(lines):
            assert found == "manifest.json says other counts"
        else:
            assert found


@pytest.mark.parametrize("moved", [1, 7, -4])
async def test_no_part_of_a_text_can_be_moved_into_its_salt_or_back(
    bundle: Path, sealed: Sealed, moved: int
) -> None:
    """The hash of both together stays the same."""
    path = bundle / "content.ndjson"
    first, *others = path.read_bytes().splitlines(keepends=True)
    text = json.loads(first)
    whole = bytes.fromhex(text["salt"]) + text["content"].encode()
    text["salt"] = whole[: 16 + moved].hex()
    text["content"] = whole[16 + moved :].decode("utf-8", "surrogateescape")
    path.write_bytes(json.dumps(text).encode() + b"\n" + b"".join(others))
    make_anew(bundle)
    assert "this is no salt of 16 bytes" in problem(bundle, vkey_of(sealed, bundle.parent))


async def test_a_withheld_text_is_reported(bundle: Path, sealed: Sealed) -> None:
    """A bundle does not show later erasures, so it reports the missing text."""
    path = bundle / "content.ndjson"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[1:]))
    make_anew(bundle, texts=len(lines) - 1)
    code, proved = await verify_alone(bundle, bundle.parent / "bare")
    assert (code, proved["texts_not_here"]) == (0, 1)


async def test_a_bundle_of_another_key_is_refused(bundle: Path, sealed: Sealed) -> None:
    """A forger signs with another key and puts that into the bundle."""
    place = KeyLocation(bundle.parent / "forger", name="colloquy-test")
    open_signer(place)
    signer = read_signer(place)
    said = read_note((bundle / "checkpoint").read_text())
    (bundle / "checkpoint").write_text(sign(said, signer.name, signer.private))
    (bundle / "checkpoints.ndjson").write_text("")
    (bundle / "vkeys").write_text(f"{signer.public}\n")
    make_anew(bundle)
    assert problem(bundle) == ""
    assert problem(bundle, vkey_of(sealed, bundle.parent)).startswith("none of the keys has signed")


async def test_a_checkpoint_of_another_log_is_refused(bundle: Path, sealed: Sealed) -> None:
    signer = read_signer(sealed.place)
    said = read_note((bundle / "checkpoint").read_text())
    other = Checkpoint("colloquy-test/2", said.size, said.root, said.time)
    (bundle / "checkpoint").write_text(sign(other, signer.name, signer.private))
    make_anew(bundle)
    assert problem(bundle, vkey_of(sealed, bundle.parent)) == (
        "it is of another log: colloquy-test/2"
    )


FORGED = (
    *({"kind": "course", "id": 2}, {"kind": "user", "id": 102}),
    *({"kind": "course", "id": wrong} for wrong in ("1", 1.0, True, None, 0, -1, [1])),
    *({"kind": kind, "id": "1"} for kind in ("conversation", "user")),
    {"kind": "all", "id": 1},
)


async def test_a_number_must_be_an_integer(bundle: Path) -> None:
    """1.0 is equal to 1, but the kept checkpoints of account 1.0 would not be found."""
    for name in ("account_id", "tree_size"):
        said = json.loads((bundle / MANIFEST).read_text())[name]
        for number in (float(said), True, str(said), None, 0, -said):
            make_anew(bundle, **{name: number})
            assert f"{name} is {number!r}" in problem(bundle)
        make_anew(bundle, **{name: said})


async def test_a_manifest_with_another_selection_is_refused(bundle: Path) -> None:
    """Its conversation is of learner 101 in course 1, so its events fit both selections."""
    for true in ({"kind": "course", "id": 1}, {"kind": "user", "id": 101}):
        make_anew(bundle, selection=true)
        assert problem(bundle) == ""
    for forged in FORGED:
        make_anew(bundle, selection=forged)
        found = problem(bundle)
        assert "is no selection" in found or "is of another" in found, (forged, found)


async def test_a_bundle_cannot_claim_another_learner_or_course(
    sealed: Sealed, log: EventLog, tmp_path: Path
) -> None:
    """An event that names neither belongs to the learner who speaks in its conversation."""
    said = message(conversation_id=9, user_id=109)
    said = msgspec.structs.replace(said, event=msgspec.structs.replace(said.event, course_id=2))
    before, after = (
        ReplyCancelled(conversation_id=9, turn_id=str(uuid4()), reason="requested")
        for _ in range(2)
    )
    for event in (NewEvent(event=before), said, NewEvent(event=after)):
        await append(log, "dialogue-2-109", event)
    read = HistoryRead(what="test", learner_id=109, conversation_id=1)
    await append(log, "access-109", NewEvent(event=read))
    await sealed.seal()
    for chosen, number in ((Selection("user", 109), 3), (Selection("course", 2), 3)):
        kind, folder = chosen.kind, tmp_path / chosen.kind
        done = await export(sealed, folder, chosen)
        assert (done.events, problem(folder)) == (number, "")
        make_anew(folder, selection={"kind": kind, "id": 1})
        assert f"the event is of another {kind}" in problem(folder)


async def test_a_repeated_key_in_json_is_refused(bundle: Path) -> None:
    path = bundle / "events.ndjson"
    path.write_bytes(path.read_bytes().replace(b'"data":{', b'"data":{"x": 1, "x": 2, ', 1))
    make_anew(bundle)
    assert "a key stands there twice" in problem(bundle)


async def test_an_erasure_between_two_exports_invalidates_neither(
    sealed: Sealed, tmp_path: Path
) -> None:
    vkey = vkey_of(sealed, tmp_path)
    await export(sealed, tmp_path / "before")
    await erase(sealed.url, 101)
    await export(sealed, tmp_path / "between", size=12)
    await sealed.seal()
    assert (await sealed.verify()).problem is None
    await export(sealed, tmp_path / "after")
    told = {}
    for name in ("before", "between", "after"):
        code, told[name] = await verify_alone(
            tmp_path / name, tmp_path / "bare", "--vkey", str(vkey)
        )
        assert code == 0, told[name]
    assert [told[n]["texts"] for n in told] == [11, 7, 7]
    assert (told["between"]["texts_removed"], told["between"]["texts_not_here"]) == (0, 4)
    assert (told["after"]["texts_removed"], told["after"]["texts_not_here"]) == (5, 0)


INTERRUPTED = """
import asyncio, os, signal, sys
from pathlib import Path
from eventstore.sealing.signing_keys import KeyLocation
from service.audit.bundle_export import export_bundle
from service.audit.bundle_folder import Selection
def kill_late(done, total):
    if done > total * 2 // 3:
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(export_bundle(
    sys.argv[1], KeyLocation(Path(sys.argv[3])), 1, Selection("all"), Path(sys.argv[2]),
    size=None, progress=kill_late, save_every=100))
"""


async def many(sealed: Sealed) -> None:
    """Appends 5,000 events and seals them."""
    async with owning(sealed.url) as connection:
        await connection.execute(
            "INSERT INTO events SELECT account_id, 13 + n, stream, revision + n, "
            "gen_random_uuid(), type, conversation_id, data, metadata, NULL, recorded_at "
            "FROM events, generate_series(1, 5000) n WHERE position = 13"
        )
        await connection.execute("UPDATE log_heads SET position = 5013 WHERE account_id = 1")
    await sealed.seal()


async def killed_export(sealed: Sealed, folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", INTERRUPTED, sealed.url, str(folder), str(sealed.place.folder)),
        cwd=ROOT,
    )
    assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
    assert not (folder / MANIFEST).exists()
    assert json.loads((folder / ".partial").read_text())["reached"]["position"] > 1000


async def test_a_killed_export_resumes_with_the_same_bytes(sealed: Sealed, tmp_path: Path) -> None:
    await many(sealed)
    await killed_export(sealed, tmp_path / "killed")
    shutil.copytree(tmp_path / "killed", tmp_path / "copy")
    assert "unfinished" in problem(tmp_path / "killed")
    with pytest.raises(BundleRefused, match="unfinished bundle of something else"):
        await export(sealed, tmp_path / "copy", FIRST)
    await sealed.say(1)
    await sealed.seal()
    done = await export(sealed, tmp_path / "killed")
    assert (done.resumed, done.tree_size) == (True, 5013)
    await export(sealed, tmp_path / "whole", size=5013)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert problem(tmp_path / "killed", vkey_of(sealed, tmp_path)) == ""


async def test_an_export_restarts_if_a_text_was_erased_meanwhile(
    sealed: Sealed, tmp_path: Path
) -> None:
    """The learner's texts are gone from the unfinished bundle."""
    await many(sealed)
    await killed_export(sealed, tmp_path / "killed")
    assert b"Message 0" in (tmp_path / "killed" / "content.ndjson").read_bytes()
    await erase(sealed.url, 101)
    done = await export(sealed, tmp_path / "killed")
    assert (done.resumed, done.tree_size, done.texts) == (False, 5013, 7)
    lines = (tmp_path / "killed" / "content.ndjson").read_bytes().splitlines()
    assert [json.loads(line)["position"] for line in lines] == [*range(5, 12)]
    assert problem(tmp_path / "killed", vkey_of(sealed, tmp_path)) == ""


async def test_a_changed_log_is_not_exported(sealed: Sealed, tmp_path: Path) -> None:
    from eventstore.errors import LogDamaged

    await tamper(sealed.url, "UPDATE events SET data = data || '{\"x\": 1}' WHERE position = 2")
    with pytest.raises(LogDamaged, match="run `colloquy audit verify`"):
        await export(sealed, tmp_path / "bundle", FIRST)
    assert not (tmp_path / "bundle" / MANIFEST).exists()


async def test_a_log_sealed_under_other_keys_is_not_exported(
    sealed: Sealed, tmp_path: Path
) -> None:
    """An export makes only bundles that its verifier accepts, with all their checkpoints."""
    await tamper(
        sealed.url, "UPDATE tree_heads SET sealed_at = sealed_at - interval '2 days' WHERE size < 9"
    )
    listed = sealed.place.vkeys
    listed.unlink()
    with pytest.raises(BundleRefused, match=f"the keys in {listed}: none of the keys has signed"):
        await export(sealed, tmp_path / "none", FIRST)
    await sealed.seal(place=KeyLocation(tmp_path / "other", name="colloquy-test"))
    shutil.copy(tmp_path / "other" / "vkeys", listed)
    with pytest.raises(BundleRefused, match=f"the keys in {listed}: none of the keys has signed"):
        await export(sealed, tmp_path / "none", FIRST)
    assert list((tmp_path / "none").iterdir()) == []


async def test_a_checkpoint_of_another_log_is_not_exported(sealed: Sealed, tmp_path: Path) -> None:
    signer = read_signer(sealed.place)
    other = Checkpoint("colloquy-test/2", 12, bytes(32), datetime.now(UTC))
    note = sign(other, signer.name, signer.private)
    await tamper(sealed.url, f"UPDATE tree_heads SET note = '{note}' WHERE size = 12")
    with pytest.raises(BundleRefused, match=": it is of colloquy-test/2"):
        await export(sealed, tmp_path / "none", FIRST)
    assert list((tmp_path / "none").iterdir()) == []


async def test_another_export_into_the_same_folder_is_refused(
    sealed: Sealed, tmp_path: Path
) -> None:
    from service.audit.bundle_folder import Bundle

    with (
        Bundle(tmp_path / "bundle").opened(),
        pytest.raises(BundleRefused, match="another export is writing"),
    ):
        await export_bundle(
            *(sealed.url, sealed.place, ACCOUNT, ALL, tmp_path / "bundle"),
            size=None,
            progress=lambda _done, _total: None,
        )


@pytest.mark.parametrize("number", [[], {}, "1", True, 1.5])
async def test_a_conversation_id_that_is_not_a_number_is_refused(
    bundle: Path, number: object
) -> None:
    file = bundle / "events.ndjson"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for line in lines:
        line["conversation_id"] = line["data"]["conversation_id"] = number
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    make_anew(bundle)
    assert "conversation_id is no number" in problem(bundle)


HOSTILE = "\x1b[2J\x1b[1;1H\x7f\x9b\u202e\u2028\nverified\n\ud800"


@pytest.mark.parametrize(
    "surroundings",
    [
        {},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
@pytest.mark.parametrize("json_too", [False, True])
async def test_a_refusal_does_not_look_like_a_verification(
    bundle: Path, surroundings: dict[str, str], json_too: bool
) -> None:
    """Whatever a forger writes into a stream's name, in each character set of the terminal."""
    lines = (bundle / "events.ndjson").read_text().splitlines()
    last = json.loads(lines[-1]) | {"stream": HOSTILE + "ä", "revision": 0}
    lines[-1] = json.dumps(last, separators=(",", ":"))
    (bundle / "events.ndjson").write_text("".join(f"{line}\n" for line in lines))
    make_anew(bundle)
    code, out, err = await run_verifier(surroundings, str(bundle), *(["--json"] * json_too))
    assert (code, err) == (1, "")
    assert out.isascii() or not surroundings
    *above, last_line = out.splitlines()
    assert all(line.isprintable() for line in above)
    if json_too:
        told = json.loads(last_line)
        assert told["verified"] is False
        assert HOSTILE in told["problem"]
    else:
        assert above[0].startswith("NOT VERIFIED: ")
        assert "\\x1b[2J" in above[0]
        assert last_line == "NOT VERIFIED"


async def test_a_refusal_is_not_pushed_off_the_screen(bundle: Path) -> None:
    """By spaces that fill a terminal's lines before a text that looks like a verification."""
    genuine = "".join(line.ljust(80) for line in ("log: x", "verified: yes", "verified"))
    lines = (bundle / "events.ndjson").read_text().splitlines()
    last = json.loads(lines[-1]) | {"stream": " " * 80 * 24 + genuine, "revision": 0}
    lines[-1] = json.dumps(last, separators=(",", ":"))
    (bundle / "events.ndjson").write_text("".join(f"{line}\n" for line in lines))
    make_anew(bundle)
    code, out, _ = await run_verifier({}, str(bundle))
    assert (code, out.splitlines()[-1]) == (1, "NOT VERIFIED")
    assert "  " not in out
    assert len(out) < 700


async def test_control_characters_in_names_of_bundles_and_options_are_escaped(
    tmp_path: Path,
) -> None:
    name = HOSTILE.replace("\ud800", "")
    for arguments in ((str(tmp_path / name),), (str(tmp_path), f"--{name}"), ("a", name)):
        code, out, err = await run_verifier({}, *arguments)
        assert code == 2
        for line in (out + err).split("\n"):
            assert line.isprintable()
            assert not line.startswith("verified")
        assert "\\x1b[2J" in out + err


async def run_verifier(surroundings: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    """Runs the verifier without the rest of this project."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROGRAM), *arguments),
        env=os.environ | surroundings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_file_managers_files_and_byte_order_marks_are_ignored(
    sealed: Sealed, tmp_path: Path
) -> None:
    """In a bundle, in the auditor's keys and checkpoints; other files are still refused."""
    bundle = tmp_path / "bundle"
    await export(sealed, bundle)
    kept = shutil.copytree(sealed.files, tmp_path / "kept")
    keys = vkey_of(sealed, tmp_path)
    keys.write_bytes(b"\xef\xbb\xbf" + keys.read_bytes().replace(b"\n", b"\r\n"))
    for name in (".DS_Store", "._events.ndjson", "Thumbs.db", "desktop.ini", "Desktop.ini"):
        (bundle / name).write_bytes(b"\0\0\0\1Bud1")
    (bundle / ".Trashes").mkdir()
    for path in list(kept.glob("*.checkpoints")):
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert problem(bundle, keys, kept) == ""
    report = await verify_account(
        Settings(home=sealed.home),
        sealed.url,
        ACCOUNT,
        keys,
        shutil.copytree(kept, tmp_path / "all" / "1").parent,
    )
    assert report.problem is None
    for name in ("._", "DS_Store", "x.DS_Store", "Thumbs.db.txt", ".hidden", "events.ndjson~"):
        (bundle / name).write_bytes(b"")
        assert problem(bundle, keys, kept) == f"{name} does not belong to the bundle"
        (bundle / name).unlink()
    (bundle / "desktop.ini").unlink()
    (bundle / "desktop.ini").symlink_to(keys)
    assert problem(bundle, keys, kept) == "desktop.ini does not belong to the bundle"


async def test_a_bundle_cut_before_an_erasure_refers_to_later_events(
    sealed: Sealed, tmp_path: Path
) -> None:
    """A new bundle of a later checkpoint has these events, and prints no such note."""
    await erase(sealed.url, 101)
    made = await export(sealed, tmp_path / "early")
    assert made.removed_later
    told = verify_bundle.report(verify_bundle.verify(tmp_path / "early", None))
    assert "NOTE: not here: " in told
    assert "cut at a later" in told
    assert "selection: all\n" in told
    assert "own_keys: no\n" in told
    await sealed.seal()
    made = await export(sealed, tmp_path / "late")
    assert not made.removed_later
    assert "NOTE: not here" not in verify_bundle.report(
        verify_bundle.verify(tmp_path / "late", None)
    )


@pytest.mark.parametrize(("redirected", "code"), [(">/dev/full", 2), (">&-", 0), ("| true", 0)])
async def test_the_verifier_handles_full_and_closed_outputs(
    sealed: Sealed, tmp_path: Path, redirected: str, code: int
) -> None:
    await export(sealed, tmp_path / "bundle")
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-c", f'set -o pipefail; "$@" {redirected}', "sh"),
        *(sys.executable, "-I", str(PROGRAM), str(tmp_path / "bundle")),
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await asyncio.wait_for(shell.communicate(), 60)
    full = b"cannot verify: standard output: No space left on device\n"
    assert (shell.returncode, err) == (code, full if code else b"")
