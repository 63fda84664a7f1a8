"""Measures statements in rows and pages, at three sizes and in three states of statistics."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import zip_longest
from typing import Any, NamedTuple

import msgspec

from eventstore.append_batch import arguments, new_pending_append
from eventstore.connections import KEPT_PLANS, Connection, Role, connect
from eventstore.guards import Guard, Quota
from eventstore.log import EventLog
from eventstore.running_log import running_log
from projections import projection_runner as runner
from projections.definitions import Definition
from projections.generations import advance
from sql.loader import query
from tests.eventstore.building import ACCOUNT, BY_LEARNER, Learner, Step, experience_created
from tests.projections.analysing import together

SIZES = (500, 5_000, 50_000)
"""Events in the log, one after the other in the same database."""

STATES = ("never analyzed", "analyzed while empty", "analyzed while full")

EXCHANGES = 8
LONG = 1_000
"""Messages of the one long conversation."""

_ROWS = """
SELECT coalesce(sum(s.seq_tup_read + coalesce(s.idx_tup_fetch, 0)), 0)::bigint
  FROM pg_stat_xact_user_tables s
"""
_SPARE = 10**6
_LIVE = "SELECT generation FROM projections WHERE name = $1 AND state = 'live'"
_EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) "
_ROSTER = (
    "INSERT INTO courses SELECT 1, 1 WHERE $1::int <= $2 ON CONFLICT DO NOTHING",
    "INSERT INTO users SELECT 1, n, 'Learner' FROM generate_series($1::int, $2) n",
    "INSERT INTO enrollments"
    " SELECT 1, 1, n, 'learner', 'active' FROM generate_series($1::int, $2) n",
    "INSERT INTO tokens (account_id, user_id, token_hash)"
    " SELECT 1, n, sha256(n::text::bytea) FROM generate_series($1::int, $2) n",
    "INSERT INTO identities SELECT 1, 'user-' || n, n FROM generate_series($1::int, $2) n",
)
"""From one user to another."""
_NO_AUTOVACUUM = """
SELECT format('ALTER TABLE %s SET (autovacuum_enabled = off)', c.oid::regclass) FROM pg_class c
 WHERE c.relkind = 'r' AND c.relnamespace >= 16384 OR c.relnamespace = 'public'::regnamespace
   AND c.relkind = 'r'
"""


class Cost(NamedTuple):
    """Rows that were read from tables, and pages of tables and indexes that were touched."""

    rows: int
    pages: int


Costs = dict[str, Cost]


class School:
    """A database that grows, with conversations of ten messages and one of a thousand.

    Args:
        state: One of `STATES`.
    """

    def __init__(self, owner: Connection, url: str, state: str) -> None:
        self.owner = owner
        self.state = state
        self.long = Learner(1, 1, conversation_ids=iter((1, _SPARE + 1)))
        self.usual: list[Learner] = []
        self._url = url
        self._head = 0

    async def found(self) -> None:
        """Disables autovacuum, and analyzes the empty tables if the state says so."""
        for (statement,) in await self.owner.fetch(_NO_AUTOVACUUM):
            await self.owner.execute(statement)
        if self.state == "analyzed while empty":
            await self.owner.execute("ANALYZE")

    async def grow(self, size: int) -> None:
        """Appends until the log has so many events."""
        known = len(self.usual) + 2
        async with running_log(self._url) as (log, _, _):
            await self._talk(log, size)
        registrar = await connect(self._url, settings=KEPT_PLANS)
        for statement in _ROSTER:
            await registrar.execute(statement, known, len(self.usual) + 1)
        await registrar.close()
        if self.state == "analyzed while full":
            await self.owner.execute("ANALYZE")

    async def _talk(self, log: EventLog, size: int) -> None:
        if not self._head:
            for number in range(1, 21):
                await self._append(log, experience_created(number))
        if size >= SIZES[1] and not self.long.replies:
            await self._append(log, *_conversation(self.long, LONG // 2))
        while self._head < size:
            number = len(self.usual) + 2
            ids = iter((number, _SPARE + number))
            learner = Learner(number, 1 + number % 20, conversation_ids=ids)
            self.usual.append(learner)
            await self._append(log, *_conversation(learner, EXCHANGES))

    async def _append(self, log: EventLog, *steps: Step) -> None:
        step = together(steps)
        stored = await log.append(
            ACCOUNT, step.stream, step.events, expected=None, metadata=BY_LEARNER
        )
        self._head = stored[-1].position


def guard_of(learner: Learner) -> Guard:
    """A guard with all fields, which holds, for a learner of the school."""
    return Guard(
        position=_SPARE,
        streams=(f"learner-{learner.user_id}", "experience-7"),
        token_id=learner.user_id - 1,
        subject=f"user-{learner.user_id}",
        user_id=learner.user_id,
        course_id=1,
        role="learner",
        limit=Quota(user_id=learner.user_id, kind="message", most=_SPARE),
    )


def _conversation(learner: Learner, exchanges: int) -> list[Step]:
    """One that stays active, with a message that was not answered and a vote."""
    steps = [learner.asks_to_open(), learner.opens_with_more()]
    for _ in range(exchanges):
        steps += [learner.says(), learner.is_answered(covers=[])]
    steps += [learner.says(), learner.is_not_answered()]
    return [*steps, learner.gets_feedback(learner.replies[-1])]


class Session:
    """A session as the service has them, whose plans are kept.

    Args:
        connection: With `KEPT_PLANS`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._prepared: set[str] = set()

    async def append(self, *steps: Step, guards: Sequence[Guard] = ()) -> Cost:
        """What one batch costs, with an item for each of these steps. It is rolled back.

        Args:
            guards: One for each step, or none.
        """
        items = [
            new_pending_append(ACCOUNT, step.stream, None, step.events, BY_LEARNER, guard)
            for step, guard in zip_longest(steps, guards)
        ]
        return await self._cost(_EXPLAIN + query("append_events"), *arguments(items))

    async def read(self, name: str, values: str) -> Cost:
        """What a statement of `sql/queries` costs, with these values as SQL. It is rolled back."""
        if name not in self._prepared:
            await self._connection.execute(f"PREPARE {name} AS {query(name)}")
            self._prepared.add(name)
        called = f"{name}({values})" if values else name
        return await self._cost(f"{_EXPLAIN} EXECUTE {called}")

    async def advance(self, known: Definition, *steps: Step) -> Cost:
        """What it costs a projection to follow the last of these appends. All is rolled back."""
        async with self._taken_back():
            await self._append_each(steps[:-1])
            await self.follow(known)
            await self._append_each(steps[-1:])
            generation = await self._connection.fetchval(_LIVE, known.name)
            values = known.name, generation, ACCOUNT, len(steps[-1].events)
            return await self._cost(_EXPLAIN + query("advance_projection"), *values)

    async def follow(self, known: Definition) -> None:
        """Brings a projection up to the head."""
        generation = await self._connection.fetchval(_LIVE, known.name)
        reached, head = -1, 0
        while reached < head:
            reached, head = await advance(
                self._connection, known.name, generation, ACCOUNT, runner.STEP
            )

    async def rehearse(self, *steps: Step) -> None:
        """Appends one step after the other, and rolls all back, so that plans are made."""
        async with self._taken_back():
            await self._append_each(steps)

    async def _append_each(self, steps: Sequence[Step]) -> None:
        for step in steps:
            item = new_pending_append(ACCOUNT, step.stream, None, step.events, BY_LEARNER)
            await self._connection.fetch(query("append_events"), *arguments([item]))

    async def _cost(self, explain: str, *values: Any) -> Cost:
        """The cost of a second execution, since the first may have to make plans."""
        async with self._taken_back():
            await self._connection.fetch(explain, *values)
        async with self._taken_back():
            before = await self._connection.fetchval(_ROWS)
            plan = msgspec.json.decode(await self._connection.fetchval(explain, *values))[0]["Plan"]
            rows = await self._connection.fetchval(_ROWS) - before
        return Cost(rows, plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])

    @asynccontextmanager
    async def _taken_back(self) -> AsyncIterator[None]:
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            yield
        finally:
            await transaction.rollback()


@asynccontextmanager
async def session(url: str, role: Role | None) -> AsyncIterator[Session]:
    """A session that has entered the account of the tests."""
    connection = await connect(url, role, KEPT_PLANS)
    try:
        await connection.enter(ACCOUNT)
        yield Session(connection)
    finally:
        await connection.close()


class Part(NamedTuple):
    """Statements that are measured together, in sessions of one role.

    Attributes:
        role: None for the owner.
        rehearse: Has the first session make its plans, on tables that are still empty.
        measure: Gives the costs by name, of the same names or of more than before.
    """

    role: Role | None
    rehearse: Callable[[School, Session], Awaitable[None]]
    measure: Callable[[School, Session], Awaitable[Costs]]


async def measured(school: School, url: str, *parts: Part) -> dict[str, list[Cost]]:
    """The costs at each size, in sessions that began on empty tables and in new ones."""
    found: dict[str, list[Cost]] = {}
    await school.found()
    async with AsyncExitStack() as stack:
        early = [await stack.enter_async_context(session(url, part.role)) for part in parts]
        for part, one in zip(parts, early, strict=True):
            await part.rehearse(school, one)
        for size in SIZES:
            await school.grow(size)
            for part, one in zip(parts, early, strict=True):
                async with session(url, part.role) as late:
                    for of in (one, late):
                        for name, cost in (await part.measure(school, of)).items():
                            found.setdefault(name, []).append(cost)
    return found


def growing(found: dict[str, list[Cost]]) -> dict[str, list[Cost]]:
    """Statements that read more rows in a larger database, or more pages than its indexes explain.

    An index is one page high in the smallest, and two in the largest.
    """
    return {
        name: costs
        for name, costs in found.items()
        if len({cost.rows for cost in costs}) > 1
        or max(cost.pages for cost in costs) > 2 * min(cost.pages for cost in costs) + 4
    }
