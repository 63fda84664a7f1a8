"""Files that commands write at once."""

import os
import shutil
from pathlib import Path

from service.errors import ServiceError


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file; what was there stays until the new one is whole.

    Where something else than a file is at the path, such as a pipe, it gets the bytes.

    Raises:
        ServiceError: It cannot be written. The message names it.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        target = path.resolve()
        draft = target.with_name(f".{target.name}.{os.getpid()}.draft")
        try:
            draft.write_bytes(content)
            if target.exists():
                shutil.copymode(target, draft)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ServiceError(f"{path}: {error.strerror}") from error
