"""Files that outlive a crash: replaced whole, extended, and locked, the same way everywhere.

A file is replaced by a draft beside it, which is on disk before it gets the file's name; the
folder's entry is on disk when the function returns. Both are named relative to one descriptor of
the folder, and no link is followed. Python opens files close-on-exec, so that no child process
inherits a lock; the kernel frees a lock when its holder dies, however it dies.
"""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


def replace_file(path: Path, content: bytes, mode: int, draft: str | None = None) -> None:
    """Replaces a file, or makes it.

    Args:
        path: In a folder that only trusted users can change.
        mode, draft: As of `replace_in`.

    Raises:
        OSError: It cannot be written. What was there stays.
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
    """Replaces a file of an open folder, or makes it.

    Args:
        folder: Descriptor.
        mode: Permissions, less those that the umask takes.
        draft: A name in the folder that nobody else uses; what a crash left there is removed.
        prepare: Called with the descriptor of the empty draft, to change its owner or permissions.

    Raises:
        OSError: It cannot be written. What was there stays.
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
    """Waits until all that was written to an open file is on disk."""
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
    """Locks an open file or folder against all others, and closes it at the end.

    Raises:
        BlockingIOError: Somebody else holds the lock, and `wait` is False.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


def exclusive_lock(path: Path) -> int:
    """Locks a lock file against all others, until the returned descriptor is closed; waits."""
    return _lock(path, fcntl.LOCK_EX)


@contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """As `exclusive_lock`, for as long as the context lasts."""
    descriptor = exclusive_lock(path)
    try:
        yield
    finally:
        os.close(descriptor)


def shared_lock(path: Path) -> int:
    """Locks a lock file together with others, until the returned descriptor is closed; waits."""
    return _lock(path, fcntl.LOCK_SH)


def is_last_holder(descriptor: int) -> bool:
    """Whether nobody else shares the lock. Gives up the share if somebody does."""
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
