"""Reads a request for figures: its caller and its days."""

import re
from datetime import date

from aiohttp import web

from service.analytics.figures_queries import Days
from service.errors import (
    DayMalformed,
    DaysTooMany,
    NotAuthorized,
    ParameterRepeated,
    UnknownParameter,
    YearsOutOfRange,
)
from service.http.authentication import access_of, account_access_of
from service.http.request_keys import CLOCK
from service.identity.authorization import ANALYST, Access

SCOPE = "colloquy:analytics"
"""What a token must carry to reach every course; one without scopes does not."""

USUAL = 28
"""Days that an answer covers if the request names none."""

MOST = 366
"""Days that one answer covers at most."""

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_YEARS = (1970, 9998)
_KNOWN = frozenset({"from", "to", "as_user_id"})
_KNOWN_IN_LISTS = _KNOWN | {"page", "per_page"}


async def course_reader_of(request: web.Request) -> Access:
    """The caller, who must be an analyst, or a manager of the course.

    Raises:
        NotAuthorized: They are neither.
        ServiceError: The first check that fails.
    """
    access = await access_of(request, everywhere=SCOPE)
    if not access.manages and access.role != ANALYST:
        raise NotAuthorized
    return access


async def analyst_of(request: web.Request) -> Access:
    """The caller, who must be an analyst of the account.

    Raises:
        ServiceError: The first check that fails.
    """
    return await account_access_of(request, SCOPE)


def requested_days(request: web.Request, *, paged: bool = False) -> Days:
    """The days that a request asks for: the last four weeks up to `to`, which is today.

    Args:
        paged: Whether the parameters of pages are allowed, too.

    Raises:
        UnknownParameter, ParameterRepeated, DayMalformed: A parameter is invalid.
        DaysTooMany, YearsOutOfRange: As `days_checked`.
    """
    for name in set(request.query):
        if name not in (_KNOWN_IN_LISTS if paged else _KNOWN):
            raise UnknownParameter(name)
        if len(request.query.getall(name)) > 1:
            raise ParameterRepeated(name)
    last = day_of("to", request.query.get("to")) or request.app[CLOCK].now().date()
    earliest = date.fromordinal(max(1, last.toordinal() - USUAL + 1))
    first = day_of("from", request.query.get("from")) or earliest
    return days_checked(Days(first, last))


def days_checked(days: Days) -> Days:
    """Checks days; returns them.

    Raises:
        DaysTooMany: They are too many, or the first comes after the last.
        YearsOutOfRange: They are out of any calendar.
    """
    first, last = days.first, days.last
    if first.year < _YEARS[0] or last.year > _YEARS[1]:
        raise YearsOutOfRange(*_YEARS)
    if not 0 <= (last - first).days < MOST:
        raise DaysTooMany(first, last, MOST)
    return days


def day_of(name: str, text: str | None) -> date | None:
    """A day of a query; None if it is missing.

    Raises:
        DayMalformed: It is no day.
    """
    if text is None:
        return None
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise DayMalformed(name)
