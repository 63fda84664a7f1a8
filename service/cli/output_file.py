"""Files that commands write as a whole."""

from pathlib import Path

from eventstore.output_files import replace_output
from service.errors import ServiceError
from service.file_work import reason_of


def write_whole(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Replaces a file once the new content is complete; a pipe or device gets the bytes.

    Args:
        mode: Permissions of a new file, before the umask.

    Raises:
        ServiceError: It cannot be written; the message names it.
        PathUntrusted: Another user could redirect the path.
    """
    try:
        replace_output(path, content, mode)
    except OSError as error:
        raise ServiceError(f"{path}: {reason_of(error)}") from error
