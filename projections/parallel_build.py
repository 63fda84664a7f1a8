"""Fills a new generation with several ranges at once, where their order does not matter."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import asyncpg

from eventstore.connections import Connection, connect
from projections.definitions import Definition
from projections.fault_search import apply_range
from sql.loader import query

STEP = 50_000
"""Positions that one transaction of a rebuild covers."""

GENTLE = 1
"""Ranges at a time that leave a service its processors."""

FAST = 2
"""Ranges at a time while no service needs the database."""

SETTINGS = {"work_mem": "64MB"}

_TRIES = 10
_TIMEOUT = 600.0

Progress = Callable[[int, int], None]
"""Called with how many positions are done, of how many."""

T = TypeVar("T")
Range = tuple[int, int, int]
"""Account, position before the first, last position."""


def silent(_done: int, _total: int) -> None:
    """Shows nothing."""


class Pace(asyncio.Semaphore):
    """Held by each range while it is applied, by all rebuilds that share it.

    Args:
        jobs: How many ranges are applied at once.
        step: Positions in a range at most.
    """

    def __init__(self, jobs: int, step: int = STEP) -> None:
        super().__init__(jobs)
        self.jobs = jobs
        self.step = step


async def build_ranges(
    url: str, definition: Definition, generation: int, pace: Pace, progress: Progress = silent
) -> None:
    """Applies all that the logs have by now to a generation that is being built.

    Args:
        url: The owner's connection URL.
        pace: Each of its jobs has a connection of its own.
    """
    async with _connected(url) as connection:
        heads = {
            account: await connection.fetchval(query("get_log_head"), account)
            for (account,) in await connection.fetch(query("list_accounts"))
        }
        waiting = _ranges(heads, pace.step)
        total = sum(heads.values())
        done = 0

        async def worker() -> None:
            nonlocal done
            async with _connected(url) as connected:
                for account, after, upto in waiting:
                    async with pace:
                        build = partial(_build, connected, definition.name, generation, account)
                        await apply_range(definition, account, after, upto, build)
                    done += upto - after
                    progress(done, total)

        async with aclosing(results_as_completed([worker() for _ in range(pace.jobs)])) as ended:
            async for _ in ended:
                pass
        for account, head in heads.items():
            await connection.execute(
                query("pass_ranges"), definition.name, generation, account, head
            )


async def results_as_completed(work: Iterable[Coroutine[Any, Any, T]]) -> AsyncGenerator[T, None]:
    """The results of work that is done at the same time; where one part fails, the others end."""
    tasks = [asyncio.create_task(part) for part in work]
    try:
        for done in asyncio.as_completed(tasks):
            yield await done
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _ranges(heads: dict[int, int], step: int) -> Iterator[Range]:
    for account, head in heads.items():
        for after in range(0, head, step):
            yield account, after, min(after + step, head)


async def _build(
    connection: Connection, name: str, generation: int, account: int, after: int, upto: int
) -> None:
    """Applies a range; retries it where the database ends it for a deadlock with another range."""
    for left in reversed(range(_TRIES)):
        try:
            await connection.execute(
                query("build_range"), name, generation, account, after, upto, timeout=_TIMEOUT
            )
            return
        except asyncpg.DeadlockDetectedError:
            if not left:
                raise


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Connection]:
    connection = await connect(url, settings=SETTINGS)
    try:
        yield connection
    finally:
        await connection.close()
