"""Reads figures from the views for analysts, with a few indexed statements for one course."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import asyncpg
import msgspec

from eventstore.connections import AccountConnection, AccountPool
from service.analytics import figures
from service.analytics.freshness import (
    AllFreshness,
    Freshness,
    list_freshness,
    together,
    without_errors,
)
from service.http.pagination import Page
from sql.loader import query

DURATION_EDGES = (0, 500, 1_000, 2_000, 3_000, 5_000, 7_500, 10_000, 15_000, 20_000, 30_000, 60_000)
"""Milliseconds at which bins of durations begin."""

COST_EDGES = (
    *(0, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000),
    1_000_000,
)
"""Millionths of a dollar at which bins of costs begin."""

Rows = Sequence[Mapping[str, Any]] | Sequence[asyncpg.Record]
Bins = Sequence[Mapping[str, Any]]

_OF_COURSES = ("daily_course_activity", "turn_facts")
_OF_EXPERIENCE = ("conversation_facts", "feedback_facts", "objective_facts", "turn_facts")
_OF_COURSE = (*_OF_EXPERIENCE, "daily_course_activity", "model_daily_cost")
_SUMMED = (
    *("conversations", "messages", "replies", "failed", "cancelled", "objectives_covered"),
    *("cost_microusd", "unpriced"),
)
_STAGES = ("opened", "replied", "completed", "with_objectives", "met")
_KINDS: dict[str, Any] = {
    "days": tuple[figures.Day, ...],
    "funnels": tuple[figures.Funnel, ...],
    "objectives": tuple[figures.Objective, ...],
    "outcomes": tuple[figures.Outcome, ...],
    "models": tuple[figures.ModelCost, ...],
    "feedback": figures.Votes,
}


class Days(msgspec.Struct, frozen=True):
    """The days from `first` to `last`, both included, in UTC."""

    first: date
    last: date


class FiguresReader:
    """Reads figures, for the API and for reports. Each result comes from one snapshot.

    Args:
        pool: Connections of the service's role.
    """

    def __init__(self, pool: AccountPool) -> None:
        self._pool = pool

    async def of_course(self, account_id: int, course_id: int, days: Days) -> figures.CourseFigures:
        """A course's figures."""
        whole = (account_id, course_id, None, days.first, days.last)
        narrow = (account_id, course_id, days.first, days.last)
        async with self._snapshot(account_id) as connection:
            fresh = await _freshness(connection, account_id, _OF_COURSE)
            daily = await connection.fetch(query("list_course_days"), *narrow)
            models = await connection.fetch(query("list_course_costs"), *narrow)
            parts = await _parts(connection, whole, daily, models)
        return figures.CourseFigures(
            course_id=course_id, first=days.first, last=days.last, freshness=fresh, **parts
        )

    async def of_experience(
        self, account_id: int, course_id: int, experience_id: int, days: Days
    ) -> figures.ExperienceFigures:
        """The figures of one of a course's experiences."""
        whole = (account_id, course_id, experience_id, days.first, days.last)
        async with self._snapshot(account_id) as connection:
            fresh = await _freshness(connection, account_id, _OF_EXPERIENCE)
            daily = await connection.fetch(query("list_experience_days"), *whole)
            models = await connection.fetch(query("list_experience_costs"), *whole)
            parts = await _parts(connection, whole, daily, models)
        return figures.ExperienceFigures(
            course_id=course_id,
            ai_experience_id=experience_id,
            first=days.first,
            last=days.last,
            freshness=fresh,
            **parts,
        )

    async def of_courses(
        self, account_id: int, days: Days, page: Page
    ) -> tuple[figures.CoursesFigures, bool]:
        """A page of the account's courses with their totals, and whether there are more."""
        async with self._snapshot(account_id) as connection:
            fresh = await _freshness(connection, account_id, _OF_COURSES)
            rows = await connection.fetch(
                query("list_course_totals"),
                *(account_id, days.first, days.last, page.after, page.size + 1, page.skip),
            )
        courses = msgspec.convert(
            [dict(row) for row in rows[: page.size]], tuple[figures.CourseTotals, ...]
        )
        result = figures.CoursesFigures(
            first=days.first, last=days.last, freshness=fresh, courses=courses
        )
        return result, len(rows) > page.size

    async def freshness(self, account_id: int) -> AllFreshness:
        """How far each projection for analysts is behind the account's log."""
        async with self._snapshot(account_id, lock=False) as connection:
            fresh = await list_freshness(connection, [account_id])
        return AllFreshness(together(fresh), tuple(without_errors(one) for one in fresh))

    @asynccontextmanager
    async def _snapshot(
        self, account_id: int, *, lock: bool = True
    ) -> AsyncIterator[AccountConnection]:
        """A connection in a transaction with one snapshot.

        Args:
            lock: Whether to lock the views of the figures first, so that no rebuild replaces them:
                the transaction would see no rows of a table that is newer than its snapshot.
        """
        async with (
            self._pool.acquire(account_id) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await connection.execute(query("read_many_rows"))
            if lock:
                await connection.execute(query("lock_figures"))
            yield connection

    async def span(self, account_id: int, course_id: int) -> Days | None:
        """A course's first and last day; None if nothing has happened in it."""
        row = await self._pool.fetchrow(account_id, query("get_course_span"), account_id, course_id)
        return Days(row["first"], row["last"]) if row and row["first"] else None


async def _freshness(
    connection: AccountConnection, account_id: int, names: Sequence[str]
) -> Freshness:
    return together(await list_freshness(connection, [account_id]), names)


async def _parts(
    connection: AccountConnection,
    whole: tuple[int, int, int | None, date, date],
    daily: Rows,
    models: Rows,
) -> dict[str, Any]:
    """The fields that the figures of a course and of an experience have in common."""

    async def rows(statement: str, *more: object) -> list[dict[str, Any]]:
        return [dict(row) for row in await connection.fetch(statement, *whole, *more)]

    (latency,) = await rows(query("get_latency"))
    (spent,) = await rows(query("get_conversation_costs"))
    (votes,) = await rows(query("count_votes"))
    objectives = await rows(query("list_objectives_covered"))
    result: dict[str, Any] = {
        "days": [dict(row) for row in daily],
        "funnels": [_funnel(row) for row in await rows(query("list_funnels"))],
        "objectives": [_with_share(row, "conversations") for row in objectives],
        "outcomes": await rows(query("list_outcomes")),
        "models": [dict(row) for row in models],
        "feedback": votes,
    }
    durations = await rows(query("list_duration_bins"), DURATION_EDGES)
    costs = await rows(query("list_cost_bins"), COST_EDGES)
    return {field: msgspec.convert(result[field], kind) for field, kind in _KINDS.items()} | {
        "totals": _totals(daily, latency["learners"]),
        "latency": _latency(latency, durations),
        "costs": _costs(spent, costs),
    }


def _latency(row: Mapping[str, Any], durations: Bins) -> figures.Latency:
    return figures.Latency(
        turns=row["turns"],
        duration_ms=figures.Spread(row["duration_p50"], row["duration_p95"]),
        first_token_ms=figures.Spread(row["first_token_p50"], row["first_token_p95"]),
        durations=_bins(durations, DURATION_EDGES),
    )


def _costs(spent: Mapping[str, Any], costs: Bins) -> figures.ConversationCosts:
    return figures.ConversationCosts(
        conversations=spent["conversations"],
        cost_microusd=figures.Spread(spent["p50"], spent["p95"]),
        costs=_bins(costs, COST_EDGES),
    )


def _totals(daily: Rows, learners: int) -> figures.Totals:
    sums = {name: sum(day[name] for day in daily) for name in _SUMMED}
    return figures.Totals(learners=learners, **sums)


def _funnel(row: Mapping[str, Any]) -> dict[str, Any]:
    return _with_share(
        {
            "ai_experience_id": row["ai_experience_id"],
            "conversations": {stage: row[stage] for stage in _STAGES},
            "learners": {stage: row[f"learners_{stage}"] for stage in _STAGES},
            "objectives": row["objectives"],
            "covered": row["covered"],
        },
        "objectives",
    )


def _with_share(row: dict[str, Any], of: str) -> dict[str, Any]:
    return row | {"share": row["covered"] / row[of] if row[of] else None}


def _bins(rows: Bins, edges: Sequence[int]) -> tuple[figures.Bin, ...]:
    counted = {row["bin"]: row["counted"] for row in rows}
    return tuple(
        figures.Bin(lower, upper, counted.get(number, 0))
        for number, (lower, upper) in enumerate(zip(edges, (*edges[1:], None), strict=True), 1)
    )
