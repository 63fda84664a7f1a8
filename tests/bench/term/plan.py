"""How large a term is, and when people work in it."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

START = datetime(2026, 1, 12, tzinfo=UTC)
"""A Monday. All times of a term are seconds since then."""

HOUR = 3600.0
DAY = 24 * HOUR

_HOURS = (4, 2, 1, 1, 1, 2, 6, 18, 40, 62, 70, 66, 48, 58, 72, 74, 68, 56, 52, 66, 78, 70, 42, 16)
_WEEKDAYS = (1.0, 1.05, 1.05, 1.0, 0.7, 0.4, 0.8)
_EARLY, _LATE, _RUSH = 0.25, 0.04, 3.0
_RUSH_DAYS = 1.5


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """What to make up. The same term is the same rows, byte by byte.

    Attributes:
        events: Of all logs together, to the very number.
        courses: Of all institutions together.
        accounts: Institutions; the first has the most courses.
        days: How long the term is.
    """

    seed: int = 1
    events: int = 1_000_000
    courses: int = 200
    accounts: int = 4
    days: int = 112


class Share(msgspec.Struct, frozen=True):
    """One institution's part of a term."""

    account_id: int
    events: int
    courses: int


class Window(msgspec.Struct, frozen=True):
    """From when to when learners are to work on something."""

    opens: float
    due: float

    def interest(self, moment: float) -> float:
        """How much it draws learners: little at first, much before the deadline."""
        if moment < self.opens:
            return 0.0
        if moment > self.due:
            return _LATE
        return _EARLY + _RUSH * math.exp((moment - self.due) / (_RUSH_DAYS * DAY))


def shares(term: Term) -> list[Share]:
    """Larger and smaller institutions, each with at least one course."""
    weights = [1 / (1 + place) for place in range(term.accounts)]
    courses = _split(term.courses, weights)
    events = _split(term.events, courses)
    return [
        Share(account_id, number, taught)
        for account_id, (number, taught) in enumerate(zip(events, courses, strict=True), 1)
    ]


def hour_weights(days: Sequence[float]) -> list[float]:
    """How much happens in each hour, given how much each day draws."""
    return [
        draw * _WEEKDAYS[day % 7] * weight for day, draw in enumerate(days) for weight in _HOURS
    ]


def _split(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers, each at least one, that sum up to the total."""
    whole = sum(weights)
    parts = [max(1, int(total * weight / whole)) for weight in weights]
    parts[0] += total - sum(parts)
    return parts
