"""`colloquy log`."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import asyncpg
import click
import msgspec

from eventstore.connections import Connection, connect
from eventstore.log import PAGE
from eventstore.records import NO_END
from service.audit.events import AuditedEvent, audited
from service.cli.lines import line_of
from service.cli.session import ID, POSITION, check_account, in_account, with_database
from service.database import Database
from service.settings import Settings
from sql.loader import query


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
@in_account
def show(
    conversation_id: int | None, stream: str | None, after: int | None, as_json: bool, account: int
) -> None:
    """Show events in the order in which they happened."""
    if sum(given is not None for given in (conversation_id, stream, after)) > 1:
        raise click.UsageError("give one of --conversation, --stream and --after")

    async def print_all(_settings: Settings, database: Database) -> None:
        connection = await connect(database.url, "colloquy_auditor")
        try:
            await check_account(connection, account)
            async for row in _chosen(connection, account, conversation_id, stream, after or 0):
                event = audited(row)
                click.echo(msgspec.json.encode(_line(event)) if as_json else line_of(event))
        finally:
            await connection.close()

    with_database(print_all)


async def _chosen(
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
