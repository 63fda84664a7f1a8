"""The key is private and generated once; its signatures stay valid when it is replaced."""

import asyncio
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eventstore.errors import KeyRefused, NoteInvalid
from eventstore.sealing.signed_checkpoint import Checkpoint, VerifierKey, current_keys, sign, verify
from eventstore.sealing.signing_keys import (
    KeyLocation,
    is_ended,
    list_keys,
    open_signer,
    read_signer,
)
from tests.eventstore.sealing.building_seals import replace_unrecorded

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path) -> KeyLocation:
    return KeyLocation(tmp_path / "home" / "keys")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def signed(place: KeyLocation, size: int) -> str:
    signer = read_signer(place)
    return sign(Checkpoint("log/1", size, bytes(32), MOMENT), signer.name, signer.private)


def test_the_first_start_generates_a_key_that_only_its_owner_can_read(place: KeyLocation) -> None:
    made = open_signer(place)
    assert mode(place.key) == 0o600
    assert mode(place.folder) == 0o700
    assert list_keys(place) == [made.public]
    assert made.name.startswith("colloquy-")


def test_later_starts_use_the_key_of_the_first(place: KeyLocation) -> None:
    first = open_signer(place)
    before = {path.name: path.read_bytes() for path in place.folder.iterdir()}
    assert open_signer(place).public == first.public
    assert read_signer(place).public == first.public
    assert {path.name: path.read_bytes() for path in place.folder.iterdir()} == before


async def test_processes_that_start_at_once_agree_on_one_key(place: KeyLocation) -> None:
    signers = await asyncio.gather(*(asyncio.to_thread(open_signer, place) for _ in range(8)))
    assert {signer.public for signer in signers} == set(list_keys(place))
    assert len(list_keys(place)) == 1


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o601])
def test_a_key_that_others_can_use_is_refused(place: KeyLocation, bits: int) -> None:
    open_signer(place)
    place.key.chmod(bits)
    for use in (open_signer, read_signer, replace_unrecorded):
        with pytest.raises(KeyRefused, match="chmod 600"):
            use(place)


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\n"])
def test_a_file_that_holds_no_key_is_refused_and_left_alone(
    place: KeyLocation, content: bytes
) -> None:
    open_signer(place)
    place.key.write_bytes(content)
    for use in (open_signer, read_signer, replace_unrecorded):
        with pytest.raises(KeyRefused, match="no Ed25519 key"):
            use(place)
    assert place.key.read_bytes() == content


def test_after_a_rotation_the_new_key_signs_and_the_old_notes_stay_valid(
    place: KeyLocation,
) -> None:
    old = open_signer(place)
    before = signed(place, 1)
    new = replace_unrecorded(place)
    after = signed(place, 2)
    assert new.name == old.name
    assert list_keys(place) == [old.public, new.public]
    assert [verify(note, list_keys(place)).size for note in (before, after)] == [1, 2]
    with pytest.raises(NoteInvalid):
        verify(after, [old.public])
    assert mode(place.key) == 0o600
    times = [line for line in place.vkeys.read_text().splitlines() if line.startswith("# since 2")]
    assert len(times) == 2


def test_an_operators_key_is_used_and_never_generated(place: KeyLocation, tmp_path: Path) -> None:
    shared = tmp_path / "shared.key"
    own = KeyLocation(place.folder, shared)
    with pytest.raises(KeyRefused, match=r"shared\.key"):
        open_signer(own)
    open_signer(KeyLocation(tmp_path / "elsewhere"))
    shared.write_bytes((tmp_path / "elsewhere" / "seal.key").read_bytes())
    shared.chmod(0o400)
    signer = open_signer(own)
    assert signer.public == open_signer(KeyLocation(tmp_path / "third", shared)).public
    assert list_keys(own) == [signer.public]
    assert not (place.folder / "seal.key").exists()


@pytest.mark.parametrize("name", ["two words", "a+b", "line\nfeed", ""])
def test_a_name_that_would_make_notes_ambiguous_is_refused(place: KeyLocation, name: str) -> None:
    open_signer(place)
    (place.folder / "log-name").write_text(name)
    with pytest.raises(KeyRefused, match="holds no name"):
        read_signer(place)


def test_an_operators_name_is_signed_with_and_listed(place: KeyLocation) -> None:
    first = open_signer(place)
    renamed = open_signer(KeyLocation(place.folder, name="log.example.edu"))
    assert renamed.public.public == first.public.public
    assert [key.name for key in list_keys(place)] == [first.name, "log.example.edu"]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(KeyRefused, match="cannot keep the sealing key"):
        open_signer(KeyLocation(tmp_path / "file" / "keys"))


SINCE = "# since 2026-01-02T03:04:05Z\n"


def shared_key(tmp_path: Path) -> Path:
    open_signer(KeyLocation(tmp_path / "shared"))
    return tmp_path / "shared" / "seal.key"


def ended(place: KeyLocation, *lists: list[VerifierKey]) -> set[bytes]:
    """The replaced keys of one or several joined lists."""
    keys = [key for one in lists or (list_keys(place),) for key in one]
    return {key.public for key in keys} - {key.public for key in current_keys(keys)}


def test_a_key_of_other_settings_replaces_the_one_before(
    place: KeyLocation, tmp_path: Path
) -> None:
    """But not the keys of other machines, which an operator has listed, too."""
    first = open_signer(place).public
    others = open_signer(KeyLocation(tmp_path / "another machine")).public
    with place.vkeys.open("a") as file:
        file.write(f"{others}\n")
    shared = KeyLocation(place.folder, shared_key(tmp_path), "school")
    second = open_signer(shared).public
    assert ended(place) == {first.public}
    assert list_keys(place)[-1] == second
    before = place.vkeys.read_bytes()
    open_signer(shared)
    assert place.vkeys.read_bytes() == before


def test_a_key_without_its_time_in_the_list_is_replaced_nevertheless(
    place: KeyLocation, tmp_path: Path
) -> None:
    """As in a list that `seal key` printed: a key that signs here is one of ours."""
    first = open_signer(place).public
    for text in (f"{first}\n", f"{SINCE}\n{first}\n"):
        place.vkeys.write_text(text)
        for _ in range(2):
            open_signer(place)
        assert list_keys(place) == [first, first]
    open_signer(KeyLocation(place.folder, shared_key(tmp_path), "school"))
    assert ended(place) == {first.public}


def test_a_key_that_an_earlier_release_left_as_it_was_is_replaced(
    place: KeyLocation, tmp_path: Path
) -> None:
    first = open_signer(place).public
    shared = KeyLocation(place.folder, shared_key(tmp_path), "school")
    second = read_signer(shared).public
    before = f"{SINCE}{first}\n{SINCE}{second}\n"
    place.vkeys.write_text(before)
    assert ended(place) == set()
    open_signer(shared)
    assert ended(place) == {first.public}
    assert place.vkeys.read_text().startswith(before)


def test_a_key_that_machines_share_replaces_their_earlier_keys(tmp_path: Path) -> None:
    """In any order of the joined lists."""
    shared, had, lists = shared_key(tmp_path), set(), []
    for home in ("one", "two"):
        had.add(open_signer(KeyLocation(tmp_path / home)).public.public)
        own = KeyLocation(tmp_path / home, shared, "school")
        open_signer(own)
        lists.append(list_keys(own))
    assert ended(own, *lists) == ended(own, *reversed(lists)) == had


def test_a_replaced_key_does_not_become_current_again(place: KeyLocation, tmp_path: Path) -> None:
    first = open_signer(place).public
    shared = KeyLocation(place.folder, shared_key(tmp_path), "school")
    second = open_signer(shared).public
    for name in (None, "school", "third"):
        back = KeyLocation(place.folder, name=name)
        assert is_ended(back, open_signer(back).public)
        assert not is_ended(back, second)
    assert ended(place) == {first.public}
    replace_unrecorded(place)
    assert ended(place) == {first.public, second.public}
