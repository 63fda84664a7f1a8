"""Files that survive a crash: replaced as a whole, synced and locked.

A draft beside the file is synced to disk and then renamed to the file; the rename is on disk when
the function returns. Both names are relative to one descriptor of the folder, and no link is
followed. Python opens files close-on-exec, so that no child process inherits a lock; the kernel
frees the lock of a process that dies.
"""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


def replace_file(path: Path, content: bytes, mode: int, draft: str | None = None) -> None:
    """Replaces or creates a file.

    Args:
        path: In a folder that only trusted users can change.
        mode, draft: As for `replace_in`.

    Raises:
        OSError: It cannot be written. An existing file is unchanged.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        replace_in(folder, path.name, content, mode, draft)
    finally:
        os.close(folder)


def replace_in(
    folder: int,
    name: str,
    content: bytes,
    mode: int,
    draft: str | None = None,
    prepare: Callable[[int], None] | None = None,
) -> None:
    """Replaces or creates a file in an open folder.

    Args:
        folder: Descriptor.
        mode: Permissions, subject to the umask.
        draft: An unused name in the folder; a file that a crash left there is removed.
        prepare: Called with the descriptor of the empty draft, to change its owner or permissions.

    Raises:
        OSError: It cannot be written. An existing file is unchanged.
    """
    draft = draft or f".{name}.{secrets.token_hex(8)}.draft"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with suppress(OSError):
            os.unlink(draft, dir_fd=folder)
        with os.fdopen(os.open(draft, flags, mode, dir_fd=folder), "wb") as file:
            if prepare is not None:
                prepare(file.fileno())
            file.write(content)
            flush_to_disk(file)
        os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    finally:
        with suppress(OSError):
            os.unlink(draft, dir_fd=folder)


def flush_to_disk(file: IO[bytes]) -> None:
    """Waits until everything written to an open file is on disk."""
    file.flush()
    os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Waits until a file, or the list of a folder's entries, is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(descriptor: int, *, wait: bool = True) -> Iterator[None]:
    """Holds an exclusive lock on an open file or folder, and closes the descriptor at the end.

    Raises:
        BlockingIOError: Another process holds the lock, and `wait` is False.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


def exclusive_lock(path: Path) -> int:
    """Waits for an exclusive lock on a lock file; closing the returned descriptor frees it."""
    return _lock(path, fcntl.LOCK_EX)


@contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Holds an `exclusive_lock` during the context."""
    descriptor = exclusive_lock(path)
    try:
        yield
    finally:
        os.close(descriptor)


def shared_lock(path: Path) -> int:
    """Waits for a shared lock on a lock file; closing the returned descriptor frees it."""
    return _lock(path, fcntl.LOCK_SH)


def is_last_holder(descriptor: int) -> bool:
    """Whether no other process shares the lock. Otherwise gives up this share."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock(path: Path, kind: int) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, kind)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
