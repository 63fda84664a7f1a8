"""Checkpoint files are append-only, complete after a crash, and readable."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eventstore.errors import CheckpointFilesDamaged
from eventstore.sealing.checkpoint_files import CheckpointFiles, read_notes
from eventstore.sealing.signed_checkpoint import Checkpoint, sign

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
DAY = "2026-01-02.checkpoints"


def note(size: int, time: datetime = NOON) -> str:
    return sign(Checkpoint("log/7", size, bytes([size % 256]) * 32, time), "log", KEY)


@pytest.fixture
def files(tmp_path: Path) -> CheckpointFiles:
    return CheckpointFiles(tmp_path / "checkpoints", 7)


def sizes(files: CheckpointFiles) -> list[int]:
    return [checkpoint.size for checkpoint in files.known()]


def test_before_the_first_checkpoint_there_is_nothing(files: CheckpointFiles) -> None:
    assert files.known() == []
    assert files.size() == 0


def test_notes_are_in_the_file_of_their_day_in_order_and_latest_has_the_last(
    files: CheckpointFiles,
) -> None:
    notes = [note(n, NOON + timedelta(hours=4 * n)) for n in range(1, 9)]
    files.append(notes[:5])
    files.append(notes[5:])
    days = sorted(files.folder.glob("*.checkpoints"))
    assert [day.name[:10] for day in days] == ["2026-01-02", "2026-01-03"]
    assert [read for day in days for read in read_notes(day)] == notes
    assert (files.folder / "latest").read_text() == notes[-1]
    assert sizes(files) == [8, 8]


def test_the_framing_is_as_documented(files: CheckpointFiles) -> None:
    files.append([note(1), note(2)])
    assert (files.folder / DAY).read_text() == f"{note(1)}\n{note(2)}\n"


def test_a_stored_note_is_not_added_again(files: CheckpointFiles) -> None:
    files.append([note(1), note(2)])
    files.append([note(1), note(2), note(3)])
    files.append([])
    assert read_notes(files.folder / DAY) == [note(1), note(2), note(3)]


def test_a_note_that_a_crash_truncated_is_written_again(files: CheckpointFiles) -> None:
    path = files.folder / DAY
    files.append([note(1), note(2)])
    whole = path.read_bytes()
    first = len(note(1).encode()) + 1
    for cut in range(first, len(whole)):
        path.write_bytes(whole[:cut])
        assert files.size() == 1
        assert read_notes(path) == [note(1)]
        files.append([note(1), note(2)])
        assert path.read_bytes() == whole
    for cut in range(first):
        path.write_bytes(whole[:cut])
        assert files.size() == 0
        files.append([note(1), note(2)])
        assert path.read_bytes() == whole


def test_latest_is_repaired_after_a_crash(files: CheckpointFiles) -> None:
    files.append([note(1)])
    (files.folder / "latest").unlink()
    files.append([note(1), note(2)])
    assert sizes(files) == [2, 2]


def test_the_last_of_very_many_notes_is_found(files: CheckpointFiles) -> None:
    files.append([note(n) for n in range(1, 2001)])
    assert (files.folder / DAY).stat().st_size > 200_000
    assert sizes(files) == [2000, 2000]


@pytest.mark.parametrize("content", [b"\xff" * 9000, b"x" * 100_000, b"a\n\n\xe2\x80\x94 b\n\n"])
def test_a_file_with_other_contents_is_refused_and_unchanged(
    files: CheckpointFiles, content: bytes
) -> None:
    files.append([note(1)])
    path = files.folder / DAY
    path.write_bytes(content)
    with pytest.raises(CheckpointFilesDamaged):
        files.known()
    with pytest.raises(CheckpointFilesDamaged):
        files.append([note(2)])
    with pytest.raises(CheckpointFilesDamaged):
        read_notes(path)
    assert path.read_bytes() == content


def test_latest_counts_if_the_files_of_days_are_gone(files: CheckpointFiles) -> None:
    files.append([note(1), note(2)])
    (files.folder / DAY).unlink()
    assert sizes(files) == [2]
    assert files.size() == 0
