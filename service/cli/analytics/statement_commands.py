"""`colloquy analytics statements`: the log as learning records."""

import asyncio
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import click
import msgspec

from eventstore.readable_numbers import counted
from service.access_log import Reader
from service.audit.service import AuditService
from service.cli.context import ID, check_account, in_account, owner, with_database
from service.cli.progress import progress_bar
from service.cli.reader_options import as_reader, reason_required
from service.cli.terminal import warn
from service.errors import SettingsError
from service.process.database import Database
from service.settings import Settings

if TYPE_CHECKING:
    from service.analytics.learning_records.export_run import ExportResult, PositionRange
    from service.analytics.learning_records.record_export import RecordExportRequest

_HOW = "give --reason"
_COMPANIONS = (".draft", ".lock")
"""Endings of the files beside a checkpoint."""

_a_file = click.Path(dir_okay=False, path_type=Path)


class _Options(msgspec.Struct, frozen=True, kw_only=True):
    """The command's options. `out` is None for standard output."""

    format: Literal["xapi", "caliper"]
    out: Path | None
    post: str | None
    checkpoint: Path | None
    since: str | None
    until: str | None
    course: int | None
    iri: str | None
    batch: int
    account: int
    reader: Reader


@click.command()
@click.option(
    "--format",
    type=click.Choice(["xapi", "caliper"]),
    required=True,
    help="xAPI 1.0.3, Caliper 1.2.",
)
@click.option("--out", type=_a_file, help="A new file; by default, or with -, standard output.")
@click.option("--post", metavar="URL", help="Send them to this learning record store instead.")
@click.option(
    "--checkpoint", type=_a_file, help="A file with the progress; the next run resumes there."
)
@click.option(
    "--since", help="After this position, or from this time on; a checkpoint takes precedence."
)
@click.option("--until", help="Up to this position or time; by default the log's end.")
@click.option("--course", type=ID, help="Only of this course.")
@click.option("--iri", metavar="URL", help="Prefix of IRIs; by default COLLOQUY_PUBLIC_URL.")
@click.option(
    "--batch",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="Records per request.",
)
@as_reader
@in_account
def statements(**values: Any) -> None:
    """Export learning records: xAPI statements or Caliper events, one a line.

    They contain ids, and no text except titles of experiences. Erased learners are left out. The
    export is recorded. COLLOQUY_LRS_AUTH authenticates --post: user:password, or Bearer and a
    token.
    """
    if str(values["out"]) == "-":
        values["out"] = None
    options = _Options(**values)
    _check(options)

    async def work(settings: Settings, database: Database) -> "tuple[ExportResult, PositionRange]":
        request = _request(options, settings)
        async with owner(database.url) as connection:
            await check_account(connection, options.account)
        return await _export(request, settings, database.url)

    sent, positions = with_database(work)
    what = "sent" if options.post else "written"
    warn(f"{counted(sent.records, 'record')} {what}, up to position {sent.position}")
    if sent.position < positions.upto:
        warn(f"colloquy: stopped before position {positions.upto}")
        raise SystemExit(1)


async def _export(
    request: "RecordExportRequest", settings: Settings, url: str
) -> "tuple[ExportResult, PositionRange]":
    from eventstore.running_log import running_log
    from service.analytics.learning_records.record_export import RecordExporter
    from service.process.stop_signals import stop_event

    stop = stop_event()
    announcing = asyncio.create_task(_announce_stop(stop))
    try:
        async with running_log(url) as (log, pool, _):
            reads = AuditService(log, pool, reason_required=reason_required(settings))
            exporter = RecordExporter(log, pool, reads)
            return await exporter.run(request, progress_bar("exporting"), stop)
    finally:
        announcing.cancel()


async def _announce_stop(stop: asyncio.Event) -> None:
    await stop.wait()
    warn("colloquy: stopping after the current batch; a second signal stops at once")


def _check(options: _Options) -> None:
    if options.out is not None and options.post is not None:
        raise click.UsageError("--out and --post exclude each other")
    if options.checkpoint is not None and options.out is None and options.post is None:
        raise click.UsageError("--checkpoint needs --out FILE or --post URL")
    if options.checkpoint is not None and options.out is not None:
        cursor = os.path.realpath(options.checkpoint)  # also of links in a circle
        if os.path.realpath(options.out) in (cursor, *(cursor + end for end in _COMPANIONS)):
            raise click.UsageError("--out must be another file than --checkpoint's")
    for option, url in (("--post", options.post), ("--iri", options.iri)):
        if url is not None:
            _check_url(option, url)


def _check_url(option: str, text: str) -> None:
    """Refuses secrets in a URL: other users can see command lines, and the log has the URL."""
    try:
        parts = urlsplit(text)
        (parts.hostname or "").encode("idna")  # as a resolver does
        fit = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # UnicodeError is one
        fit = False
    if not fit or not text.isascii() or not text.isprintable() or " " in text:
        raise click.BadParameter("must be http:// or https:// with a host", param_hint=option)
    if "@" in parts.netloc or "?" in text or "#" in text:
        raise click.BadParameter("must have no user, query or fragment", param_hint=option)


def _request(options: _Options, settings: Settings) -> "RecordExportRequest":
    from service.access_log import check_reason
    from service.analytics.learning_records.export_cursor import ExportScope
    from service.analytics.learning_records.http_client import authorization_of
    from service.analytics.learning_records.record_export import RecordExportRequest

    check_reason(options.reader.reason, _HOW, required=reason_required(settings))
    export = ExportScope(
        account_id=options.account,
        format=options.format,
        base=_base(options, settings),
        course_id=options.course,
        store=options.post,
    )
    return RecordExportRequest(
        export=export,
        out=options.out.absolute() if options.out else None,
        checkpoint=options.checkpoint.absolute() if options.checkpoint else None,
        since=_bound("--since", options.since),
        until=_bound("--until", options.until, end=True),
        batch=options.batch,
        authorization=authorization_of(settings.lrs_auth) if options.post else None,
        reader=options.reader,
    )


def _base(options: _Options, settings: Settings) -> str:
    base = options.iri or settings.public_url
    if base is None:
        raise SettingsError(
            "IRIs need a permanent prefix: set COLLOQUY_PUBLIC_URL, or give --iri https://HOST"
        )
    return base.rstrip("/")


def _bound(option: str, text: str | None, *, end: bool = False) -> int | datetime | None:
    from service.parsing import parse_position_or_time

    return None if text is None else parse_position_or_time(option, text, end=end)
