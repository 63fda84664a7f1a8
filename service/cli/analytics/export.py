"""`colloquy analytics export` and `check`."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from eventstore.readable_numbers import counted
from service.cli.context import ID, check_account, owner, with_database
from service.cli.progress import progress_bar
from service.cli.terminal import tell, warn
from service.process.database import Database
from service.settings import Settings

if TYPE_CHECKING:
    from service.analytics.table_files.export import Export
    from service.analytics.table_files.table_export import Written
    from service.analytics.table_files.tables import Freshness

_SINCE = "a day such as 2031-03-01, or a position of the log"


class _Since(click.ParamType[date | int]):
    name = "DATE|POSITION"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> date | int:
        text = str(value)
        try:
            return int(text) if text.isascii() and text.isdigit() else date.fromisoformat(text)
        except ValueError:
            self.fail(f"must be {_SINCE}", param, ctx)


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The command's options."""

    table: str | None
    everything: bool
    format: Literal["parquet", "csv", "ndjson"]
    out: Path
    since: date | int | None
    account: int | None
    full: bool
    check: bool
    fresh: float | None


@click.command()
@click.argument("table", required=False)
@click.option("--all", "everything", is_flag=True, help="All tables.")
@click.option(
    "--format",
    type=click.Choice(["parquet", "csv", "ndjson"]),
    default="parquet",
    show_default=True,
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="A new folder, or an export's."
)
@click.option("--since", type=_Since(), help="Only days from this one on, or changed above it.")
@click.option("--account", type=ID, help="Only this institution; else all of them.")
@click.option("--full", is_flag=True, help="Write all files anew.")
@click.option("--check", is_flag=True, help="Read what is there, and write anew what is damaged.")
@click.option(
    "--fresh",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Wait until the tables have all that is in the log now; fail after so many seconds.",
)
def export(**options: object) -> None:
    """Write a TABLE for analysts, or all, as files by account and day (UTC).

    The next run into the same folder writes the days that have changed. One that was interrupted
    goes on. The folder's manifest.ndjson has each file with the position of the log that it is
    cut at, its rows and its digest.
    """
    asked = msgspec.convert(options, _Asked)
    if (asked.table is None) != asked.everything:
        raise click.UsageError("give the name of a table, or --all")

    async def work(settings: Settings, database: Database) -> int:
        files = 0
        async with aclosing(_run(asked, settings, database.url)) as done:
            async for written in done:
                files += written.files + written.removed
                tell(_in_words(written))
        return files

    if not with_database(work):
        tell("nothing new")


async def _run(asked: _Asked, settings: Settings, url: str) -> AsyncGenerator["Written", None]:
    from projections.user_defined import all_definitions
    from service.analytics.table_files.export import Exporter

    async with owner(url) as connection:
        if asked.account is not None:
            await check_account(connection, asked.account)
        known = all_definitions(settings.projections)
        exporter = Exporter(url, connection, known, _warn, progress_bar)
        async with aclosing(exporter.run(_export(asked))) as done:
            async for written in done:
                yield written


def _export(asked: _Asked) -> "Export":
    from service.analytics.table_files.export import Export
    from service.analytics.table_files.table_export import Wanted

    wanted = Wanted(format=asked.format, since=asked.since, full=asked.full, check=asked.check)
    return Export(
        out=asked.out.absolute(),
        wanted=wanted,
        table=asked.table,
        account=asked.account,
        fresh=asked.fresh,
    )


def _warn(fresh: "Freshness") -> None:
    warn(f"colloquy: warning: {fresh}")


def _in_words(written: "Written") -> str:
    removed = f", {written.removed} removed" if written.removed else ""
    return (
        f"{written.table:<22} account {written.account}  "
        f"{counted(written.files, 'file')} written ({counted(written.rows, 'row')}), "
        f"{written.unchanged} unchanged{removed}; "
        f"cut at position {written.position} of {written.head}"
    )


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def check(folder: Path) -> None:
    """Read all files of an export and hold them to its manifest; exit code 1 if one is another."""
    from service.analytics.table_files.check import check_folder

    checked = check_folder(folder, progress_bar("checking"))
    for problem in checked.problems:
        tell(problem)
    if checked.problems:
        raise SystemExit(1)
    tell(
        f"{counted(checked.files, 'file')}, {counted(checked.rows, 'row')}, "
        f"{counted(checked.bytes, 'byte')}: as written"
    )
