"""Files that commands write at once."""

from pathlib import Path

from eventstore.output_files import replace_output
from service.errors import ServiceError
from service.file_work import reason_of


def write_whole(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Writes a file; what was there stays until the new one is whole.

    Where something else than a file is at the path, such as a pipe, it gets the bytes.

    Args:
        mode: Permissions of a file that was not there before, less those that the umask takes.

    Raises:
        ServiceError: It cannot be written. The message names it.
        PathUntrusted: Another user could lead us elsewhere.
    """
    try:
        replace_output(path, content, mode)
    except OSError as error:
        raise ServiceError(f"{path}: {reason_of(error)}") from error
