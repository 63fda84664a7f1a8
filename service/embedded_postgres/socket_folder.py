"""Where the server listens: on a Unix socket in its data folder, and nowhere else.

PostgreSQL does not start unless nobody but the owner of the data folder can write to it. So no
other user can put a socket there while the server is down, and whoever answers is the server or
the user that it runs as, who owns the data anyway. Nobody else can connect either.

The address of a socket has room for about a hundred bytes. Where the folder's path is longer, a
symbolic link leads to it, from a folder to which only we can write.
"""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from eventstore.errors import PathUntrusted
from eventstore.trusted_paths import make_trusted_folder
from service.embedded_postgres.data_location import SHARED, is_root, make_shared
from service.embedded_postgres.errors import HomeTooLong

HERE = "."
"""The folder as PostgreSQL names it, which works in its data folder."""
PORT = 5432
"""It only gives the socket its name."""
LOCK_FILE = f".s.PGSQL.{PORT}.lock"
LONGEST = 103
"""Bytes that a socket's path can have on every system: one less than macOS has room for."""


def socket_folder(data: Path) -> Path:
    """The path of the data folder by which clients connect; makes the link where one is needed.

    Args:
        data: the real path of the data folder.

    Raises:
        HomeTooLong: it is too long, and there is no place for a link to it.
    """
    if _is_usable(data):
        return data
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    for folder in _private_folders():
        if _is_usable(folder / name):
            with suppress(OSError, PathUntrusted):
                _make_private(folder)
                _lead(folder / name, data)
                return folder / name
    raise HomeTooLong(f"({data})")


def connection_query(folder: Path) -> str:
    """The part of a connection URL that names the socket in a folder."""
    return f"host={quote(str(folder), safe='/')}&port={PORT}"


def _is_usable(folder: Path) -> bool:
    """Whether clients can connect by this path: they split it at commas, and decode it."""
    path = os.fsencode(folder / f".s.PGSQL.{PORT}")
    fits = path.startswith(b"/") and len(path) <= LONGEST
    return fits and b"," not in path and _is_utf8(path)


def _is_utf8(path: bytes) -> bool:
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True


def _private_folders() -> Iterator[Path]:
    """No temporary folders: when those are swept, others can take the names."""
    if is_root():
        yield SHARED / "sockets"
        return
    with suppress(RuntimeError):  # a user without a home
        yield Path.home() / ".local/state/colloquy"
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "colloquy"


def _make_private(folder: Path) -> None:
    if is_root():
        make_shared(SHARED, 0o755)
    make_trusted_folder(folder, 0o700)


def _lead(link: Path, data: Path) -> None:
    """Let a link lead to the data folder."""
    if not (link.is_symlink() and link.readlink() == data):
        draft = link.with_name(f".{link.name}.{secrets.token_hex(8)}")
        draft.symlink_to(data)
        draft.replace(link)
