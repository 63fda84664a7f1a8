"""Rebuilds projections from the log while the service runs."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing

from eventstore.connections import Connection
from projections.definitions import Definition
from projections.fault_search import apply_range
from projections.generations import advance, building, create
from projections.parallel_build import (
    GENTLE,
    Pace,
    Progress,
    build_ranges,
    results_as_completed,
    silent,
)
from projections.view_swap import LONG_SWAP_TIMEOUT, SWAP_TIMEOUT, change_views, short_lock_wait
from sql.loader import query


async def rebuild(
    url: str,
    definition: Definition,
    progress: Progress = silent,
    pace: Pace | None = None,
    swap_timeout: float = SWAP_TIMEOUT,
) -> int:
    """Builds a new generation of a projection from the log and makes it the live one.

    Appends and readers go on meanwhile; appends wait for the last few milliseconds, in which
    an inline projection catches up and the views change over. A query that holds the old views
    is waited for: of a projection that handlers read for less than a minute, of others for a
    quarter of an hour.

    Args:
        url: The owner's connection URL.
        pace: How many ranges are applied at once; the gentle one if none is given. Only a
            projection whose order is "any" has use for more than one.
        swap_timeout: Seconds for which queries that hold the views of an inline projection are
            waited for.

    Returns:
        How many positions were read.

    Raises:
        RebuildUnderWay, SwapTimedOut, ProjectionRefused: What was live before still is.
    """
    pace = pace or Pace(GENTLE)
    async with building(url, definition) as connection:
        generation = await create(connection, definition)
        if definition.order == "any":
            await build_ranges(url, definition, generation, pace, progress)
        done = await _fill(connection, definition, generation, pace, progress)
        async with pace:
            await connection.execute(query("analyze_generation"), definition.name, generation)
        await _swap(connection, definition, generation, pace, swap_timeout)
        return done


async def rebuild_all(
    url: str, definitions: Iterable[Definition], progress: Progress = silent, jobs: int = GENTLE
) -> AsyncIterator[tuple[str, int]]:
    """Rebuilds several projections; yields the name and number of positions of each.

    Args:
        progress: Called with the positions of all of them together.
        jobs: How many ranges are applied at the same time, of one or several projections.

    Raises:
        ProjectionError: As `rebuild`; the projections that were finished before are live.
    """
    pace, slots = Pace(jobs), asyncio.Semaphore(jobs)
    chosen = list(definitions)
    reached = dict.fromkeys((definition.name for definition in chosen), 0)

    async def one(definition: Definition) -> tuple[str, int]:
        def add_progress(done: int, total: int) -> None:
            reached[definition.name] = done
            progress(sum(reached.values()), total * len(chosen))

        async with slots:
            return definition.name, await rebuild(url, definition, add_progress, pace)

    async with aclosing(results_as_completed([one(definition) for definition in chosen])) as built:
        async for name, events in built:
            yield name, events


async def _fill(
    connection: Connection,
    definition: Definition,
    generation: int,
    pace: Pace,
    progress: Progress,
) -> int:
    """Applies all ranges up to each log's current head, one transaction a range."""
    done = 0
    for (account,) in await connection.fetch(query("list_accounts")):

        async def apply(after: int, upto: int, account: int = account) -> tuple[int, int]:
            step = upto - after
            return await advance(connection, definition.name, generation, account, step)

        reached, head = await apply(0, 0)
        done += reached
        while reached < head:
            before, upto = reached, min(reached + pace.step, head)
            async with pace:
                reached, head = await apply_range(definition, account, before, upto, apply)
            done += reached - before
            progress(done, await connection.fetchval(query("count_events")))
    return done


async def _swap(
    connection: Connection, definition: Definition, generation: int, pace: Pace, seconds: float
) -> None:
    name, inline = definition.name, definition.mode == "inline"

    async def swap() -> None:
        await _fill(connection, definition, generation, pace, silent)
        async with short_lock_wait(connection):
            if inline:
                await connection.execute(query("lock_appends"))
            for account in await connection.fetch(query("list_accounts")):
                reached, head = -1, 0
                while reached < head:
                    reached, head = await advance(
                        connection, name, generation, account[0], pace.step
                    )
            await connection.execute(query("publish_generation"), name, generation)

    await change_views(
        connection,
        name,
        swap,
        seconds if inline else LONG_SWAP_TIMEOUT,
        f"the rebuilt {name} could not be swapped in",
    )
