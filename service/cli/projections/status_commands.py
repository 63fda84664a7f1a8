"""`colloquy projections status`."""

import asyncio
import shutil
import sys

import click

from eventstore.database_errors import DATABASE_ERRORS
from eventstore.readable_numbers import age, counted
from projections.status import ProjectionStatus, projection_status
from service.cli.context import owner, printable, with_database
from service.cli.terminal import print_line, print_value, redraw, warn
from service.process.database import Database
from service.process.errors import DatabaseUnreachable
from service.process.stop_signals import stop_event
from service.settings import Settings

_INTERVAL = 1.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--watch", is_flag=True, help="Repeat every second, until Ctrl-C.")
def status(as_json: bool, watch: bool) -> None:
    """Show the position of each projection, and the event at which one has stopped."""

    async def show(_settings: Settings, database: Database) -> None:
        stop = stop_event() if watch else None
        while True:
            try:
                async with owner(database.url) as connection:
                    rows = await projection_status(connection)
            except (*DATABASE_ERRORS, DatabaseUnreachable) as error:
                if stop is None:
                    raise
                warn(f"the database does not answer: {printable(str(error))}")
            else:
                _show(rows, as_json, watch)
            if stop is None or await _ended(stop):
                return

    with_database(show)


def _show(rows: list[ProjectionStatus], as_json: bool, watch: bool) -> None:
    if watch and not as_json and sys.stdout.isatty():
        size = shutil.get_terminal_size()
        redraw(on_screen(rows, size.columns, size.lines))
        return
    if watch and not as_json:
        print_line()
    for row in rows:
        print_value(row, _line, as_json=as_json)


def on_screen(rows: list[ProjectionStatus], columns: int, lines: int) -> list[str]:
    """The lines that fit a terminal of this size; if not all do, stopped projections come first.

    Args:
        columns: Width of the terminal in characters.
        lines: Height of the terminal.
    """
    room = columns * (lines - 1)  # the cursor takes the last line
    all_lines = [_line(row) for row in rows]
    if sum(_space(line, columns) for line in all_lines) <= room:
        return all_lines
    rows = sorted(rows, key=lambda row: (row.error is None, not row.paused, -row.lag_events))
    fitting: list[str] = []
    for line in map(_line, rows):
        room -= _space(line, columns)
        if room < columns:
            break
        fitting.append(line)
    left = f"and {len(rows) - len(fitting)} more, no worse; all without --watch"
    return [*fitting, left[:columns]]


def _space(line: str, columns: int) -> int:
    """Cells of a terminal that a line takes, which is wrapped if it is too long."""
    return -(-len(line) // columns) * columns


async def _ended(stop: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(_INTERVAL):
            return await stop.wait()
    except TimeoutError:
        return False


def _line(row: ProjectionStatus) -> str:
    lag = "fresh"
    if row.lag_events:
        lag = f"{counted(row.lag_events, 'event')}, {age(row.lag_seconds or 0.0)} behind"
    paused = "  paused" if row.paused else ""
    return (
        f"{row.name:<22} v{row.version}  {row.mode:<8}  {row.state:<8}  "
        f"account {row.account_id}  {row.position}/{row.head}  {lag}{paused}{_error(row)}"
    )


def _error(row: ProjectionStatus) -> str:
    if row.error is None:
        return ""
    event = f" at event {row.error_position} ({row.error_type})" if row.error_position else ""
    return f"  stopped{event}: {printable(row.error)}"
