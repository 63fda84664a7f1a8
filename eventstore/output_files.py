"""Files that are written where a user says, wherever that is.

Between a look at a path and its use, others may put a link in its place where they may write, as
in `/tmp`. So the folder is opened once, and what is written there is opened, made and renamed
relative to that descriptor: something new only where there is nothing, something that is there
without following it. Links of our own are followed, one after the other, in the same way.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from eventstore.durable_files import replace_in
from eventstore.errors import PathUntrusted
from eventstore.trusted_paths import check_folder, others_can_write, owner_of, trusted_owners

_MOST_LINKS = 40
_PROCESSES = Path("/proc")


class _Place(msgspec.Struct, frozen=True):
    """A name in an open folder, and what is there."""

    path: Path
    folder: int
    name: str
    status: os.stat_result | None
    opened_already: bool = False
    """It stands for something that this process has open, such as `/dev/stdout`."""


def open_output(path: Path, flags: int, mode: int = 0o666) -> int:
    """The descriptor of a file that is there, or is made.

    Args:
        flags: As of `os.open`. With O_NOFOLLOW not even a link of our own at the end is followed.
        mode: Permissions of a file that is made, less those that the umask takes.

    Raises:
        PathUntrusted: A link of another user's would be followed; or we are root, and others could
            lead us elsewhere, or what is there is another user's.
        OSError: It cannot be opened or made.
    """
    with _reached(path, follow=not flags & os.O_NOFOLLOW) as place:
        if place.status is None:
            if not flags & os.O_CREAT:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            flags |= os.O_EXCL | os.O_NOFOLLOW
            return os.open(place.name, flags, mode, dir_fd=place.folder)
        return _open(place, flags)


def replace_output(path: Path, content: bytes, mode: int = 0o666, draft: str | None = None) -> None:
    """Writes a file; what was there stays until the new one is whole, and on disk.

    Where something else than a file is at the path, such as a pipe, it gets the bytes.

    Args:
        mode: Permissions of a file that was not there before, less those that the umask takes.
        draft: A name in the same folder that nobody else uses; what a crash left there goes.

    Raises:
        PathUntrusted, OSError: As `open_output`.
    """
    with _reached(path, follow=True) as place:
        status = place.status
        if status is not None and (place.opened_already or not stat.S_ISREG(status.st_mode)):
            with os.fdopen(_open(place, os.O_WRONLY | os.O_APPEND), "wb") as out:
                out.write(content)
            return
        keep_mode = (
            None if status is None else partial(os.fchmod, mode=stat.S_IMODE(status.st_mode))
        )
        replace_in(place.folder, place.name, content, mode, draft, keep_mode)


def _open(place: _Place, flags: int) -> int:
    """What is there, unless another has come in its place."""
    flags &= ~(os.O_CREAT | os.O_EXCL)
    if not place.opened_already:
        flags |= os.O_NOFOLLOW
    descriptor = os.open(place.name, flags & ~os.O_TRUNC, dir_fd=place.folder)
    try:
        _check(place, os.fstat(descriptor))
        if flags & os.O_TRUNC:
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def _reached(path: Path, *, follow: bool) -> Iterator[_Place]:
    """Where a path leads, with its folder open."""
    path = path.absolute()
    for _ in range(_MOST_LINKS):
        with _opened(path.parent) as folder:
            place = _stat_place(path, folder)
            status = place.status
            is_link = status is not None and stat.S_ISLNK(status.st_mode)
            if status is not None and (follow or not is_link):
                _check(place, status)
            if not (follow and is_link) or place.opened_already:
                yield place
                return
            path = path.parent / os.readlink(place.name, dir_fd=folder)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    if os.geteuid() == 0:
        check_folder(folder)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    descriptor = os.open(os.path.realpath(folder), flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _stat_place(path: Path, folder: int) -> _Place:
    if path.name in ("", ".."):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    try:
        status = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return _Place(path, folder, path.name, None)
    of_process = Path(os.path.realpath(path.parent)).is_relative_to(_PROCESSES)
    return _Place(path, folder, path.name, status, of_process)


def _check(place: _Place, status: os.stat_result) -> None:
    """Refuses a link of another user's, and what root shall not write to."""
    within = os.fstat(place.folder)
    is_link, is_root = stat.S_ISLNK(status.st_mode), os.geteuid() == 0
    owners = trusted_owners() if is_root else {*trusted_owners(), within.st_uid}
    if (is_link or is_root) and status.st_uid not in owners and not place.opened_already:
        raise PathUntrusted(f"{place.path} is {owner_of(status)}'s: choose a path of your own")
    many_names = status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode)
    if many_names and not place.opened_already and others_can_write(place.path.parent, within):
        raise PathUntrusted(
            f"{place.path} has another name, which others could have given it: move it away"
        )
