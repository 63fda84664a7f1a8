"""Files that commands write at once."""

import os
import secrets
import shutil
from pathlib import Path

from eventstore.trusted_paths import check_output
from service.errors import ServiceError
from service.file_work import reason_of


def write_whole(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Writes a file; what was there stays until the new one is whole.

    Where something else than a file is at the path, such as a pipe, it gets the bytes.

    Args:
        mode: Permissions of a file that was not there before, less those that the umask takes.

    Raises:
        ServiceError: It cannot be written. The message names it.
        PathUntrusted: We are root, and another user could lead us elsewhere.
    """
    check_output(path)
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        target = Path(os.path.realpath(path))  # of links in a circle, too
        draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}.draft")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
                out.write(content)
            if target.exists():
                shutil.copymode(target, draft)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ServiceError(f"{path}: {reason_of(error)}") from error
