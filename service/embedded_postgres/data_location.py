"""Where the server's files are, and which user runs it: PostgreSQL refuses to run as root."""

import hashlib
import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path

import msgspec

from eventstore.errors import PathUntrusted
from eventstore.trusted_paths import check_trusted, check_way, make_trusted_folder
from service.embedded_postgres.errors import DataOfAnotherUser

SHARED = Path("/var/lib/colloquy")
HOME_FILES = ("postgres.lock", "postgres.users", "postgres.log", "postgres.password")
"""The files beside the data folder in a home."""


class Account(msgspec.Struct, frozen=True):
    """The system user that owns the data and runs the server."""

    uid: int
    gid: int


def is_root() -> bool:
    """Whether this process is root."""
    return os.geteuid() == 0


def server_account(data: Path) -> Account:
    """The user that runs the server: ours, or for root the data's owner, at first `nobody`.

    Raises:
        DataOfAnotherUser: the data is another user's, and we are not root.
    """
    owner = data.stat() if data.exists() else None
    if not is_root():
        if owner and owner.st_uid != os.geteuid():
            raise DataOfAnotherUser(f"({data}, user id {owner.st_uid})")
        return Account(os.geteuid(), os.getegid())
    if owner and owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def data_folder(home: Path, shared: Path = SHARED) -> Path:
    """The real path of a home's data folder, which need not exist.

    It is `home/postgres`, except for root with a home below a folder that other users cannot
    enter, such as /root: then it is /var/lib/colloquy/<16 hex of SHA-256 of home>/postgres
    (in `shared`), and `home/postgres` is a symbolic link to it.
    """
    inside = home / "postgres"
    if inside.is_symlink() or inside.exists() or not is_root() or _enterable(home):
        return inside.resolve()
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()
    return shared / digest[:16] / "postgres"


def prepare_folders(home: Path, data: Path, shared: Path = SHARED) -> None:
    """Make the folders around the data; no folder above `home` is changed.

    Raises:
        PathUntrusted: another user could have prepared the home or a file in it, or could
            replace one. The data itself may be another user's.
    """
    make_trusted_folder(home, 0o700)
    for path in (home / name for name in HOME_FILES):
        with suppress(FileNotFoundError):
            check_trusted(path)
    with suppress(FileNotFoundError):
        check_way(home / "postgres")
        _refuse_others_writing(data)  # as PostgreSQL does when it starts
    if not is_root():
        return
    if data.parent == home:
        home.chmod(stat.S_IMODE(home.stat().st_mode) | 0o001)
    elif data.is_relative_to(shared):
        make_shared(shared, 0o755)
        make_shared(data.parent, 0o711)


def _refuse_others_writing(data: Path) -> None:
    if data.stat().st_mode & 0o022:
        raise PathUntrusted(f"others than its owner can write to {data}: chmod go-w it")


def make_shared(folder: Path, mode: int) -> None:
    """Make a folder that other users may enter, with this mode whatever the umask is."""
    make_trusted_folder(folder, mode)
    folder.chmod(mode)


def open_to_all(program: Path) -> bool:
    """Whether every user can read and run this file."""
    return program.stat().st_mode & 0o005 == 0o005 and _enterable(program)


def _enterable(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in path.parents if folder.exists())
