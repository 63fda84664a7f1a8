"""The time that POST message adds to the model's, with 50 concurrent learners.

The model is the practice tutor, which answers at once, so that all the time is ours: checks, two
durable appends, the turn, the answer. The conversations have 6 to 22 messages. Beside it: one
append to the log under the same load, 50 tasks that append as fast as they can.
"""

import asyncio

from eventstore.connections import connect
from eventstore.running_log import running_log
from service.identity.roster import Enrollment, import_roster
from service.identity.tokens import create_token
from tests.bench.appending import produce
from tests.bench.dialogues import start_dialogue
from tests.bench.load import http_request, run_load
from tests.bench.measuring import SCALE, Row, fresh_database, percentile, scaled
from tests.bench.reading import server
from tests.running import CONVERSATIONS, demo_tokens

LEARNERS = 50
ROUNDS = scaled(4)
MESSAGES = 8
SECONDS = max(6.0 * SCALE, 0.2)
PROCESSES = ("first process of a fresh database", "restarted process")
_NO_MODEL = {"ANTHROPIC_API_KEY": "", "ANTHROPIC_BASE_URL": ""}
_BODY = b'{"message": "I think that the Moon pulls the near side more strongly."}'


async def bench_post(server_url: str) -> list[Row]:
    """The times of both, and their ratio."""
    found: dict[str, tuple[list[float], float]] = {}
    async with fresh_database(server_url) as url:
        await demo_tokens(url)
        for number, process in enumerate(PROCESSES):
            with server("tests.bench.serving", url, **_NO_MODEL) as port:
                users = range(1001 + number * 1000, 2001 + number * 1000, LEARNERS)
                rounds = [await _learners(url, first) for first in users[: ROUNDS + 1]]
                found[process] = await asyncio.to_thread(_measure, port, rounds)
        appends: list[float] = []
        async with running_log(url) as (log, _pool, _notifier):
            await produce(log, LEARNERS, 1.0, [])
            await produce(log, LEARNERS, SECONDS, appends)
    bare = [append * 1000 for append in appends]
    return [
        Row(
            f"POST message, instant model, {LEARNERS} learners, {process}, {name}",
            f"{percentile(times, percent):.1f} ms ({len(times) / seconds:,.0f}/s)",
            f"one durable append {percentile(bare, percent):.1f} ms",
            f"{percentile(times, percent) / percentile(bare, percent):.1f} ×",
            goal,
        )
        for process, (times, seconds) in found.items()
        for name, percent, goal in (("p50", 50.0, "≤ 3 ×"), ("p99", 99.0, "≤ 5 ×"))
    ]


async def _learners(url: str, first: int) -> list[bytes]:
    users = range(first, first + LEARNERS)
    connection = await connect(url)
    await import_roster(
        connection,
        1,
        [
            Enrollment(course_id=1, user_id=u, name=f"Learner {u}", role="learner", status="active")
            for u in users
        ],
    )
    tokens = [await create_token(connection, 1, user) for user in users]
    await connection.close()
    async with running_log(url) as (log, _pool, _notifier):
        for user in users:
            await start_dialogue(log, conversation_id=user, user_id=user, exchanges=2)
    return [
        http_request("POST", f"{CONVERSATIONS}/{user}/messages", token, _BODY)
        for user, token in zip(users, tokens, strict=True)
    ]


def _measure(port: int, rounds: list[list[bytes]]) -> tuple[list[float], float]:
    """The milliseconds of all requests but the first round's, and the seconds that they took."""
    times: list[float] = []
    for requests in rounds:
        measured, bad = run_load(port, requests, LEARNERS, 60.0, MESSAGES)
        assert bad == 0, f"{bad} of {len(measured)} requests failed"
        times += measured
    times = times[LEARNERS * MESSAGES :]
    return times, sum(times) / 1000 / LEARNERS
