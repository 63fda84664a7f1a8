"""Options of commands that show texts or names: who reads, and why."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from eventstore.running_log import running_log
from service.access_log import Reader, system_user
from service.audit.service import AuditService, Subject
from service.cli.context import ID
from service.settings import Settings

_reason = click.option("--reason", help="Why you read; recorded. A setting can require it.")
_as_user = click.option(
    "--as", "as_user", type=ID, metavar="USER", help="The user who reads; recorded."
)


def as_reader(command: Callable[..., None]) -> Callable[..., None]:
    """Adds `--reason` and `--as` to a command, which gets them as a `reader`."""

    @_reason
    @_as_user
    @wraps(command)
    def with_reader(reason: str | None, as_user: int | None, **options: Any) -> None:
        command(reader=reader_of(reason, as_user), **options)

    return with_reader


def reader_of(reason: str | None = None, as_user: int | None = None) -> Reader:
    """The reader who runs this command."""
    return Reader(operator=system_user(), user_id=as_user, reason=reason)


def reason_required(settings: Settings) -> bool:
    """Whether every reader must give a reason."""
    return settings.audit_reason == "required"


async def record_reading(
    settings: Settings,
    url: str,
    account_id: int,
    reader: Reader,
    what: str,
    subject: Subject | None = None,
) -> None:
    """Records what a command reads, as `AuditService.record_command` does.

    Args:
        url: The owner's connection URL.
    """
    async with running_log(url) as (log, pool, _notifier):
        audit = AuditService(log, pool, reason_required=reason_required(settings))
        await audit.record_command(account_id, reader, what, subject)
