"""Files in the data folder, which belongs to the server's user: another user if we are root.

That user can replace PostgreSQL's files by links, pipes or anything else at any moment. So files
are opened relative to a descriptor of the folder, without following links, and must be regular
files of the folder's owner. A new file is written under an unused name.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from eventstore.durable_files import replace_in
from service.embedded_postgres.errors import DataTampered

_MAX_BYTES = 64 * 1024
"""Bytes read of a file; the files that we read are smaller."""


def read_data_file(data: Path, name: str) -> str | None:
    """The text of a small file; None when there is none.

    Args:
        data: the real path of the data folder.
        name: the file's name, directly in the folder.

    Raises:
        DataTampered: it is not a regular file of the folder's owner.
    """
    try:
        with _opened(data) as folder:
            return _read(folder, data / name)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataTampered(f"({data / name}: {error.strerror})") from error


def replace_data_file(data: Path, name: str, text: str) -> None:
    """Replace a file atomically by one that belongs to the folder's owner.

    Raises:
        DataTampered: the file system refuses it.
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


def data_version(data: Path) -> str | None:
    """The major version of the PostgreSQL that made the data; None if there is no data."""
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
    # Without O_NONBLOCK, opening a pipe would wait for a writer.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with os.fdopen(os.open(path.name, flags, dir_fd=folder), "rb") as file:
        status = os.fstat(file.fileno())
        # A hard link to another user's file shows that user as the owner.
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.fstat(folder).st_uid:
            raise DataTampered(f"({path})")
        return file.read(_MAX_BYTES).decode(errors="replace")
