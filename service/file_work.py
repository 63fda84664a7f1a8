"""Work on files, whose faults are told as such: never as faults of the database."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.errors import ServiceError

_LEFT_BY_SYSTEMS = re.compile(
    r"\._.+|\.DS_Store|\.localized|\.Spotlight-V100|\.Trashes|\.fseventsd|\.directory"
    r"|(?i:Thumbs\.db|ehthumbs\.db|desktop\.ini)"
)


def is_left_by_system(name: str) -> bool:
    """Whether it is what file managers put into folders that people look at."""
    return _LEFT_BY_SYSTEMS.fullmatch(name) is not None


def reason_of(error: OSError) -> str:
    """Why the system refused, in its own words."""
    return os.strerror(error.errno) if error.errno else str(error)


@contextmanager
def writing(path: Path, refusal: type[ServiceError]) -> Iterator[None]:
    """Says which path cannot be written, and why. Nothing but work on files goes into it.

    Raises:
        ServiceError: Of the class given, whose one argument is the message.
    """
    try:
        yield
    except OSError as error:
        raise refusal(f"cannot write {path}: {reason_of(error)}") from error
    except UnicodeEncodeError as error:
        raise refusal(f"cannot write {path}: its name is not UTF-8") from error
