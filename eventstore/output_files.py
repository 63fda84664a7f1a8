"""Output files at paths that a user chooses.

In a folder that others can write to, such as `/tmp`, another user may replace a path by a link
between its check and its use. So the folder is opened once, and files are opened, created and
renamed relative to its descriptor: new files exclusively, existing ones without following links.
Our own links are followed one by one in the same way.
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

_MAX_LINKS = 40
_PROCESSES = Path("/proc")


class _Place(msgspec.Struct, frozen=True):
    """A name in an open folder, and the status of the file there."""

    path: Path
    folder: int
    name: str
    status: os.stat_result | None
    opened_already: bool = False
    """Whether the path names an open file of this process, such as `/dev/stdout`."""


def open_output(path: Path, flags: int, mode: int = 0o666) -> int:
    """Opens or creates a file; returns its descriptor.

    Args:
        flags: As for `os.open`. With O_NOFOLLOW even our own link at the end is not followed.
        mode: Permissions of a new file, subject to the umask.

    Raises:
        PathUntrusted: The path leads through another user's link; or we are root, and others could
            redirect the path, or the file is another user's.
        OSError: It cannot be opened or created.
    """
    with _reached(path, follow=not flags & os.O_NOFOLLOW) as place:
        if place.status is None:
            if not flags & os.O_CREAT:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            flags |= os.O_EXCL | os.O_NOFOLLOW
            return os.open(place.name, flags, mode, dir_fd=place.folder)
        return _open(place, flags)


def replace_output(path: Path, content: bytes, mode: int = 0o666, draft: str | None = None) -> None:
    """Replaces or creates a file once the new one is complete and on disk.

    Anything else than a regular file at the path, such as a pipe, is written to directly.

    Args:
        mode: Permissions of a new file, subject to the umask.
        draft: An unused name in the same folder; a file that a crash left there is removed.

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
    """Opens the file at a place, after checking that it is still a permitted one."""
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
    """The place that a path leads to, with its folder open."""
    path = path.absolute()
    for _ in range(_MAX_LINKS):
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
    """Refuses another user's link, and files that root must not write to."""
    within = os.fstat(place.folder)
    is_link, is_root = stat.S_ISLNK(status.st_mode), os.geteuid() == 0
    owners = trusted_owners() if is_root else {*trusted_owners(), within.st_uid}
    if (is_link or is_root) and status.st_uid not in owners and not place.opened_already:
        raise PathUntrusted(f"{place.path} is {owner_of(status)}'s: choose a path of your own")
    many_names = status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode)
    if many_names and not place.opened_already and others_can_write(place.path.parent, within):
        raise PathUntrusted(
            f"{place.path} has another name (a hard link), possibly another user's: move it away"
        )
