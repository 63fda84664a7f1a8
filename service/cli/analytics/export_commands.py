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
from service.cli.terminal import print_line, warn
from service.process.database import Database
from service.settings import Settings

if TYPE_CHECKING:
    from service.analytics.freshness import AccountFreshness
    from service.analytics.table_files.folder_export import FolderExport
    from service.analytics.table_files.table_export import TableExportResult

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


class _Options(msgspec.Struct, frozen=True, kw_only=True):
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
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="A new folder, or an earlier export's.",
)
@click.option(
    "--since", type=_Since(), help="Only days from this date on, or changed after this position."
)
@click.option("--account", type=ID, help="Only this institution; by default all.")
@click.option("--full", is_flag=True, help="Write all files again.")
@click.option("--check", is_flag=True, help="Read existing files, and write damaged ones again.")
@click.option(
    "--fresh",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Wait until the tables have all current events; fail after this time.",
)
def export(**values: object) -> None:
    """Write a TABLE for analysts, or all, as files by account and day (UTC).

    The next run into the same folder writes the days that have changed, or resumes an interrupted
    run. The folder's manifest.ndjson has each file with the position of the log up to which it
    goes, its rows and its digest.
    """
    options = msgspec.convert(values, _Options)
    if (options.table is None) != options.everything:
        raise click.UsageError("give the name of a table, or --all")

    async def work(settings: Settings, database: Database) -> int:
        files = 0
        async with aclosing(_run(options, settings, database.url)) as done:
            async for written in done:
                files += written.files + written.removed
                print_line(_line(written))
        return files

    if not with_database(work):
        print_line("nothing new")


async def _run(
    options: _Options, settings: Settings, url: str
) -> AsyncGenerator["TableExportResult", None]:
    from projections.user_defined import all_definitions
    from service.analytics.table_files.folder_export import FolderExporter

    async with owner(url) as connection:
        if options.account is not None:
            await check_account(connection, options.account)
        known = all_definitions(settings.projections)
        exporter = FolderExporter(url, connection, known, _warn, progress_bar)
        async with aclosing(exporter.run(_export(options))) as done:
            async for written in done:
                yield written


def _export(options: _Options) -> "FolderExport":
    from service.analytics.table_files.folder_export import FolderExport
    from service.analytics.table_files.table_export import TableExportOptions

    table_options = TableExportOptions(
        format=options.format, since=options.since, full=options.full, check=options.check
    )
    return FolderExport(
        out=options.out.absolute(),
        options=table_options,
        table=options.table,
        account=options.account,
        fresh=options.fresh,
    )


def _warn(fresh: "AccountFreshness") -> None:
    warn(f"colloquy: warning: {fresh}")


def _line(written: "TableExportResult") -> str:
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
    """Compare all files of an export with its manifest; exit code 1 if one differs."""
    from service.analytics.table_files.folder_check import check_folder

    checked = check_folder(folder, progress_bar("checking"))
    for problem in checked.problems:
        print_line(problem)
    if checked.problems:
        raise SystemExit(1)
    print_line(
        f"{counted(checked.files, 'file')}, {counted(checked.rows, 'row')}, "
        f"{counted(checked.bytes, 'byte')}: as written"
    )
