"""Compares a live projection with the rows that a definition makes of the log."""

from collections.abc import Iterator
from typing import Any

import msgspec

from eventstore.connections import Connection
from eventstore.readable_numbers import counted
from projections.definitions import Definition
from projections.errors import NotInstalled
from projections.generations import advance, building, create
from projections.parallel_build import STEP, Progress, silent
from projections.status import projection_status
from sql.loader import query

SAMPLES = 10
"""Differing rows of a table that are listed at most."""

_TIMEOUT = 3600.0

Row = dict[str, Any]


class Sample(msgspec.Struct, frozen=True):
    """A row that differs, with its key. Of rows that may hold texts there is only the key."""

    key: Row
    old: Row | None = None
    new: Row | None = None


class TableComparison(msgspec.Struct, frozen=True):
    """The differences of a table's rows, in the columns that both versions have.

    Attributes:
        standing: "both", or "old" or "new" if only that version has the table.
        added, removed: Columns of only the new, or only the old version.
    """

    relation: str
    standing: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    only_old: int
    only_new: int
    changed: int
    samples: tuple[Sample, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        differences = (self.added, self.removed, self.only_old, self.only_new, self.changed)
        return self.standing == "both" and not any(differences)

    def lines(self) -> Iterator[str]:
        """The differences as lines for people."""
        if self.standing != "both":
            yield f"{self.relation}: only the {self.standing} version has it"
            return
        for word, columns in (("new", self.added), ("gone", self.removed)):
            if columns:
                yield f"{self.relation}: columns {word}: {', '.join(columns)}"
        yield (
            f"{self.relation}: {counted(self.only_old, 'row')} only in the old, {self.only_new} "
            f"only in the new, {self.changed} changed"
        )
        for sample in self.samples:
            yield f"  {_sample_line(sample)}"


class Comparison(msgspec.Struct, frozen=True):
    """The comparison of a projection's two versions, up to the same position of each log."""

    name: str
    old_version: int
    new_version: int
    positions: int
    tables: tuple[TableComparison, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return all(table.equal for table in self.tables)

    def lines(self) -> Iterator[str]:
        """The differences as lines for people."""
        yield (
            f"{self.name}: the live v{self.old_version} and v{self.new_version} of this program, "
            f"over {counted(self.positions, 'event')}: {'equal' if self.equal else 'different'}"
        )
        for table in self.tables:
            if not table.equal:
                yield from table.lines()


async def compare(url: str, definition: Definition, progress: Progress = silent) -> Comparison:
    """Builds a generation beside the live one, compares both at one position, and drops it.

    Args:
        url: The owner's connection URL.

    Raises:
        NotInstalled: The projection has no live generation.
        RebuildUnderWay, ProjectionRefused: The new version cannot be built.
    """
    async with building(url, definition) as connection:
        live = await _live(connection, definition.name)
        generation = await create(connection, definition)
        await _fill(connection, definition, generation, progress)
        async with connection.transaction(isolation="repeatable_read"):
            positions = await _fill(connection, definition, generation, silent)
            rows = await connection.fetch(
                query("compare_generations"),
                definition.name,
                live["generation"],
                generation,
                SAMPLES,
                timeout=_TIMEOUT,
            )
    return Comparison(
        definition.name,
        live["version"],
        definition.version,
        positions,
        tuple(_table(dict(row)) for row in rows),
    )


async def _live(connection: Connection, name: str) -> Any:
    for row in await connection.fetch(query("list_generations")):
        if row["name"] == name and row["state"] == "live":
            return row
    raise NotInstalled(f"the database has no projection {name} yet: there is nothing to compare")


async def _fill(
    connection: Connection, definition: Definition, generation: int, progress: Progress
) -> int:
    """Advances the new generation to the live one's positions; returns their sum."""
    live = [
        status
        for status in await projection_status(connection)
        if (status.name, status.state) == (definition.name, "live")
    ]
    total = sum(status.position for status in live)
    done = 0
    for status in live:
        name, account = definition.name, status.account_id
        reached, _ = await advance(connection, name, generation, account, 0)
        while reached < status.position:
            step = min(STEP, status.position - reached)
            reached, _ = await advance(connection, name, generation, account, step)
            progress(done + reached, total)
        done += reached
    return done


def _table(row: Row) -> TableComparison:
    return msgspec.convert({**row, "samples": msgspec.json.decode(row["samples"])}, TableComparison)


def _sample_line(sample: Sample) -> str:
    key = ", ".join(f"{name} {value}" for name, value in sample.key.items())
    if sample.old is None or sample.new is None:
        where = "" if sample.old is sample.new else " only in the "
        return key + where + (where and ("old" if sample.new is None else "new"))
    changes = (
        f"{name} {sample.old[name]} → {sample.new[name]}"
        for name in sample.new
        if sample.old[name] != sample.new[name]
    )
    return f"{key}: {', '.join(changes)}"
