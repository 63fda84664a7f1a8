"""The path by which clients reach the server: it listens only on a socket in its data folder.

PostgreSQL starts only if nobody but the owner can write to the data folder. So no other user can
put a socket there while the server is down: a client reaches the server or the data's owner.
Other users cannot connect.

A socket's path has room for about a hundred bytes. For a longer one, clients use a symbolic link
in a folder that only we can write to.
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
"""The data folder, which is PostgreSQL's working directory."""
PORT = 5432
"""Only a part of the socket's name."""
LOCK_FILE = f".s.PGSQL.{PORT}.lock"
MAX_PATH = 103
"""Bytes of a socket's path that every system accepts: one less than macOS has room for."""


def socket_folder(data: Path, shared: Path = SHARED, *, as_root: bool | None = None) -> Path:
    """The path of the data folder by which clients connect; makes a link if one is needed.

    Args:
        data: the real path of the data folder.
        shared: the folder for root's links.
        as_root: whether to link as root does; by default, whether we are root.

    Raises:
        HomeTooLong: the path is too long, and no folder can hold a link to it.
    """
    if _is_usable(data):
        return data
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    for folder in _link_folders(shared, is_root() if as_root is None else as_root):
        if _is_usable(folder / name):
            with suppress(OSError, PathUntrusted):
                if folder.parent == shared:
                    make_shared(shared, 0o755)
                make_trusted_folder(folder, 0o700)
                _link(folder / name, data)
                return folder / name
    raise HomeTooLong(f"({data})")


def connection_query(folder: Path) -> str:
    """The part of a connection URL that names the socket in a folder."""
    return f"host={quote(str(folder), safe='/')}&port={PORT}"


def _is_usable(folder: Path) -> bool:
    """Whether clients can connect by this path, which they split at commas and decode."""
    path = os.fsencode(folder / f".s.PGSQL.{PORT}")
    fits = path.startswith(b"/") and len(path) <= MAX_PATH
    return fits and b"," not in path and _is_utf8(path)


def _is_utf8(path: bytes) -> bool:
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True


def _link_folders(shared: Path, as_root: bool) -> Iterator[Path]:
    """Not in temporary folders: after a clean-up, other users could take the names."""
    if as_root:
        yield shared / "sockets"
        return
    with suppress(RuntimeError):  # a user without a home
        yield Path.home() / ".local/state/colloquy"
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "colloquy"


def _link(link: Path, data: Path) -> None:
    if not (link.is_symlink() and link.readlink() == data):
        draft = link.with_name(f".{link.name}.{secrets.token_hex(8)}")
        draft.symlink_to(data)
        draft.replace(link)
