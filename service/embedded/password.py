"""The password of the database owner, in a file that only its owner can read."""

import os
import secrets
from pathlib import Path


def kept_password(path: Path) -> str:
    """The password in this file; a random one is written to it first when it is absent."""
    if not path.exists():
        new = path.with_name(f"{path.name}.new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))  # needs no escaping in a URL
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    return path.read_text()
