"""The periods of a plot's bars: days, or weeks if there are many days."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import groupby

import msgspec

from service.analytics.figures import Day, Totals

_MAX_DAYS = 126
"""18 weeks, a long term: with more days, a day's bar is too narrow."""


class Periods(msgspec.Struct, frozen=True, kw_only=True):
    """The totals of each day or week.

    Attributes:
        name: "day" or "week".
        head: The head of the column with their first days.
        length: Days in a period.
        note: A sentence on what a bar is; empty for days.
        busiest: The same for plots of learners.
        learners: What the number of learners means.
        each: The totals by first day. A week's `learners` are those of its busiest day.
    """

    name: str
    head: str
    length: int
    note: str
    busiest: str
    learners: str
    each: Sequence[Day]


def periods_of(days: Sequence[Day]) -> Periods:
    """The days themselves, or their weeks from Monday on if there are many."""
    if len(days) > _MAX_DAYS:
        return _weeks(days)
    return Periods(
        name="day", head="Day", length=1, note="", busiest="", learners="learners", each=days
    )


def _weeks(days: Sequence[Day]) -> Periods:
    return Periods(
        name="week",
        head="Week from",
        length=7,
        note=" A bar is a week from Monday on, or the part of it within these days.",
        busiest=" A bar is the busiest day of a week from Monday on.",
        learners="most learners a day",
        each=[_week(monday, list(of)) for monday, of in groupby(days, _monday)],
    )


def _monday(day: Day) -> date:
    return day.day - timedelta(day.day.weekday())


def _week(monday: date, days: Sequence[Day]) -> Day:
    """A week's totals. Learners are not added up: the same ones may come on several days."""
    sums = {name: sum(getattr(day, name) for day in days) for name in Totals.__struct_fields__}
    return Day(day=monday, **sums | {"learners": max(day.learners for day in days)})
