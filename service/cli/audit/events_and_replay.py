"""`colloquy audit events` and `replay`: reads that are themselves recorded."""

import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from eventstore.connections import AccountPool
from eventstore.notifier import Notifier
from eventstore.running_log import running_log
from service.audit.event_search import AuditedLog, Wanted
from service.audit.live_tail import Tails
from service.audit.recording import CommandReads, Reader, Subject, subject_of
from service.audit.replay_page import page_of
from service.audit.replays import Replayed, Replays
from service.cli.audit.event_printing import follow_events, print_events
from service.cli.audit.replay_view import show
from service.cli.context import ID, POSITION, check_account, in_account, owner, with_database
from service.cli.files import write_whole
from service.cli.readers import as_reader, reason_required
from service.cli.terminal import tell_json
from service.errors import UnknownConversation
from service.parsing import moment, position_or_moment
from service.process.database import Database
from service.settings import Settings

T = TypeVar("T")


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
@as_reader
@in_account
def events(
    since: str | None,
    until: str | None,
    as_json: bool,
    follow: bool,
    account: int,
    reader: Reader,
    **filters: Any,
) -> None:
    """Show the events that match all that is given."""
    if follow and until:
        raise click.UsageError("--to and --follow exclude each other")
    wanted = Wanted(
        since=moment("--from", since) if since else None,
        until=moment("--to", until, end=True) if until else None,
        **filters,
    )

    async def print_all(pool: AccountPool, notifier: Notifier, reads: CommandReads) -> None:
        what = " ".join(["audit events", *_options(wanted), *(["--follow"] if follow else [])])
        await reads.record(account, reader, what, subject_of(wanted))
        log = AuditedLog(pool)
        if follow:
            await follow_events(Tails(log, notifier), account, wanted, log, as_json=as_json)
        else:
            await print_events(log, account, wanted, as_json=as_json)

    _recorded(account, print_all)


@click.command()
@click.argument("conversation", type=ID)
@click.option("--at", help="The position or the time to replay; else the log's end.")
@click.option("--step", is_flag=True, help="Wait for Enter after each step, on a terminal.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.option("--html", "file", type=click.Path(dir_okay=False, path_type=Path), help="As a page.")
@as_reader
@in_account
def replay(
    conversation: int,
    at: str | None,
    step: bool,
    as_json: bool,
    file: Path | None,
    account: int,
    reader: Reader,
) -> None:
    """Show a conversation as its learner saw it, and what they did not see."""
    if sum((as_json, step, file is not None)) > 1:
        raise click.UsageError("give one of --step, --json and --html")
    wanted = position_or_moment("--at", at, end=True) if at is not None else None

    async def make(pool: AccountPool, _notifier: Notifier, reads: CommandReads) -> Replayed:
        replays = Replays(pool)
        opened = await replays.find(account, conversation)
        if opened is None:
            raise UnknownConversation(f"there is no conversation {conversation}")
        position = await _position(AuditedLog(pool), account, wanted)
        what = f"audit replay {conversation}" + ("" if at is None else f" --at {position}")
        await reads.record(account, reader, what, Subject(conversation_id=conversation))
        return await replays.make(account, conversation, opened, position)

    replayed = _recorded(account, make)
    if file is not None:
        write_whole(file, page_of(replayed), 0o600)  # it has what a learner said
    elif as_json:
        tell_json(replayed)
    else:
        show(replayed, step=step and sys.stdin.isatty() and sys.stdout.isatty())


def _options(wanted: Wanted) -> list[str]:
    """What is asked for, as it was understood, in the command's own words."""
    return [f"--{name.removesuffix('_id')} {value}" for name, value in wanted.filters()]


def _recorded(
    account: int, work: Callable[[AccountPool, Notifier, CommandReads], Awaitable[T]]
) -> T:
    """What `work` gives on the settings' database; it records what it reads."""

    async def connected(settings: Settings, database: Database) -> T:
        async with owner(database.url) as connection:
            await check_account(connection, account)
        required = reason_required(settings)
        async with running_log(database.url) as (log, pool, notifier):
            return await work(pool, notifier, CommandReads(log, pool, reason_required=required))

    return with_database(connected)


async def _position(log: AuditedLog, account: int, wanted: int | datetime | None) -> int:
    head = await log.head(account)
    if isinstance(wanted, datetime):
        return await log.position_at(account, wanted)
    if wanted is not None and wanted > head:
        raise click.BadParameter(f"the log ends at position {head}", param_hint="--at")
    return head if wanted is None else wanted
