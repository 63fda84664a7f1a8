"""Ids, positions, times and texts as people and clients write them."""

import re
from datetime import UTC, datetime

from eventstore.privacy_events import MAX_REASON
from service.errors import BadRequest, NumberMalformed, TextTooLong, TimeMalformed

_FRACTION = re.compile(r"[.,]([0-9]+)")
_LARGEST_ID = 2**63 - 1
_UNQUOTED = re.compile(r"(T\S+) (\d\d:\d\d)$")


def parse_time(name: str, text: str, *, end: bool = False) -> datetime:
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
        raise TimeMalformed(name) from None


def parse_id(name: str, text: str) -> int:
    """An id.

    Raises:
        BadRequest: It is none.
    """
    found = read_id(text)
    if found is None:
        raise NumberMalformed(name)
    return found


def parse_position(name: str, text: str) -> int:
    """A position of the log, 0 for before all.

    Raises:
        BadRequest: It is none.
    """
    return 0 if text == "0" else parse_id(name, text)


def _unwritten(text: str) -> int:
    """Microseconds up to the next time that could be written with as many digits."""
    fraction = _FRACTION.search(text)
    digits = min(len(fraction[1]), 6) if fraction else 0
    return int(10 ** (6 - digits)) - 1


def parse_position_or_time(name: str, text: str, *, end: bool = False) -> int | datetime:
    """What `at` names: a position where it is a number, else a time.

    Args:
        end: As for `moment`.

    Raises:
        BadRequest: It is neither.
    """
    if text.isascii() and text.isdigit():
        return parse_position(name, text)
    return parse_time(name, text, end=end)


def checked_reason(reason: str) -> str:
    """A reason as it goes into the log.

    Raises:
        BadRequest: It cannot be stored.
        TextTooLong: It has more than `MAX_REASON` characters.
    """
    if len(reason) > MAX_REASON:
        raise TextTooLong("reason", MAX_REASON)
    if why := unstorable(reason):
        raise BadRequest(f"reason {why}")
    return reason.strip()


def unstorable(text: str) -> str | None:
    """Why the database cannot keep a text; None if it can."""
    if "\0" in text:
        return "must not contain the NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "must not contain lone surrogates"
    return None


def read_id(text: str) -> int | None:
    """A numeric id; None for what cannot be one."""
    if not (text.isascii() and text.isdigit()):
        return None
    number = int(text) if len(text) <= 19 else 0
    return number if 0 < number <= _LARGEST_ID else None
