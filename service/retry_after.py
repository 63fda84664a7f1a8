"""The pause that an answer asks for before the next request (RFC 9110, section 10.2.3)."""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 86_400.0
"""Seconds. What a server asks for beyond a day is no pause, and no header should repeat it."""


def parse_retry_after(value: str | None, date: str | None) -> float | None:
    """Seconds that a `Retry-After` header asks for, a number or a date; None for anything else.

    Args:
        date: The answer's `Date`, from which a date counts: by the clock of who has sent it. If it
            is none, this machine's time takes its place.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_between(date, value)
    return bounded(seconds) if math.isfinite(seconds) else None


def bounded(seconds: float) -> float:
    """The pause within what may be asked for."""
    return min(max(0.0, seconds), LONGEST)


def _seconds_between(start: str | None, end: str) -> float:
    begin, until = _time(start), _time(end)
    if until is None:
        return math.nan
    return (until - (begin or datetime.now(UTC))).total_seconds()


def _time(date: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(date or "")
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC)
