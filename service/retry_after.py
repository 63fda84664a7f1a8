"""The pause that an answer asks for before the next request (RFC 9110, section 10.2.3)."""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 86_400.0
"""Seconds. What a server asks for beyond a day is no pause, and no header should repeat it."""


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks for, a number or a date; None for anything else.

    Args:
        now: The time from which a date counts, in UTC.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_until(value, now)
    return bounded(seconds) if math.isfinite(seconds) else None


def bounded(seconds: float) -> float:
    """The pause within what may be asked for."""
    return min(max(0.0, seconds), LONGEST)


def _seconds_until(date: str, now: datetime) -> float:
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return math.nan
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
