"""`colloquy audit events` and `replay`: reads that are themselves recorded."""

import shlex
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from service.app import running_log
from service.audit.desk import Desk, make_desk
from service.audit.moments import moment, position_or_moment
from service.audit.page import page_of
from service.audit.reading import Wanted
from service.audit.replays import Replayed
from service.cli.audit_reading import print_events
from service.cli.files import write_whole
from service.cli.replaying import show
from service.cli.session import ID, POSITION, check_account, in_account, owner, with_database
from service.database import Database
from service.errors import UnknownConversation
from service.learners.reads import OPERATOR
from service.settings import Settings

_HOW = "give --reason"

T = TypeVar("T")

say_why = click.option("--reason", help="Why you read; it is recorded with the read.")


@click.command()
@click.option("--course", "course_id", type=ID, help="Only of this course.")
@click.option("--experience", "experience_id", type=ID, help="Only of this experience.")
@click.option("--user", "user_id", type=ID, help="Only of this learner.")
@click.option("--conversation", "conversation_id", type=ID, help="Only this conversation.")
@click.option("--type", "types", multiple=True, help="Only this type; can be given again.")
@click.option("--actor", "actor_id", type=ID, help="Only what this user did.")
@click.option("--from", "since", help="Only from this time on (ISO 8601).")
@click.option("--to", "until", help="Only up to this time.")
@click.option("--after", type=POSITION, default=0, help="Only positions above this one.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, texts in full.")
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@say_why
@in_account
def events(
    since: str | None,
    until: str | None,
    as_json: bool,
    follow: bool,
    reason: str | None,
    account: int,
    **filters: Any,
) -> None:
    """Show the events that match all that is given."""
    if follow and until:
        raise click.UsageError("--to and --follow exclude each other")
    wanted = Wanted(
        since=moment("--from", since) if since else None,
        until=moment("--to", until) if until else None,
        **filters,
    )

    async def print_all(desk: Desk) -> None:
        learner = await _learner_of(desk, account, wanted)
        await _record(
            desk, account, reason, learner, wanted.conversation_id, course=wanted.course_id
        )
        await print_events(desk, account, wanted, as_json=as_json, follow=follow)

    _at_desk(account, print_all)


@click.command()
@click.argument("conversation", type=ID)
@click.option("--at", help="The position or the time to replay; else the log's end.")
@click.option("--step", is_flag=True, help="Wait for Enter after each step, on a terminal.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.option("--html", "file", type=click.Path(dir_okay=False, path_type=Path), help="As a page.")
@say_why
@in_account
def replay(
    conversation: int,
    at: str | None,
    step: bool,
    as_json: bool,
    file: Path | None,
    reason: str | None,
    account: int,
) -> None:
    """Show a conversation as its learner saw it, and what they did not see."""
    if sum((as_json, step, file is not None)) > 1:
        raise click.UsageError("give one of --step, --json and --html")
    wanted = position_or_moment("--at", at) if at is not None else None

    async def make(desk: Desk) -> Replayed:
        opened = await desk.replays.find(account, conversation)
        if opened is None:
            raise UnknownConversation(f"there is no conversation {conversation}")
        position = await _position(desk, account, wanted)
        await _record(desk, account, reason, opened.user_id, conversation)
        return await desk.replays.make(account, conversation, opened, position)

    replayed = _at_desk(account, make)
    if file is not None:
        write_whole(file, page_of(replayed), 0o600)  # it has what a learner said
    elif as_json:
        click.echo(msgspec.json.encode(replayed))
    else:
        show(replayed, step=step and sys.stdin.isatty() and sys.stdout.isatty())


def _at_desk(account: int, work: Callable[[Desk], Awaitable[T]]) -> T:
    """What `work` gives at the auditors' desk of the settings' database."""

    async def connected(settings: Settings, database: Database) -> T:
        async with owner(database.url) as connection:
            await check_account(connection, account)
        required = settings.audit_reason == "required"
        async with running_log(database.url) as (log, pool, link):
            return await work(make_desk(log, pool, link, reason_required=required))

    return with_database(connected)


async def _record(
    desk: Desk,
    account: int,
    reason: str | None,
    learner: int | None,
    conversation: int | None,
    *,
    course: int | None = None,
) -> None:
    await desk.reads.record(
        account,
        OPERATOR,
        _command_line(),
        desk.reads.checked(reason, _HOW),
        learner_id=learner,
        conversation_id=conversation,
        course_id=course,
    )


async def _learner_of(desk: Desk, account: int, wanted: Wanted) -> int | None:
    if wanted.user_id is not None or wanted.conversation_id is None:
        return wanted.user_id
    opened = await desk.replays.find(account, wanted.conversation_id)
    return opened.user_id if opened else None


async def _position(desk: Desk, account: int, wanted: int | datetime | None) -> int:
    head = await desk.log.head(account)
    if isinstance(wanted, datetime):
        return await desk.log.position_at(account, wanted)
    if wanted is not None and wanted > head:
        raise click.BadParameter(f"the log ends at position {head}", param_hint="--at")
    return head if wanted is None else wanted


def _command_line() -> str:
    """The command as it was given, but for the reason, which is recorded by itself."""
    words = shlex.join(["colloquy", *_without_reason(sys.argv[1:])])
    return words.encode("utf-8", "replace").decode().replace("\0", "")


def _without_reason(words: list[str]) -> Iterator[str]:
    given = iter(words)
    for word in given:
        if word == "--reason":
            next(given, None)
        elif not word.startswith("--reason="):
            yield word
