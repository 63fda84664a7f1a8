"""One run: start everything, talk under faults, settle, and check."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from eventstore.connections import connect
from eventstore.database_errors import DATABASE_ERRORS
from service.identity.roster import Enrollment, Role, import_roster
from service.identity.tokens import create_token
from tests.fake_anthropic import FakeAnthropic
from tests.running import demo_tokens, eventually, fetch_value
from tests.soak.caller import Caller
from tests.soak.faults import PAUSE, Injector
from tests.soak.invariants import FOLLOWERS_BEHIND, OPEN_TURNS, check_all
from tests.soak.journal import Journal, Place, Violation
from tests.soak.learners import Tab
from tests.soak.processes import Postgres, Slot, running_postgres, running_slots
from tests.soak.provider import Provider
from tests.soak.teachers import Teacher
from tests.soak.walker import KnownDialogue, Walker

PLACES = (Place(1, 1), Place(2, 3))
TABS = 2
"""Tabs that each learner has open."""

SERVICE = {
    "COLLOQUY_MAX_ATTEMPTS": "2",
    "COLLOQUY_RETRY_PAUSE": "0.05",
    "COLLOQUY_REPLY_TIMEOUT": "8",
    "COLLOQUY_STALL_TIMEOUT": "2",
    "COLLOQUY_STOP_TIMEOUT": "1",
    "COLLOQUY_MAX_REPLIES": "24",
    # Hours of a few learners are more than the days of many.
    "COLLOQUY_MAX_CREATES": "1000000",
    "COLLOQUY_MAX_MESSAGES": "1000000",
    "COLLOQUY_MAX_EVALUATIONS": "1000000",
}

_FIRST_LEARNER = 5_001
_FIRST_TEACHER = 9_001
_PROGRESS = 5.0
_SETTLING = 120.0

Say = Callable[[str], None]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A run. `pause`: seconds between two faults, at least and at most."""

    seconds: float
    seed: int
    learners: int
    pause: tuple[float, float] = PAUSE


class Summary(msgspec.Struct, kw_only=True):
    """What a run did, by kind."""

    actions: dict[str, int]
    answers: dict[str, dict[str, int]]
    moods: dict[str, int]
    faults: dict[str, int]
    checked: dict[str, int]


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """The processes, the provider and the users of a run."""

    plan: Plan
    postgres: Postgres
    slots: list[Slot]
    fake: FakeAnthropic
    provider: Provider
    journal: Journal
    tabs: list[Tab]
    teachers: list[Teacher]

    @property
    def walkers(self) -> list[Walker]:
        """All simulated users."""
        return [*self.tabs, *self.teachers]


async def soak(plan: Plan, say: Say) -> Summary:
    """Carries out a run.

    Args:
        say: Gets a line on the progress every few seconds.

    Raises:
        Violation: The first invariant that does not hold.
    """
    for name in ("aiohttp.server", "asyncio"):  # they log every connection that we break
        logging.getLogger(name).setLevel(logging.CRITICAL)
    async with _stage(plan) as stage:
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [
                    group.create_task(_report(stage, say)),
                    group.create_task(_release(stage.fake)),
                ]
                await _talk(stage)
                say("settling")
                await _settle(stage)
                for helper in helpers:
                    helper.cancel()
        except BaseExceptionGroup as errors:
            error = _first(errors)
            error.add_note(await _last_faults(stage.slots))
            raise error from errors
        say("checking")
        for slot in stage.slots:
            await slot.stop()
        logs = [log for slot in stage.slots for log in slot.logs]
        checked = await check_all(stage.postgres.url, stage.journal, stage.provider, logs)
        return _summary(stage, checked)


@asynccontextmanager
async def _stage(plan: Plan) -> AsyncIterator[Stage]:
    async with running_postgres() as postgres, FakeAnthropic() as fake:
        await demo_tokens(postgres.url)
        tokens = await _enroll(postgres.url, plan.learners)
        environment = SERVICE | {"DATABASE_URL": postgres.url, "ANTHROPIC_BASE_URL": fake.url}
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        async with (
            running_slots(environment) as slots,
            aiohttp.ClientSession(connector=connector, timeout=timeout) as http,
        ):
            journal = Journal()
            caller = Caller(http, tokens, journal)
            dialogues = [
                [KnownDialogue(user=_FIRST_LEARNER + n, place=place) for place in PLACES]
                for n in range(plan.learners)
            ]
            seed = str(plan.seed)
            tabs = [
                Tab(f"{of[0].user}-{n}", caller, journal, slots, seed, of)
                for of in dialogues
                for n in range(TABS)
            ]
            teachers = [
                Teacher(f"teacher-{n}", caller, journal, slots, seed, _FIRST_TEACHER + n, at_place)
                for n, at_place in enumerate(map(list, zip(*dialogues, strict=True)))
            ]
            yield Stage(
                plan=plan,
                postgres=postgres,
                slots=slots,
                fake=fake,
                provider=Provider(fake, f"{seed} provider"),
                journal=journal,
                tabs=tabs,
                teachers=teachers,
            )


async def _enroll(url: str, learners: int) -> dict[int, str]:
    """Tokens by user: learners are in both courses, teachers in one each."""
    rows = [
        _enrollment(place.course, _FIRST_LEARNER + n, "learner")
        for place in PLACES
        for n in range(learners)
    ]
    rows += [
        _enrollment(place.course, _FIRST_TEACHER + n, "teacher") for n, place in enumerate(PLACES)
    ]
    connection = await connect(url)
    try:
        await import_roster(connection, 1, rows)
        return {row.user_id: await create_token(connection, 1, row.user_id) for row in rows}
    finally:
        await connection.close()


def _enrollment(course: int, user: int, role: Role) -> Enrollment:
    return Enrollment(course_id=course, user_id=user, name="New", role=role, status="active")


async def _talk(stage: Stage) -> None:
    """All users act during faults of every kind."""
    over = asyncio.Event()
    injector = Injector(
        stage.journal,
        stage.postgres,
        stage.slots,
        f"{stage.plan.seed} faults",
        stage.plan.pause,
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(injector.run(over))
        for walker in stage.walkers:
            group.create_task(walker.walk(over))
        await asyncio.sleep(stage.plan.seconds)
        await injector.had_all.wait()
        over.set()


async def _settle(stage: Stage) -> None:
    """Without faults, all turns end, all keys get an answer, and all learners talk on."""
    stage.provider.fair = True
    url = stage.postgres.url
    await _until_none(url, OPEN_TURNS, "no turn is left open")
    async with asyncio.TaskGroup() as group:
        for walker in stage.walkers:
            group.create_task(walker.settle())
    async with asyncio.TaskGroup() as group:
        for tab in stage.tabs[::TABS]:
            group.create_task(tab.talk_on())
    await _until_none(url, OPEN_TURNS, "no turn is left open")
    await _until_none(url, FOLLOWERS_BEHIND, "the followed views catch up")


async def _until_none(url: str, statement: str, invariant: str) -> None:
    async def none_is_left() -> bool:
        return not await fetch_value(url, statement)

    try:
        await eventually(none_is_left, within=_SETTLING)
    except TimeoutError:
        raise Violation(invariant, f"not within {_SETTLING:.0f} s") from None
    except DATABASE_ERRORS as error:
        raise Violation("the database answers unless it is killed", error) from error


async def _release(fake: FakeAnthropic) -> None:
    """Releases stalled replies, some before and some after the service's timeout."""
    while True:
        await asyncio.sleep(3.0)
        fake.release()


async def _report(stage: Stage, say: Say) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(_PROGRESS)
        exchanges = stage.journal.exchanges
        answers = sum(len(exchange.answers) for exchange in exchanges)
        say(
            f"{time.monotonic() - began:4.0f} s: {len(exchanges)} requests, "
            f"{answers} answers, {len(stage.journal.reads)} reads, "
            f"{sum(stage.journal.faults.values())} faults, "
            f"up: {', '.join(slot.name for slot in stage.slots if slot.up) or 'none'}; "
            f"{_busy(stage.walkers)}"
        )


def _busy(walkers: list[Walker]) -> str:
    doing = Counter(walker.doing for walker in walkers)
    return ", ".join(f"{number} {what}" for what, number in doing.most_common(4))


async def _last_faults(slots: list[Slot]) -> str:
    """The last errors in the services' logs."""
    for slot in slots:
        await slot.stop()
    report = ["The services' last errors:"]
    for slot in slots:
        lines = [line for log in slot.logs for line in log.splitlines()]
        errors = [line for line in lines if '"level":"error"' in line or '"status":500' in line]
        report += [f"{slot.name}:", *errors[-10:]]
    return "\n".join(report)


def _first(errors: BaseExceptionGroup[Any]) -> BaseException:
    """The first violation in a group, else its first error."""
    violations, _ = errors.split(Violation)
    group: BaseException = violations or errors
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


def _summary(stage: Stage, checked: dict[str, int]) -> Summary:
    journal = stage.journal
    return Summary(
        actions=dict(journal.actions.most_common()),
        answers={kind: dict(of.most_common()) for kind, of in sorted(journal.answers.items())},
        moods=dict(stage.provider.moods.most_common()),
        faults=dict(journal.faults.most_common()),
        checked=checked,
    )
