"""Files in the data folder, which is the server's user's: where we are root, another user's.

That user can put links, pipes and whatever else in the place of PostgreSQL's files, at any moment.
So a file is opened below a descriptor of the folder, follows no link, and counts only as a regular
file of the folder's owner; a new one is made under a name that was free.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from eventstore.durable_files import replace_in
from service.embedded_postgres.errors import DataTampered

_MOST = 64 * 1024
"""Bytes that the small files which we read can have; the others of PostgreSQL are its own."""


def read_data_file(data: Path, name: str) -> str | None:
    """The text of a small file; None when there is none.

    Args:
        data: the real path of the data folder.
        name: of the file, in the folder itself.

    Raises:
        DataTampered: it is no regular file of the folder's owner.
    """
    try:
        with _opened(data) as folder:
            return _read(folder, data / name)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataTampered(f"({data / name}: {error.strerror})") from error


def replace_data_file(data: Path, name: str, text: str) -> None:
    """Put a file of the folder's owner in the place of another, as a whole.

    Raises:
        DataTampered: something stands in the way.
    """
    try:
        with _opened(data) as folder:
            owner = os.fstat(folder)
            give = None
            if owner.st_uid != os.geteuid():
                give = partial(os.fchown, uid=owner.st_uid, gid=owner.st_gid)
            replace_in(folder, name, text.encode(), 0o600, prepare=give)
    except OSError as error:
        raise DataTampered(f"({data / name}: {error.strerror})") from error


def made_by(data: Path) -> str | None:
    """The major version of the PostgreSQL that made the data; None before there is any."""
    version = read_data_file(data, "PG_VERSION")
    return None if version is None else version.strip()


@contextmanager
def _opened(data: Path) -> Iterator[int]:
    folder = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield folder
    finally:
        os.close(folder)


def _read(folder: int, path: Path) -> str:
    # Opening a pipe would wait for somebody to write to it.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with os.fdopen(os.open(path.name, flags, dir_fd=folder), "rb") as file:
        status = os.fstat(file.fileno())
        # A hard link to a file that its maker cannot read has that file's owner.
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.fstat(folder).st_uid:
            raise DataTampered(f"({path})")
        return file.read(_MOST).decode(errors="replace")
