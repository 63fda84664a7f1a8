"""`colloquy log`."""

import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import asyncpg
import click
import msgspec

from eventstore.connections import Connection, connect
from eventstore.envelope import NO_END
from eventstore.log import PAGE
from service.access_log import Reader
from service.audit.audited_events import AuditedEvent, audited
from service.audit.service import Subject
from service.cli.context import ID, POSITION, check_account, in_account, with_database
from service.cli.event_lines import line_of
from service.cli.reader_options import as_reader, record_reading
from service.cli.terminal import print_json, print_line, warn
from service.process.database import Database
from service.settings import Settings
from sql.loader import query

_STREAM = re.compile(r"[a-z]{1,20}(-[0-9a-f-]{1,60})?")
_LEARNERS = re.compile(r"(dialogue-[0-9]{1,19}|learner|access)-(?P<learner>[0-9]{1,18})")
"""Streams whose names contain a learner's id."""


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """An event as `colloquy log show --json` prints it. `recorded_at` is in UTC."""

    position: int
    recorded_at: datetime
    stream: str
    revision: int
    type: str
    conversation_id: int | None
    actor: dict[str, Any]
    data: dict[str, Any]
    content: str | None


@click.group()
def log() -> None:
    """Read the log."""


@log.command()
@click.option("--conversation", "conversation_id", type=ID, help="Only this one.")
@click.option("--stream", help="Only this stream, such as dialogue-1-101 or experience-1.")
@click.option("--after", type=POSITION, help="Only positions above this one.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, texts in full.")
@as_reader
@in_account
def show(
    conversation_id: int | None,
    stream: str | None,
    after: int | None,
    as_json: bool,
    account: int,
    reader: Reader,
) -> None:
    """Show events in order; the read is recorded first."""
    if sum(given is not None for given in (conversation_id, stream, after)) > 1:
        raise click.UsageError("give one of --conversation, --stream and --after")

    async def print_all(settings: Settings, database: Database) -> None:
        connection = await connect(database.url, "colloquy_auditor")
        try:
            await check_account(connection, account)
            head = await connection.fetchval(query("get_log_head"), account)
            subject = await _subject(connection, account, conversation_id, stream)
            what = _what(conversation_id, stream, after)
            await record_reading(settings, database.url, account, reader, what, subject)
            rows = _events(connection, account, conversation_id, stream, after or 0)
            await _print(rows, head, as_json=as_json)
        finally:
            await connection.close()

    with_database(print_all)


async def _print(rows: AsyncIterator[asyncpg.Record], head: int, *, as_json: bool) -> None:
    printed = False
    async for row in rows:
        event = audited(row)
        if event.position > head:  # this reading's record, and later events
            break
        printed = True
        if as_json:
            print_json(_line(event))
        else:
            print_line(line_of(event))
    if not printed:
        warn("there are no such events")


def _what(conversation_id: int | None, stream: str | None, after: int | None) -> str:
    """The command line to record; a malformed stream name is left out."""
    if conversation_id is not None:
        return f"log show --conversation {conversation_id}"
    if stream is not None:
        return f"log show --stream {stream if _STREAM.fullmatch(stream) else '…'}"
    return "log show" if after is None else f"log show --after {after}"


async def _subject(
    connection: Connection, account: int, conversation_id: int | None, stream: str | None
) -> Subject:
    """The learner or conversation whose events are shown, if the options name one."""
    if stream is None:
        return Subject(conversation_id=conversation_id)
    if match := _LEARNERS.fullmatch(stream):
        return Subject(learner_id=int(match["learner"]))
    row = await connection.fetchrow(query("read_stream"), account, stream, 0, None, 1)
    return Subject(conversation_id=audited(row).conversation_id if row else None)


async def _events(
    connection: Connection,
    account: int,
    conversation_id: int | None,
    stream: str | None,
    after: int,
) -> AsyncIterator[asyncpg.Record]:
    if stream is not None:
        for row in await connection.fetch(query("read_stream"), account, stream, 0, None, NO_END):
            yield row
        return
    while True:
        if conversation_id is None:
            page = await connection.fetch(query("read_all"), account, after, PAGE)
        else:
            page = await connection.fetch(
                query("read_conversation"), account, conversation_id, after, PAGE
            )
        for row in page:
            yield row
        if len(page) < PAGE:
            return
        after = page[-1]["position"]


def _line(event: AuditedEvent) -> LogLine:
    return LogLine(
        position=event.position,
        recorded_at=event.recorded_at,
        stream=event.stream,
        revision=event.revision,
        type=event.type,
        conversation_id=event.conversation_id,
        actor=event.metadata["actor"],
        data={name: value for name, value in event.data.items() if name != "type"},
        content=event.content,
    )
