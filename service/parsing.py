"""Moments and ids as auditors write them, in queries and on command lines."""

import re
from datetime import UTC, datetime

from service.errors import BadRequest
from service.identity.authenticator import read_id

_FRACTION = re.compile(r"[.,]([0-9]+)")
_UNQUOTED = re.compile(r"(T\S+) (\d\d:\d\d)$")


def moment(name: str, text: str, *, end: bool = False) -> datetime:
    """A time in ISO 8601, UTC where it names no zone.

    Args:
        end: The end of what is named. A time is as exact as it is written: one of whole seconds,
            as answers have them, stands for that second, and so for all that happened in it.

    Raises:
        BadRequest: It is none.
    """
    try:
        # The + of a zone arrives as a space where a query was not quoted.
        read = datetime.fromisoformat(_UNQUOTED.sub(r"\1+\2", text))
        if end:
            read = read.replace(microsecond=read.microsecond + _unwritten(text))
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest(f"{name} must be a time in ISO 8601, such as 2031-03-01T09:00Z") from None


def number(name: str, text: str) -> int:
    """An id.

    Raises:
        BadRequest: It is none.
    """
    found = read_id(text)
    if found is None:
        raise BadRequest(f"{name} must be a number from 1 on")
    return found


def position(name: str, text: str) -> int:
    """A position of the log, 0 for before all.

    Raises:
        BadRequest: It is none.
    """
    return 0 if text == "0" else number(name, text)


def _unwritten(text: str) -> int:
    """Microseconds up to the next time that could be written with as many digits."""
    fraction = _FRACTION.search(text)
    digits = min(len(fraction[1]), 6) if fraction else 0
    return int(10 ** (6 - digits)) - 1


def position_or_moment(name: str, text: str, *, end: bool = False) -> int | datetime:
    """What `at` names: a position where it is a number, else a time.

    Args:
        end: As for `moment`.

    Raises:
        BadRequest: It is neither.
    """
    if text.isascii() and text.isdigit():
        return position(name, text)
    return moment(name, text, end=end)
