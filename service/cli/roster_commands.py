"""`colloquy roster`."""

from pathlib import Path

import click

from eventstore.readable_numbers import counted
from service.cli.context import in_account, with_account
from service.cli.terminal import print_line
from service.identity.roster import import_roster, parse_roster


@click.group()
def roster() -> None:
    """Users and their enrollments in courses."""


@roster.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@in_account
def import_(file: Path, account: int) -> None:
    """Add or change the users and enrollments in a CSV FILE.

    Columns: course_id,user_id,name,role,status. Roles: learner (or student), observer, teacher,
    ta, designer. Statuses: active, invited, inactive, completed, deleted; only active counts.
    Nothing is imported if a row is wrong, or contradicts another row: the same user with another
    name, or with another role or status in the same course. The errors name the lines.
    """
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = parse_roster(lines)
    with_account(account, lambda c: import_roster(c, account, rows))
    courses = len({row.course_id for row in rows})
    print_line(f"imported {counted(len(rows), 'enrollment')} in {counted(courses, 'course')}")
