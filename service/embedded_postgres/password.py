"""The password of the database owner, in a file that only its owner can read."""

import os
import secrets
from pathlib import Path

from eventstore.trusted_paths import OTHERS_ACCESS, read_trusted


def kept_password(path: Path) -> str:
    """The password in this file; a random one is written to it first when it is absent.

    Raises:
        PathUntrusted: another user could have prepared the file, or others can read it.
    """
    if not path.exists():
        new = path.with_name(f"{path.name}.new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))  # needs no escaping in a URL
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    return read_trusted(path, OTHERS_ACCESS).decode()
