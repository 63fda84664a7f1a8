"""The password of the database owner, in a file that only its owner can read."""

import secrets
from pathlib import Path

from eventstore.durable_files import replace_file
from eventstore.trusted_paths import OTHERS_ACCESS, read_trusted


def kept_password(path: Path) -> str:
    """The password in this file; a random one is written to it first when it is absent.

    Raises:
        PathUntrusted: another user could have prepared the file, or others can read it.
    """
    if not path.exists():
        password = secrets.token_urlsafe(32)  # needs no escaping in a URL
        replace_file(path, password.encode(), 0o600, draft=f"{path.name}.new")
    return read_trusted(path, OTHERS_ACCESS).decode()
