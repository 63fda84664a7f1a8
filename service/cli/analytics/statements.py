"""`colloquy analytics statements`: learning records of what is in the log."""

import asyncio
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import click
import msgspec

from eventstore.readable_numbers import counted
from service.audit.recording import CommandReads, Reader
from service.cli.context import ID, check_account, in_account, owner, with_database
from service.cli.progress import progress_bar
from service.cli.readers import as_reader, reason_required
from service.cli.terminal import warn
from service.errors import SettingsError
from service.process.database import Database
from service.settings import Settings

if TYPE_CHECKING:
    from service.analytics.learning_records.export import Wanted
    from service.analytics.learning_records.sending import Range, Sent

_HOW = "give --reason"
_a_file = click.Path(dir_okay=False, path_type=Path)


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
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
@click.option("--out", type=_a_file, help="A new file; - or none is standard output.")
@click.option("--post", metavar="URL", help="Send them to this learning record store instead.")
@click.option("--checkpoint", type=_a_file, help="Keeps how far it has come; the next run goes on.")
@click.option(
    "--since", help="Above this position, or from this time on; a checkpoint goes before."
)
@click.option("--until", help="Up to this position or time; else the log's end.")
@click.option("--course", type=ID, help="Only of this course.")
@click.option("--iri", metavar="URL", help="What IRIs begin with; else COLLOQUY_PUBLIC_URL.")
@click.option(
    "--batch", type=click.IntRange(1, 1000), default=100, show_default=True, help="Sent at once."
)
@as_reader
@in_account
def statements(**options: Any) -> None:
    """Make learning records of the log: xAPI statements or Caliper events, one a line.

    They hold numbers of people and things, and no words but titles of experiences. An erased
    learner's are left out. The export is itself recorded. COLLOQUY_LRS_AUTH lets --post in:
    user:password, or Bearer and a token.
    """
    if str(options["out"]) == "-":
        options["out"] = None
    asked = _Asked(**options)
    _check(asked)

    async def work(settings: Settings, database: Database) -> "tuple[Sent, Range]":
        from eventstore.running_log import running_log
        from service.analytics.learning_records.export import Exporter
        from service.process.server import stop_event

        wanted = _wanted(asked, settings)
        async with owner(database.url) as connection:
            await check_account(connection, asked.account)
        stop = stop_event()
        telling = asyncio.create_task(_tell_of(stop))
        try:
            async with running_log(database.url) as (log, pool, _):
                reads = CommandReads(log, pool, reason_required=reason_required(settings))
                return await Exporter(log, pool, reads).run(wanted, progress_bar("exporting"), stop)
        finally:
            telling.cancel()

    sent, positions = with_database(work)
    what = "sent" if asked.post else "written"
    warn(f"{counted(sent.records, 'record')} {what}, up to position {sent.position}")
    if sent.position < positions.upto:
        warn(f"colloquy: stopped before position {positions.upto}")
        raise SystemExit(1)


async def _tell_of(stop: asyncio.Event) -> None:
    await stop.wait()
    warn("colloquy: ending after what is under way; once more ends it at once")


_BESIDE = (".draft", ".lock")


def _check(asked: _Asked) -> None:
    if asked.out is not None and asked.post is not None:
        raise click.UsageError("--out and --post exclude each other")
    if asked.checkpoint is not None and asked.out is None and asked.post is None:
        raise click.UsageError("--checkpoint needs --out FILE or --post URL")
    if asked.checkpoint is not None and asked.out is not None:
        kept = Path(os.path.realpath(asked.checkpoint))  # of links in a circle, too
        if Path(os.path.realpath(asked.out)) in (
            kept,
            *(kept.with_name(kept.name + e) for e in _BESIDE),
        ):
            raise click.UsageError("--out must be another file than --checkpoint's")
    for option, url in (("--post", asked.post), ("--iri", asked.iri)):
        if url is not None:
            _check_url(option, url)


def _check_url(option: str, text: str) -> None:
    """A command line is in lists of processes, and the store's URL in the log: without secrets."""
    try:
        parts = urlsplit(text)
        (parts.hostname or "").encode("idna")  # as it is looked up
        fit = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # UnicodeError is one
        fit = False
    if not fit or not text.isascii() or not text.isprintable() or " " in text:
        raise click.BadParameter("must be http:// or https:// with a host", param_hint=option)
    if "@" in parts.netloc or "?" in text or "#" in text:
        raise click.BadParameter("must have no user, query or fragment", param_hint=option)


def _wanted(asked: _Asked, settings: Settings) -> "Wanted":
    from service.analytics.learning_records.export import Wanted
    from service.analytics.learning_records.export_cursor import Export
    from service.analytics.learning_records.http_client import authorization_of
    from service.audit.reads import check_reason

    check_reason(asked.reader.reason, _HOW, required=reason_required(settings))
    export = Export(
        account_id=asked.account,
        format=asked.format,
        base=_base(asked, settings),
        course_id=asked.course,
        store=asked.post,
    )
    return Wanted(
        export=export,
        out=asked.out.absolute() if asked.out else None,
        checkpoint=asked.checkpoint.absolute() if asked.checkpoint else None,
        since=_edge("--since", asked.since),
        until=_edge("--until", asked.until, end=True),
        batch=asked.batch,
        authorization=authorization_of(settings.lrs_auth) if asked.post else None,
        reader=asked.reader,
    )


def _base(asked: _Asked, settings: Settings) -> str:
    base = asked.iri or settings.public_url
    if base is None:
        raise SettingsError(
            "IRIs need a beginning that stays: set COLLOQUY_PUBLIC_URL, or give --iri https://HOST"
        )
    return base.rstrip("/")


def _edge(option: str, text: str | None, *, end: bool = False) -> int | datetime | None:
    from service.parsing import position_or_moment

    return None if text is None else position_or_moment(option, text, end=end)
