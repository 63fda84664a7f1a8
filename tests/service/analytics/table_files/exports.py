"""Runs exports in the test's process."""

from pathlib import Path
from typing import Any, get_args

import duckdb
import msgspec

from eventstore.connections import connect
from projections.definitions import definitions
from projections.parallel_build import silent
from service.analytics.freshness import AccountFreshness
from service.analytics.table_files.folder_export import FolderExport, FolderExporter
from service.analytics.table_files.manifest import Format
from service.analytics.table_files.table_export import TableExportOptions, TableExportResult

FORMATS: tuple[Format, ...] = get_args(Format)
TABLES = sorted(
    table
    for known in definitions().values()
    if known.schema == "analytics"
    for table in known.tables
)


class Taken(msgspec.Struct, frozen=True):
    """The results and warnings of an export."""

    written: list[TableExportResult]
    warnings: list[AccountFreshness]

    @property
    def files(self) -> dict[tuple[str, int], int]:
        """The number of files written, by table and account."""
        return {(one.table, one.account): one.files for one in self.written if one.files}


async def take(
    url: str,
    out: Path,
    format: Format = "parquet",
    *,
    table: str | None = None,
    account: int | None = None,
    fresh: float | None = None,
    **options: Any,
) -> Taken:
    """Exports from a database, by default all tables and accounts."""
    warnings: list[AccountFreshness] = []
    owner = await connect(url)
    try:
        exporter = FolderExporter(url, owner, definitions(), warnings.append, lambda _label: silent)
        export = FolderExport(
            out=out,
            options=TableExportOptions(format=format, **options),
            table=table,
            account=account,
            fresh=fresh,
        )
        return Taken([written async for written in exporter.run(export)], warnings)
    finally:
        await owner.close()


def stamps(out: Path) -> dict[str, int]:
    """When each file of a folder was last written."""
    return {str(path.relative_to(out)): path.stat().st_mtime_ns for path in files_in(out)}


def files_in(out: Path) -> list[Path]:
    """All files of a folder."""
    return sorted(path for path in out.rglob("*") if path.is_file())


def rows_of(out: Path, table: str, columns: str = "*") -> list[tuple[object, ...]]:
    """The rows of a table's Parquet files, in order."""
    result = duckdb.connect().sql(
        f"SELECT {columns} FROM read_parquet('{out}/{table}/*/*/*.parquet') ORDER BY ALL"
    )
    return result.fetchall()
