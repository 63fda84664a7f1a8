"""`colloquy analytics report`: a course's figures as a page."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click

from eventstore.connections import AccountPool, close_pool, open_pool
from service.analytics.figures_queries import Days, FiguresReader
from service.analytics.figures_request import MOST, USUAL, days_checked
from service.analytics.report.report import Report, notes_of, page_of
from service.cli.context import ID, check_account, in_account, owner, with_database
from service.cli.errors import UnknownCourse
from service.cli.output_file import write_whole
from service.cli.terminal import print_line, warn
from service.process.database import Database
from service.settings import Settings
from sql.loader import query

_DAY = click.DateTime(["%Y-%m-%d"])
_CONNECTIONS = 2


@click.command()
@click.option("--course", "course_id", type=ID, required=True, help="The course, by its number.")
@click.option(
    "--from",
    "since",
    type=_DAY,
    help="First day (UTC); by default the course's first, at most a year before the last.",
)
@click.option("--to", "until", type=_DAY, help="Last day (UTC); by default the course's last.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    required=True,
    help="File to write.",
)
@in_account
def report(
    course_id: int, since: datetime | None, until: datetime | None, out: Path, account: int
) -> None:
    """Write a self-contained page with plots and figures of one course."""

    async def work(_settings: Settings, database: Database) -> Report:
        async with owner(database.url) as connection:
            await check_account(connection, account)
            if not await connection.fetchval(query("has_course"), account, course_id):
                raise UnknownCourse(f"there is no course {course_id} in account {account}")
        pool = await open_pool(database.url, "colloquy_service", _CONNECTIONS)
        try:
            first, last = (day.date() if day else None for day in (since, until))
            return await _report(AccountPool(pool), account, course_id, first, last)
        finally:
            await close_pool(pool)

    made = with_database(work)
    write_whole(out, page_of(made))
    for note in notes_of(made.figures.freshness):
        warn(note)
    print_line(f"{made.figures.first} to {made.figures.last}: {out}")


async def _report(
    pool: AccountPool, account_id: int, course_id: int, first: date | None, last: date | None
) -> Report:
    reader = FiguresReader(pool)
    today = (await pool.fetchval(account_id, query("get_time"))).astimezone(UTC).date()
    span = await reader.span(account_id, course_id) or Days(today - timedelta(USUAL - 1), today)
    last = last or span.last
    earliest = date.fromordinal(max(1, last.toordinal() - MOST + 1))
    days = days_checked(Days(first or max(span.first, earliest), last))
    figures = await reader.of_course(account_id, course_id, days)
    rows = await pool.fetch(account_id, query("list_course_experiences"), account_id, course_id)
    titles = {row["experience_id"]: row["title"] for row in rows}
    return Report(figures=figures, titles=titles, made_at=datetime.now(UTC))
