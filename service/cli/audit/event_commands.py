"""`colloquy audit events` and `replay`, whose reads are recorded."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from eventstore.connections import AccountPool
from eventstore.log import PAGE
from eventstore.notifier import Notifier
from eventstore.running_log import running_log
from service.access_log import Reader
from service.audit.event_search import EventFilter, EventPage, EventSearch
from service.audit.live_tail import LiveTail
from service.audit.replay_page import page_of
from service.audit.replays import Replayed, Replays
from service.audit.service import AuditService, Subject, subject_of
from service.cli.audit.replay_view import print_replay
from service.cli.context import ID, POSITION, check_account, in_account, owner, with_database
from service.cli.errors import UnknownConversation
from service.cli.event_lines import line_of
from service.cli.output_file import write_whole
from service.cli.reader_options import as_reader, reason_required
from service.cli.terminal import print_json, print_value, warn
from service.parsing import parse_position_or_time, parse_time
from service.process.database import Database
from service.process.stop_signals import stop_event
from service.settings import Settings

T = TypeVar("T")


@click.command()
@click.option("--course", "course_id", type=ID, help="Only of this course.")
@click.option("--experience", "experience_id", type=ID, help="Only of this experience.")
@click.option("--user", "user_id", type=ID, help="Only of this learner.")
@click.option("--conversation", "conversation_id", type=ID, help="Only this conversation.")
@click.option("--type", "types", multiple=True, help="Only this type; repeatable.")
@click.option("--actor", "actor_id", type=ID, help="Only events by this user.")
@click.option("--from", "since", help="Only from this time on (ISO 8601).")
@click.option("--to", "until", help="Only up to this time.")
@click.option("--after", type=POSITION, default=0, help="Only positions above this one.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, texts in full.")
@click.option("--follow", is_flag=True, help="Continue with new events, until Ctrl-C.")
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
    """Show the events that match all options."""
    if follow and until:
        raise click.UsageError("--to and --follow exclude each other")
    selection = EventFilter(
        since=parse_time("--from", since) if since else None,
        until=parse_time("--to", until, end=True) if until else None,
        **filters,
    )

    async def print_all(pool: AccountPool, notifier: Notifier, reads: AuditService) -> None:
        what = " ".join(["audit events", *_options(selection), *(["--follow"] if follow else [])])
        await reads.record_command(account, reader, what, subject_of(selection))
        log = EventSearch(pool)
        if follow:
            await _follow_events(LiveTail(log, notifier), account, selection, log, as_json=as_json)
        else:
            await _print_events(log, account, selection, as_json=as_json)

    _recorded(account, print_all)


@click.command()
@click.argument("conversation", type=ID)
@click.option("--at", help="Position or time to replay; by default the log's end.")
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
    selection = parse_position_or_time("--at", at, end=True) if at is not None else None

    async def make(pool: AccountPool, _notifier: Notifier, reads: AuditService) -> Replayed:
        replays = Replays(pool)
        opened = await replays.find(account, conversation)
        if opened is None:
            raise UnknownConversation(f"there is no conversation {conversation}")
        position = await _position(EventSearch(pool), account, selection)
        what = f"audit replay {conversation}" + ("" if at is None else f" --at {position}")
        await reads.record_command(account, reader, what, Subject(conversation_id=conversation))
        return await replays.make(account, conversation, opened, position)

    replayed = _recorded(account, make)
    if file is not None:
        write_whole(file, page_of(replayed), 0o600)  # it contains a learner's texts
    elif as_json:
        print_json(replayed)
    else:
        print_replay(replayed, step=step and sys.stdin.isatty() and sys.stdout.isatty())


async def _print_events(
    log: EventSearch, account: int, selection: EventFilter, *, as_json: bool
) -> None:
    """Prints the matching events."""
    after, upto = await log.bounds(account, selection)
    number = 0
    async for page in log.steps(account, selection, after, upto, PAGE):
        _print_page(page, as_json)
        number += len(page.events)
    if not number:
        warn("there are no such events")


async def _follow_events(
    live_tail: LiveTail, account: int, selection: EventFilter, log: EventSearch, *, as_json: bool
) -> None:
    """Prints the matching events, and new ones until SIGTERM or SIGINT."""
    after, _ = await log.bounds(account, selection)
    closing = asyncio.create_task(_close_at_stop(live_tail, stop_event()))
    try:
        async for page in live_tail.follow(account, selection, after):
            _print_page(page, as_json)
    finally:
        closing.cancel()
        with suppress(asyncio.CancelledError):
            await closing


def _print_page(page: EventPage, as_json: bool) -> None:
    for event in page.events:
        print_value(event, line_of, as_json=as_json)


async def _close_at_stop(live_tail: LiveTail, stop: asyncio.Event) -> None:
    await stop.wait()
    live_tail.close()


def _options(selection: EventFilter) -> list[str]:
    """The filters as the command parsed them, in its own options."""
    return [f"--{name.removesuffix('_id')} {value}" for name, value in selection.filters()]


def _recorded(
    account: int, work: Callable[[AccountPool, Notifier, AuditService], Awaitable[T]]
) -> T:
    """Runs `work` on the settings' database, with a service that records its reads."""

    async def connected(settings: Settings, database: Database) -> T:
        async with owner(database.url) as connection:
            await check_account(connection, account)
        required = reason_required(settings)
        async with running_log(database.url) as (log, pool, notifier):
            return await work(pool, notifier, AuditService(log, pool, reason_required=required))

    return with_database(connected)


async def _position(log: EventSearch, account: int, selection: int | datetime | None) -> int:
    head = await log.head(account)
    if isinstance(selection, datetime):
        return await log.position_at(account, selection)
    if selection is not None and selection > head:
        raise click.BadParameter(f"the log ends at position {head}", param_hint="--at")
    return head if selection is None else selection
