"""`colloquy log`."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import click
import msgspec

from eventstore.events import type_name
from eventstore.log import PAGE, EventLog
from eventstore.records import Actor, RecordedEvent
from service.app import running_log
from service.cli.session import ACCOUNT, with_database
from service.database import Database
from service.settings import Settings

_SHOWN = 100


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """An event as `colloquy log show --json` prints it. `recorded_at` is in UTC."""

    position: int
    recorded_at: datetime
    stream: str
    revision: int
    type: str
    conversation_id: int | None
    actor: Actor
    data: dict[str, Any]
    content: str | None


@click.group()
def log() -> None:
    """Read the log."""


@log.command()
@click.option("--conversation", "conversation_id", type=click.IntRange(1), help="Only this one.")
@click.option("--stream", help="Only this stream, such as dialogue-1-101 or experience-1.")
@click.option("--after", type=click.IntRange(0), help="Only positions above this one.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, texts in full.")
def show(conversation_id: int | None, stream: str | None, after: int | None, as_json: bool) -> None:
    """Show events in the order in which they happened."""
    if sum(given is not None for given in (conversation_id, stream, after)) > 1:
        raise click.UsageError("give one of --conversation, --stream and --after")

    async def print_all(_settings: Settings, database: Database) -> None:
        async with running_log(database.url) as (events, _pool, _link):
            async for recorded in _chosen(events, conversation_id, stream, after or 0):
                line = _line(recorded)
                click.echo(msgspec.json.encode(line) if as_json else _for_people(line))

    with_database(print_all)


async def _chosen(
    events: EventLog, conversation_id: int | None, stream: str | None, after: int
) -> AsyncIterator[RecordedEvent]:
    if stream is not None:
        for recorded in await events.read_stream(ACCOUNT, stream):
            yield recorded
        return
    while True:
        if conversation_id is None:
            page = await events.read_all(ACCOUNT, after=after)
        else:
            page = await events.read_conversation(ACCOUNT, conversation_id, after=after)
        for recorded in page:
            yield recorded
        if len(page) < PAGE:
            return
        after = page[-1].position


def _line(recorded: RecordedEvent) -> LogLine:
    data = msgspec.to_builtins(recorded.event)
    del data["type"]
    return LogLine(
        position=recorded.position,
        recorded_at=recorded.recorded_at,
        stream=recorded.stream,
        revision=recorded.revision,
        type=type_name(recorded.event),
        conversation_id=data.get("conversation_id"),
        actor=recorded.metadata.actor,
        data=data,
        content=recorded.content,
    )


def _for_people(line: LogLine) -> str:
    who = f"{line.actor.role} {line.actor.id}" if line.actor.id else line.actor.role
    where = f"conversation {line.conversation_id}" if line.conversation_id else line.stream
    reply = line.data.get("reply")
    extra = [reply["model"]] if reply else [line.data["code"]] if "code" in line.data else []
    text = [" ".join(line.content.split())[:_SHOWN]] if line.content else []
    shown = "  ".join([*extra, *text])
    return (
        f"{line.position:>7}  {line.recorded_at:%Y-%m-%d %H:%M:%S}  {where:<16}  "
        f"{line.type:<27}{who:<14}{shown}"
    ).rstrip()
