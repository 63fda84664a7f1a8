"""Tries a user-defined projection on the log, in a transaction that is rolled back."""

import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from eventstore.connections import Connection
from eventstore.readable_numbers import counted
from projections.definitions import Definition
from projections.errors import ProjectionRefused
from projections.generations import create_generation, exclusive_build
from projections.sandbox import named_errors, refuse_faults
from sql.loader import query

LONGEST = "20s"
"""What one range may take at most, while it is tried."""

_EVENTS = 1_000
_SINGLE = 300
_ACCOUNTS = 3
_SEED = 7
_ROUNDED = ", with other values: sums of fractions are rounded, those of whole numbers are not"

Cut = tuple[int, int]
"""Position before the first, last position."""
Print = tuple[str, int, str]
"""Table, number of rows, digest of them."""


class TrialResult(msgspec.Struct, frozen=True):
    """What a check has looked at.

    Attributes:
        events: Those that were applied, of all that the logs have.
        rows: By table, how many they made.
    """

    name: str
    events: int
    of: int
    rows: dict[str, int]


class _Trial(msgspec.Struct, frozen=True):
    definition: Definition
    generation: int
    account_id: int


async def run_trial(
    connection: Connection, definition: Definition, files: Sequence[str] = ()
) -> TrialResult:
    """Checks a projection: what it makes and uses, and that its rows depend on the log alone.

    Its statements run over the first and last thousand events of a few accounts: all at once,
    one by one, cut at random, a second time, and shuffled where any order is promised.

    Args:
        connection: The owner's.
        files: The names of the statements' files.

    Raises:
        ProjectionRefused: The message says why.
        RebuildUnderWay: Another process builds it.
    """
    async with exclusive_build(connection, definition.name), _undone(connection):
        await connection.execute(query("limit_statement_time"), LONGEST)
        async with named_errors(definition, files):
            generation = await create_generation(connection, definition)
            await refuse_faults(connection, definition, generation)
        events, rows = 0, dict.fromkeys(definition.tables, 0)
        for row in (await connection.fetch(query("list_accounts")))[:_ACCOUNTS]:
            trial = _Trial(definition, generation, row[0])
            head = await connection.fetchval(query("get_log_head"), row[0])
            for cut in _windows(head):
                async with named_errors(definition, files):
                    for table, number, _ in await _try_window(connection, trial, cut):
                        rows[table] += number
                events += cut[1] - cut[0]
        return TrialResult(
            definition.name, events, await connection.fetchval(query("count_events")), rows
        )


def _windows(head: int) -> Iterator[Cut]:
    """The whole of a short log, the beginning and the end of a long one."""
    if head <= 2 * _EVENTS:
        yield 0, head
    else:
        yield 0, _EVENTS
        yield head - _EVENTS, head


async def _try_window(connection: Connection, trial: _Trial, window: Cut) -> list[Print]:
    whole = await _rows(connection, trial, window, [window])
    for how, cuts in _ways(trial.definition, window):
        rows = await _rows(connection, trial, window, cuts)
        hint = "" if cuts == [window, window] else _ROUNDED
        for (table, number, digest), (_, other_number, other_digest) in zip(
            whole, rows, strict=True
        ):
            if (number, digest) != (other_number, other_digest):
                why = hint if number == other_number else ""
                raise ProjectionRefused(
                    f"{trial.definition.name}: {table} has other rows when {how} "
                    f"(account {trial.account_id}, positions {window[0] + 1} to {window[1]}: "
                    f"{counted(number, 'row')} in one range, {other_number} this way{why})"
                )
    return whole


def _ways(definition: Definition, window: Cut) -> Iterator[tuple[str, list[Cut]]]:
    chance = random.Random(_SEED)  # noqa: S311
    after, upto = window
    near = min(upto, after + _SINGLE)
    single = [(n, n + 1) for n in range(after, near)] + ([(near, upto)] if near < upto else [])
    cuts = _at_random(chance, window)
    yield "the log is cut into single events", single
    yield "the log is cut in other places", cuts
    if definition.order == "any":
        yield "ranges come in another order", chance.sample(cuts, len(cuts))
    if not definition.additive:
        yield "a range comes twice, and additive is not true", [window, window]


def _at_random(chance: random.Random, window: Cut) -> list[Cut]:
    inside = range(window[0] + 1, window[1])
    places = sorted(chance.sample(inside, min(len(inside), 20)))
    return list(zip([window[0], *places], [*places, window[1]], strict=True))


async def _rows(
    connection: Connection, trial: _Trial, window: Cut, cuts: Sequence[Cut]
) -> list[Print]:
    """What the tables hold after these ranges; the ranges are undone."""
    name, generation = trial.definition.name, trial.generation
    async with _undone(connection):
        for cut in cuts:
            await connection.execute(query("try_range"), name, generation, trial.account_id, *cut)
        rows = await connection.fetch(
            query("fingerprint_generation"), name, generation, trial.account_id, window[1]
        )
    for row in rows:
        if row["strays"]:
            raise ProjectionRefused(
                f"{name}: {counted(row['strays'], 'row')} of {row['relation']} with the account_id "
                "of another account, or a position that is not of an event applied"
            )
    return [(row["relation"], row["number"], row["digest"]) for row in rows]


@asynccontextmanager
async def _undone(connection: Connection) -> AsyncIterator[None]:
    """A transaction, or a part of one, of which nothing stays."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        if not connection.is_closed():
            await transaction.rollback()
