"""`colloquy retention`."""

import click

from eventstore.readable_numbers import counted
from service.access_log import OPERATOR
from service.cli.context import ID, in_account, with_database
from service.cli.privacy.privacy_services import open_privacy_services
from service.cli.terminal import print_line, print_values
from service.privacy.retention import ACCOUNT_WIDE, Due, Expired, Rule
from service.process.database import Database
from service.settings import Settings

_MOST_DAYS = 36_500


@click.group()
def retention() -> None:
    """How long texts are kept after a conversation is completed."""


@retention.command("set")
@click.option("--course", "course_id", type=ID, help="The rule of one course.")
@click.option("--account-wide", is_flag=True, help="The rule of courses without one.")
@click.option("--keep", is_flag=True, help="Keep texts for ever.")
@click.argument("days", required=False, type=click.IntRange(1, _MOST_DAYS))
@in_account
def set_(
    account: int, course_id: int | None, account_wide: bool, keep: bool, days: int | None
) -> None:
    """Keep texts for DAYS after completion, or for ever; the next run applies it."""
    if (course_id is None) != account_wide:
        raise click.UsageError("give one of --course and --account-wide")
    if (days is None) != keep:
        raise click.UsageError("give one of DAYS and --keep")
    course = ACCOUNT_WIDE if course_id is None else course_id

    async def work(_settings: Settings, database: Database) -> None:
        async with open_privacy_services(database.url) as services:
            await services.retention.set_rule(account, course, days, OPERATOR)

    with_database(work)
    print_line(_sentence(course, days))


@retention.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@in_account
def show(account: int, as_json: bool) -> None:
    """Show the rules."""

    async def work(_settings: Settings, database: Database) -> list[Rule]:
        async with open_privacy_services(database.url) as services:
            return await services.retention.rules(account)

    none = "there are no rules: texts are kept for ever"
    rules = with_database(work)
    print_values(rules, lambda r: _sentence(r.course_id, r.days), none, as_json=as_json)


@retention.command()
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
@in_account
def run(account: int, dry_run: bool) -> None:
    """Apply the rules now; the service applies them every day."""

    async def work(_settings: Settings, database: Database) -> Expired:
        async with open_privacy_services(database.url) as services:
            if not dry_run:
                return await services.retention.run(account, OPERATOR)
            due = [d async for page in services.retention.due(account) for d in page]
            for item in due:
                print_line(_line(item))
            return _expected(due)

    done = with_database(work)
    held = ", ".join(map(str, done.held))
    if held:
        print_line(f"left out because of legal holds: users {held}")
    verb = "would be deleted" if dry_run else "deleted"
    print_line(
        f"{verb}: {counted(done.texts, 'text')} of {counted(done.conversations, 'conversation')}"
    )


def _expected(due: list[Due]) -> Expired:
    deleted = [item for item in due if not item.held]
    return Expired(
        conversations=len(deleted),
        texts=sum(item.texts for item in deleted),
        held=tuple(sorted({item.user_id for item in due if item.held})),
    )


def _line(item: Due) -> str:
    held = ", left out: legal hold" if item.held else ""
    return (
        f"conversation {item.conversation_id} of user {item.user_id}: "
        f"{counted(item.texts, 'text')} "
        f"({item.rule} rule, {counted(item.days, 'day')}){held}"
    )


def _sentence(course_id: int, days: int | None) -> str:
    which = "courses without a rule" if course_id == ACCOUNT_WIDE else f"course {course_id}"
    long = "for ever" if days is None else f"{counted(days, 'day')} after completion"
    return f"{which}: texts are kept {long}"
