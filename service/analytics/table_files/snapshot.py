"""A snapshot of one account's tables, as an analyst may read them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Self

import asyncpg
import msgspec

from eventstore.connections import Connection, connect
from eventstore.sealing.copy_reader import FULL_SCAN_TIMEOUT
from service.analytics.errors import TablesReplaced
from service.analytics.freshness import AccountFreshness, list_freshness
from service.analytics.table_files.tables import (
    EXACT,
    Column,
    Rows,
    Table,
    list_columns,
)
from sql.loader import query

_BATCH = 20_000
"""Rows that are fetched together; also the largest row group of a file."""


class DaySummary(msgspec.Struct, frozen=True):
    """The rows of a day (UTC), or the rows without a day: their number and last change.

    Attributes:
        position: Position of the last event that changed one of them.
    """

    date: date | None
    rows: int
    position: int


class Snapshot:
    """One account's tables.

    Args:
        connection: A connection of an analyst's role, in a transaction with one snapshot.
        freshness: The freshness of the account's projections.
    """

    def __init__(
        self, connection: Connection, account: int, freshness: Sequence[AccountFreshness]
    ) -> None:
        self._connection = connection
        self.account = account
        self._freshness = {fresh.projection: fresh for fresh in freshness}

    @classmethod
    @asynccontextmanager
    async def of(cls, url: str, account: int, tables: Sequence[Table]) -> AsyncIterator[Self]:
        """The tables of an account.

        They are locked first, so that no rebuild replaces them: the transaction would see no rows
        of a table that is newer than its snapshot.

        Args:
            url: The owner's connection URL.

        Raises:
            TablesReplaced: A table was replaced since the tables were listed.
        """
        connection = await connect(url, "colloquy_analyst")
        try:
            await connection.enter(account)
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                await _lock(connection, tables)
                freshness = await list_freshness(connection, [account])
                snapshot = cls(connection, account, freshness)
                if any(snapshot.freshness(table).version != table.version for table in tables):
                    raise TablesReplaced
                yield snapshot
        finally:
            await connection.close()

    def freshness(self, table: Table) -> AccountFreshness:
        """How far the table is behind the log."""
        return self._freshness[table.projection]

    async def columns(self, table: Table) -> list[Column]:
        """The table's columns."""
        return await list_columns(self._connection, table.name)

    async def days(self, table: Table, columns: Sequence[Column]) -> list[DaySummary]:
        """The days for which the table has rows."""
        statement = (await self._statements(table, columns))["survey"]
        rows = await self._connection.fetch(statement, self.account, timeout=FULL_SCAN_TIMEOUT)
        return [DaySummary(*row) for row in rows]

    async def rows(
        self, table: Table, columns: Sequence[Column], days: Sequence[DaySummary]
    ) -> AsyncIterator[Rows]:
        """The rows of these days in batches, ordered by day and key.

        The first value of each row is its day.
        """
        statement = (await self._statements(table, columns))["rows"]
        dates = [day.date for day in days if day.date is not None]
        undated = any(day.date is None for day in days)
        cursor = await self._connection.cursor(
            statement, self.account, dates, undated, timeout=FULL_SCAN_TIMEOUT
        )
        while batch := await cursor.fetch(_BATCH, timeout=FULL_SCAN_TIMEOUT):
            yield batch

    async def _statements(self, table: Table, columns: Sequence[Column]) -> asyncpg.Record:
        row = await self._connection.fetchrow(
            query("write_export_statements"),
            table.name,
            table.day,
            next((column.type for column in columns if column.name == table.day), None),
            [column.name for column in columns],
            [column.name for column in columns if column.type not in EXACT],
            [column.name for column in sorted(columns, key=lambda c: c.key or 0) if column.key],
        )
        assert row is not None
        return row


async def _lock(connection: Connection, tables: Sequence[Table]) -> None:
    try:
        for table in tables:
            await connection.execute(table.lock)
    except asyncpg.UndefinedTableError as error:
        raise TablesReplaced from error
