"""Options of commands that show texts or names of people: the reader and the reason."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any

import click

from eventstore.running_log import running_log
from service.access_log import Reader, system_user
from service.audit.service import AuditService, Subject
from service.cli.context import ID
from service.settings import Settings

_reason = click.option("--reason", help="Why you read, for the record; a setting can require it.")
_as_user = click.option(
    "--as", "as_user", type=ID, metavar="USER", help="Who reads, by their number; for the record."
)


def as_reader(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command `--reason` and `--as`, and what comes of them as `reader`."""

    @_reason
    @_as_user
    @wraps(command)
    def with_reader(reason: str | None, as_user: int | None, **options: Any) -> None:
        command(reader=reader_of(reason, as_user), **options)

    return with_reader


def reader_of(reason: str | None = None, as_user: int | None = None) -> Reader:
    """Who runs this command."""
    return Reader(operator=system_user(), user_id=as_user, reason=reason)


@asynccontextmanager
async def open_reads(settings: Settings, url: str) -> AsyncIterator[AuditService]:
    """Opens the record of reads.

    Args:
        url: The owner's connection URL.
    """
    async with running_log(url) as (log, pool, _notifier):
        yield AuditService(log, pool, reason_required=reason_required(settings))


def reason_required(settings: Settings) -> bool:
    """Whether reads need a reason."""
    return settings.audit_reason == "required"


async def record_reading(
    settings: Settings,
    url: str,
    account_id: int,
    reader: Reader,
    what: str,
    subject: Subject | None = None,
) -> None:
    """Records a reading, as `AuditService.record`, for a command that needs nothing else of it."""
    async with open_reads(settings, url) as reads:
        await reads.record_command(account_id, reader, what, subject)
