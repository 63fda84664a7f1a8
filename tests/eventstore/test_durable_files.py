"""Files are replaced as a whole and locked, by this module only."""

import os
import re
import stat
from pathlib import Path

import pytest

from eventstore.durable_files import (
    exclusive_lock,
    is_last_holder,
    locked,
    replace_file,
    replace_in,
    shared_lock,
)

ROOT = Path(__file__).parents[2]


def test_a_file_is_made_and_replaced_with_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"one", b"two"):
        replace_file(path, content, 0o600)
        assert path.read_bytes() == content
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_stays_if_the_new_one_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(_descriptor: int) -> None:
        raise OSError

    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(OSError):
            replace_in(folder, "file", b"new", 0o600, prepare=full)
    finally:
        os.close(folder)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_at_the_drafts_name_is_not_followed(tmp_path: Path) -> None:
    other, path = tmp_path / "other", tmp_path / "file"
    other.write_bytes(b"theirs")
    (tmp_path / "draft").symlink_to(other)
    replace_file(path, b"ours", 0o600, draft="draft")
    assert (path.read_bytes(), other.read_bytes()) == (b"ours", b"theirs")
    assert not path.is_symlink()


def test_locks_exclude_each_other_and_links_are_no_lock_files(tmp_path: Path) -> None:
    path, link = tmp_path / "lock", tmp_path / "link"
    first, second = shared_lock(path), shared_lock(path)
    assert not is_last_holder(first)
    os.close(second)
    first_again = shared_lock(path)
    os.close(first)
    assert is_last_holder(first_again)
    folder = os.open(path, os.O_RDWR)
    with pytest.raises(BlockingIOError), locked(folder, wait=False):
        pass
    os.close(first_again)
    os.close(exclusive_lock(path))
    link.symlink_to(path)
    with pytest.raises(OSError, match="symbolic link"):
        exclusive_lock(link)


def test_no_other_module_syncs_or_locks_files_by_itself() -> None:
    of_its_own = re.compile(r"\bfcntl\b|\bos\.f(data)?sync\(")
    found = {
        str(path.relative_to(ROOT))
        for room in ("service", "eventstore", "projections", "sql")
        for path in (ROOT / room).rglob("*.py")
        if of_its_own.search(path.read_text("utf-8"))
    }
    assert found == {"eventstore/durable_files.py"}
