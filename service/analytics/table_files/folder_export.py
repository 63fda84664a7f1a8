"""Exports tables of accounts to files in a folder; a later run writes only what has changed."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path

import msgspec

from eventstore.connections import Connection
from projections.definitions import Definition
from projections.parallel_build import Progress
from service.analytics.errors import BeyondTheLog, ExportBehind, TablesReplaced
from service.analytics.freshness import AccountFreshness, list_freshness
from service.analytics.table_files.export_folder import ExportFolder
from service.analytics.table_files.snapshot import Snapshot
from service.analytics.table_files.table_export import (
    TableExport,
    TableExportOptions,
    TableExportResult,
)
from service.analytics.table_files.tables import (
    Table,
    choose,
    list_tables,
)
from sql.loader import query

_POLL = 0.1
_TRIES = 5

Bar = Callable[[str], Progress]
"""Makes a progress bar with this label."""


class FolderExport(msgspec.Struct, frozen=True, kw_only=True):
    """What to export, and where to.

    Attributes:
        table: The only table; None for all.
        account: The only institution; None for all.
        fresh: Seconds to wait until the tables have reached the log's end; None to export them as
            they are.
    """

    out: Path
    options: TableExportOptions
    table: str | None = None
    account: int | None = None
    fresh: float | None = None


class FolderExporter:
    """Exports tables.

    Args:
        url: The owner's connection URL.
        owner: A connection of the owner.
        definitions: Have the columns by which files are split.
        warn: Called with the freshness of each table that is not fresh.
        bar: Makes a progress bar for a table.
    """

    def __init__(
        self,
        url: str,
        owner: Connection,
        definitions: Mapping[str, Definition],
        warn: Callable[[AccountFreshness], None],
        bar: Bar,
    ) -> None:
        self._url = url
        self._owner = owner
        self._definitions = definitions
        self._warn = warn
        self._bar = bar

    async def run(self, export: FolderExport) -> AsyncGenerator[TableExportResult, None]:
        """Runs an export; yields the result of each table and account when it is finished.

        Raises:
            UnknownTable, BeyondTheLog, ExportRefused, ExportBehind: Files in place are complete.
        """
        tables = await self._tables(export)
        accounts = await self._accounts(export)
        if isinstance(export.options.since, int):
            await self._refuse_beyond(export.options.since, accounts)
        with ExportFolder(export.out).locked() as folder:
            if export.fresh is not None:
                names = {table.projection for table in tables}
                await wait_until_fresh(self._owner, accounts, names, export.fresh)
            for account in accounts:
                async with aclosing(self._account(export, folder, account)) as results:
                    async for result in results:
                        yield result

    async def _account(
        self, export: FolderExport, folder: ExportFolder, account: int
    ) -> AsyncGenerator[TableExportResult, None]:
        log = await self._owner.fetchval(query("get_first_event"), account)
        folder.manifest.refuse_other_log(account, log)
        for left in reversed(range(_TRIES)):
            tables = await self._tables(export)
            try:
                async with Snapshot.of(self._url, account, tables) as snapshot:
                    for table in tables:
                        yield await self._table(export, folder, snapshot, table, log)
                return
            except TablesReplaced:
                if not left:
                    raise

    async def _table(
        self,
        export: FolderExport,
        folder: ExportFolder,
        snapshot: Snapshot,
        table: Table,
        log: str | None,
    ) -> TableExportResult:
        fresh = snapshot.freshness(table)
        if fresh.doubtful:
            self._warn(fresh)
        bar = self._bar(f"{table.name} of account {snapshot.account}")
        return await TableExport(snapshot, table, folder, export.options, bar, log).run()

    async def _tables(self, export: FolderExport) -> Sequence[Table]:
        return choose(await list_tables(self._owner, self._definitions), export.table)

    async def _refuse_beyond(self, since: int, accounts: Sequence[int]) -> None:
        """Refuses a position beyond the log: a typing error, or a position of another log."""
        heads = [fresh.head for fresh in await list_freshness(self._owner, accounts)]
        if since > (longest := max(heads, default=0)):
            whose = "the log ends" if len(accounts) == 1 else "the longest log ends"
            raise BeyondTheLog(f"--since {since}: {whose} at {longest}")

    async def _accounts(self, export: FolderExport) -> list[int]:
        if export.account is not None:
            return [export.account]
        return [row[0] for row in await self._owner.fetch(query("list_accounts"))]


async def wait_until_fresh(
    connection: Connection, accounts: Sequence[int], projections: set[str], seconds: float
) -> None:
    """Waits until projections have applied all events that the logs have now.

    Args:
        seconds: How long to wait at most.

    Raises:
        ExportBehind: They have not by then; the message names the slowest one.
    """
    heads = {fresh.account_id: fresh.head for fresh in await list_freshness(connection, accounts)}
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        behind = [
            fresh
            for fresh in await list_freshness(connection, accounts)
            if fresh.projection in projections and fresh.position < heads[fresh.account_id]
        ]
        if not behind:
            return
        if asyncio.get_running_loop().time() > deadline:
            slowest = max(behind, key=lambda fresh: fresh.lag_events)
            raise ExportBehind(f"after {seconds:g} s {slowest}")
        await asyncio.sleep(_POLL)
