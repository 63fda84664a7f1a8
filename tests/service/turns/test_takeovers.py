"""A process dies, stops or freezes in the middle of turns: every accepted message is answered."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from eventstore.connections import Connection, connect
from eventstore.dialogue_events import ConversationStarted, ReplyCompleted
from service.conversations.turn_stream import LAST_ID
from tests.databases import cloned_database
from tests.fake_anthropic import FakeAnthropic, Stall
from tests.running import (
    CONVERSATIONS,
    Service,
    ServiceProcess,
    client,
    demo_tokens,
    eventually,
    messages_of,
    service_process,
)
from tests.service.histories import assert_lawful
from tests.service.reading_streams import (
    RESTARTED,
    StreamEvent,
    pieces_of,
    reading,
    stream_of,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(900),
]

ROUNDS = int(os.environ.get("COLLOQUY_TAKEOVER_ROUNDS", "1"))
"""How often a process ends in the middle of the turns of all learners."""

LEARNERS = 10
REPLY = "What do you already know about it?"
LIVENESS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = $1
"""
HELD_APPENDS = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%append%'
"""

End = Callable[["Scene", ServiceProcess], Awaitable[None]]


class Scene(msgspec.Struct):
    """The provider, the process that goes on, and the settings of those that do not."""

    fake: FakeAnthropic
    heir: Service
    environment: dict[str, str]
    owner: Connection


@pytest_asyncio.fixture(loop_scope="module")
async def scene(server_url: str) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(cloned_database(server_url))
        fake = await stack.enter_async_context(FakeAnthropic())
        tokens = await demo_tokens(url)
        environment = {
            "DATABASE_URL": url,
            "ANTHROPIC_BASE_URL": fake.url,
            "COLLOQUY_STOP_TIMEOUT": "0.2",
        }
        process = await stack.enter_async_context(service_process(environment))
        heir = await stack.enter_async_context(client(process.url, tokens, url))
        owner = await connect(url)
        stack.push_async_callback(owner.close)
        yield Scene(fake, heir, environment, owner)


async def kill(_scene: Scene, doomed: ServiceProcess) -> None:
    await doomed.kill()


async def stop(_scene: Scene, doomed: ServiceProcess) -> None:
    assert await doomed.stop() == 0


async def kill_before_the_commit(scene: Scene, doomed: ServiceProcess) -> None:
    """The model has answered; the appends of the replies wait."""
    async with scene.owner.transaction():
        await scene.owner.execute("SELECT FROM log_heads FOR UPDATE")
        scene.fake.release()
        await eventually(lambda: appends_wait(scene))
        await doomed.kill()


async def appends_wait(scene: Scene) -> bool:
    look = await connect(scene.environment["DATABASE_URL"])
    try:
        return bool(await look.fetchval(HELD_APPENDS))
    finally:
        await look.close()


ENDS: dict[str, tuple[Stall, End]] = {
    "killed before the first words": (Stall(), kill),
    "killed in the middle": (Stall(after=1), kill),
    "killed before the commit": (Stall(after=1), kill_before_the_commit),
    "stopped in the middle": (Stall(after=1), stop),
}


class Asking(msgspec.Struct):
    """A learner who asks at the process that ends, and goes on at the other one."""

    scene: Scene
    learner: int
    number: int
    opening: bool

    @property
    def path(self) -> str:
        """Where they ask."""
        return CONVERSATIONS if self.opening else messages_of(self.number)

    @property
    def options(self) -> dict[str, Any]:
        """Of the request, the same each time."""
        return {
            "user": self.learner,
            "json": {} if self.opening else {"message": "Why?"},
            "headers": {"Idempotency-Key": f"key-{self.number}"},
        }

    async def plain(self, at: Service) -> None:
        """Until the connection is lost or the process stops; then with the same key elsewhere."""
        try:
            status, body = await at.call("POST", self.path, **self.options)
        except aiohttp.ClientError:
            status = 503
        if status == 503:
            status, body = await self.scene.heir.call("POST", self.path, **self.options)
        assert status == (201 if self.opening else 200), body
        self.assert_answered(body)
        assert await self.scene.heir.active(self.learner) == body
        again = await self.scene.heir.call("POST", self.path, **self.options)
        assert again == (status, body)

    async def streamed(self, at: Service) -> None:
        """Until the stream breaks off; then after its last event elsewhere."""
        events: list[StreamEvent] = []
        async with reading(at, "POST", self.path, **self.options) as (_, stream):
            try:
                while not events or events[-1].name not in ("done", "error"):
                    events.append(await stream.next())
            except (aiohttp.ClientError, AssertionError, TimeoutError):
                pass
        last = max((event.id or 0 for event in events), default=0)
        if last == LAST_ID:
            self.assert_answered(events[-1].data)
            return
        async with reading(
            self.scene.heir,
            "GET",
            stream_of(events[0]),
            user=self.learner,
            after=last,
            first=None,
        ) as (_, resumed):
            rest = await resumed.rest()
        if any(event.name == "restarted" for event in rest):
            assert rest[0].id == RESTARTED
            assert "".join(pieces_of(rest)) in ("", REPLY), "the deltas since then are the reply"
        assert rest[-1].name == "done", rest[-1]
        self.assert_answered(rest[-1].data)

    def assert_answered(self, body: Any) -> None:
        """One reply, and nothing that has none."""
        said = [(m["role"], m["text"]) for m in body["messages"][1:]]
        if self.opening:
            assert said == [("Assistant", REPLY)]
        else:
            assert said[1:] == [("User", "Why?"), ("Assistant", REPLY)]
        assert not any("state" in message for message in body["messages"])


async def asking(scene: Scene, opening: bool) -> list[Asking]:
    learners = [await scene.heir.enroll() for _ in range(LEARNERS)]
    opened = await asyncio.gather(*(scene.heir.open(learner) for learner in learners))
    return [
        Asking(scene, learner, one["id"], opening)
        for learner, one in zip(learners, opened, strict=True)
    ]


@pytest.mark.parametrize("opening", [False, True], ids=["messages", "openings"])
@pytest.mark.parametrize("how", ENDS)
async def test_every_accepted_question_is_answered_once(
    how: str, opening: bool, scene: Scene
) -> None:
    """By whom the clients ask next; no key is answered in two ways."""
    behaviour, end = ENDS[how]
    for _ in range(ROUNDS):
        people = await asking(scene, opening)
        async with (
            service_process(scene.environment) as process,
            client(process.url, scene.heir.tokens) as doomed,
        ):
            doomed.tokens = scene.heir.tokens
            scene.fake.default = behaviour
            tasks = [
                asyncio.create_task(person.streamed(doomed) if n % 2 else person.plain(doomed))
                for n, person in enumerate(people)
            ]
            await scene.fake.wait_until(lambda: scene.fake.stalled == LEARNERS)
            scene.fake.default = "good"
            await end(scene, process)
            scene.fake.release()
            await asyncio.gather(*tasks)
    await assert_all_answered(scene.heir)


async def test_a_process_that_was_frozen_answers_nothing_twice(scene: Scene) -> None:
    """It lost its turns meanwhile, and its clients get the reply that is recorded."""
    for _ in range(ROUNDS):
        people = await asking(scene, opening=False)
        async with (
            service_process(scene.environment) as process,
            client(process.url, scene.heir.tokens) as frozen,
        ):
            frozen.tokens = scene.heir.tokens
            scene.fake.default = Stall(after=1)
            tasks = [
                asyncio.create_task(frozen.call("POST", person.path, **person.options))
                for person in people
            ]
            await scene.fake.wait_until(lambda: scene.fake.stalled == LEARNERS)
            scene.fake.default = "good"
            process.signal(signal.SIGSTOP)
            name = f"colloquy on {process.url.removeprefix('http://')}"
            assert await scene.owner.fetchval(LIVENESS, name)
            answers = await asyncio.gather(
                *(scene.heir.call("POST", person.path, **person.options) for person in people)
            )
            process.signal(signal.SIGCONT)
            scene.fake.release()
            assert await asyncio.gather(*tasks) == answers
            for person, (status, body) in zip(people, answers, strict=True):
                assert status == 200
                person.assert_answered(body)
    await assert_all_answered(scene.heir)


async def assert_all_answered(heir: Service) -> None:
    """The log is lawful, no turn is open, and every one of these was answered once."""
    log = await heir.history()
    assert_lawful(log)
    answers = [e.event for e in log if isinstance(e.event, ReplyCompleted | ConversationStarted)]
    assert len(answers) == 2 * LEARNERS * ROUNDS
