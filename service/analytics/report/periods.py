"""The days of a plot, put together to weeks where there are too many for a bar each."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import groupby

import msgspec

from service.analytics.figures import Day, Totals

_MOST = 126
"""Days of a long term, 18 weeks: of more, each bar would be a hairline."""


class Periods(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in each day or week.

    Attributes:
        name: Of one.
        head: Of the column that tells their first days.
        length: In days.
        note: What a bar is, where it is no day.
        busiest: The same, of learners.
        learners: Which of them are counted.
        each: By first day. Of weeks, `learners` are those of the busiest day.
    """

    name: str
    head: str
    length: int
    note: str
    busiest: str
    learners: str
    each: Sequence[Day]


def periods_of(days: Sequence[Day]) -> Periods:
    """Days, or of many their weeks from Monday on."""
    if len(days) > _MOST:
        return _weeks(days)
    return Periods(
        name="day", head="Day", length=1, note="", busiest="", learners="learners", each=days
    )


def _weeks(days: Sequence[Day]) -> Periods:
    return Periods(
        name="week",
        head="Week from",
        length=7,
        note=" A bar is a week from Monday on, or as much of it as is in these days.",
        busiest=" A bar is the busiest day of a week from Monday on.",
        learners="most learners a day",
        each=[_week(monday, list(of)) for monday, of in groupby(days, _monday)],
    )


def _monday(day: Day) -> date:
    return day.day - timedelta(day.day.weekday())


def _week(monday: date, days: Sequence[Day]) -> Day:
    """Learners are not added up: those of several days may be the same ones."""
    sums = {name: sum(getattr(day, name) for day in days) for name in Totals.__struct_fields__}
    return Day(day=monday, **sums | {"learners": max(day.learners for day in days)})
