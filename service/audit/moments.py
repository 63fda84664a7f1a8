"""Moments and ids as auditors write them, in queries and on command lines."""

import re
from datetime import UTC, datetime

from service.callers import read_id
from service.errors import BadRequest

_UNQUOTED = re.compile(r"(T\S+) (\d\d:\d\d)$")


def moment(name: str, text: str) -> datetime:
    """A time in ISO 8601, UTC where it names no zone.

    Raises:
        BadRequest: It is none.
    """
    try:
        # The + of a zone arrives as a space where a query was not quoted.
        read = datetime.fromisoformat(_UNQUOTED.sub(r"\1+\2", text))
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


def position_or_moment(name: str, text: str) -> int | datetime:
    """What `at` names: a position where it is a number, else a time.

    Raises:
        BadRequest: It is neither.
    """
    if text.isascii() and text.isdigit():
        return position(name, text)
    return moment(name, text)
