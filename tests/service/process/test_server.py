"""The graceful stop: turns end or are ended, each client gets an answer, nobody is stuck."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from eventstore.dialogue_events import (
    AssessmentFailed,
    ConversationStarted,
    ObjectivesAssessed,
    ReplyCompleted,
    TurnReleased,
)
from eventstore.envelope import RecordedEvent
from eventstore.evaluation_events import EvaluationFailed
from service.dialogue.repository import DialogueRepository
from service.http.bodies import read_body
from service.http.connection import HttpConnection
from service.timing import Timing
from service.turns.control import TurnControl
from service.turns.outcome import TurnOutcome, find_end
from tests.databases import cloned_database
from tests.fake_anthropic import Behaviour, FakeAnthropic, Received, Stall, covering
from tests.fake_anthropic_behaviours import evaluation_speech, valid_judgement
from tests.running import (
    CONVERSATIONS,
    TEACHER,
    Service,
    ServiceProcess,
    client,
    demo_tokens,
    eventually,
    fetch_value,
    messages_of,
    running_service,
    service_process,
)
from tests.service.histories import assert_lawful, types_of
from tests.service.raw_http import connected
from tests.service.reading_streams import (
    RESTARTED,
    StreamEvent,
    pieces_of,
    read_stream,
    reading,
    stream_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

PIECE = "What do you "
REPLY = "What do you already know about it?"
RESTARTING = {
    "error": "The tutor is being restarted. Please try again in a moment.",
    "code": "service_stopping",
    "retryable": True,
}
TOO_LATE = RESTARTING | {"error": "the service is being restarted; try again in a moment"}
SAID = {"message": "Hello?"}


class UnderWay(msgspec.Struct, frozen=True):
    """A message, a streamed message, an opening and an evaluation, all half answered.

    `before` has each learner's conversation before that.
    """

    message: "asyncio.Task[tuple[int, Any]]"
    stream: "asyncio.Task[list[StreamEvent]]"
    opening: "asyncio.Task[tuple[int, Any]]"
    evaluation: "asyncio.Task[tuple[int, Any]]"
    before: dict[int, Any]


@pytest_asyncio.fixture(loop_scope="module")
async def url(server_url: str) -> AsyncIterator[str]:
    """A database with the demo, for a service that will be stopped."""
    async with cloned_database(server_url) as database_url:
        yield database_url


def halting(received: Received) -> Behaviour:
    """Evaluations wait, objectives are judged at once."""
    if "covered" in received.body["output_config"]["format"]["schema"]["properties"]:
        return valid_judgement(received)
    return Stall(after=1, speech=evaluation_speech(3))


@asynccontextmanager
async def under_way(service: Service, fake: FakeAnthropic) -> AsyncIterator[UnderWay]:
    learners = [await service.enroll() for _ in range(3)]
    before = {learner: await service.open(learner) for learner in learners}
    speaker, reader, opener = learners
    fake.default, fake.judgement = Stall(after=1), halting
    path = messages_of(before[reader]["id"])
    evaluation = f"{CONVERSATIONS}/{before[opener]['id']}/evaluation"
    tasks = UnderWay(
        message=asyncio.create_task(service.say(before[speaker]["id"], "Hello?", speaker)),
        stream=asyncio.create_task(read_stream(service, "POST", path, user=reader, json=SAID)),
        opening=asyncio.create_task(service.call("POST", CONVERSATIONS, user=opener)),
        evaluation=asyncio.create_task(service.call("POST", evaluation, user=TEACHER)),
        before=before,
    )
    try:
        await fake.wait_until(lambda: (fake.stalled, fake.stalled_judgements) == (3, 1))
        yield tasks
    finally:
        fake.default, fake.judgement = "good", "valid"
        fake.release()
        await fake.wait_until(lambda: (fake.stalled, fake.stalled_judgements) == (0, 0))


def stop(service: Service) -> None:
    assert service.stop is not None
    service.stop()


async def refuses(service: Service) -> bool:
    try:
        await service.request("GET", "/healthz", user=None)
    except aiohttp.ClientConnectorError:
        return True
    return False


async def stopping(service: Service) -> None:
    """Asks the service to stop and waits until it takes no new connections."""
    stop(service)
    await eventually(lambda: refuses(service))


def without_reference(answer: tuple[int, Any]) -> tuple[int, Any]:
    status, body = answer
    assert body.pop("reference_id")
    return status, body


async def test_turns_under_way_end_well_if_there_is_time(url: str, fake: FakeAnthropic) -> None:
    async with (
        running_service(url, anthropic_base_url=fake.url, stop_timeout=20) as service,
        under_way(service, fake) as tasks,
    ):
        await stopping(service)
        fake.release()
        status, body = await tasks.message
        assert (status, body["messages"][-1]["text"]) == (200, REPLY)
        done = (await tasks.stream)[-1]
        assert (done.name, done.data["messages"][-1]["text"]) == ("done", REPLY)
        assert (await tasks.opening)[0] == 201
        status, body = await tasks.evaluation
        assert (status, body["evaluation"]["overall_score"]) == (200, 80)
    log = await service.history()
    assert_lawful(log)
    assert not any("failed" in kind for kind in types_of(log))


async def test_turns_that_last_too_long_are_left_to_the_next_process(
    url: str, fake: FakeAnthropic
) -> None:
    """At SIGTERM; the process ends with code 0, and the next one answers everybody."""
    tokens = await demo_tokens(url)
    environment = {
        "DATABASE_URL": url,
        "ANTHROPIC_BASE_URL": fake.url,
        "COLLOQUY_STOP_TIMEOUT": "0.2",
    }
    async with (
        service_process(environment) as process,
        client(process.url, tokens, url) as service,
    ):
        async with under_way(service, fake) as tasks:
            code = asyncio.create_task(process.stop())
            assert without_reference(await tasks.evaluation) == (503, RESTARTING)
            for task in (tasks.opening, tasks.message):
                assert without_reference(await task) == (503, TOO_LATE)
            accepted, delta, error = await tasks.stream
            assert (accepted.name, delta.data, error.id) == ("accepted", {"text": PIECE}, None)
            assert without_reference((503, error.data)) == (503, TOO_LATE)
            # The provider sees that the calls are gone.
            await fake.wait_until(lambda: (fake.stalled, fake.stalled_judgements) == (0, 0))
            assert await code == 0
        assert "Traceback" not in process.log
        assert "Task was destroyed" not in process.log
        log = await service.history()
    assert_lawful(log, ended=False)
    released = [(e.event, e.content) for e in log if isinstance(e.event, TurnReleased)]
    assert [content for _, content in released] == [PIECE] * 3
    assert all(event.usage for event, _ in released)
    (evaluation,) = [e.event for e in log if isinstance(e.event, EvaluationFailed)]
    assert (evaluation.code, bool(evaluation.usage)) == ("service_stopping", True)
    await assert_all_go_on(url, service, tasks)


async def test_a_request_that_has_not_begun_at_the_stop_is_refused(
    url: str, fake: FakeAnthropic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service has read the body and has not begun the turn: nothing is recorded."""
    held: list[str] = []
    go_on = asyncio.Event()

    async def hold(request: web.Request, kind: type[msgspec.Struct]) -> msgspec.Struct:
        body = await read_body(request, kind)
        held.append(request.path)
        await go_on.wait()
        return body

    async with running_service(url, anthropic_base_url=fake.url) as service:
        learner = await service.enroll()
        conversation = await service.open(learner)
        monkeypatch.setattr("service.conversations.handlers.read_body", hold)
        monkeypatch.setattr("service.evaluations.handlers.read_body", hold)
        evaluation = f"{CONVERSATIONS}/{conversation['id']}/evaluation"
        requests = [
            asyncio.create_task(service.request("POST", CONVERSATIONS, user=learner)),
            asyncio.create_task(service.request("POST", evaluation, user=TEACHER)),
            asyncio.create_task(
                service.request("POST", messages_of(conversation["id"]), user=learner, json=SAID)
            ),
        ]
        await eventually(lambda: len(held) == len(requests))
        head = await service.head()
        await stopping(service)
        go_on.set()
        for response in await asyncio.gather(*requests):
            answer = response.status, await response.json()
            assert without_reference(answer) == (503, TOO_LATE)
            assert response.headers["Retry-After"] == "1"
    assert await service.head() == head


@pytest.mark.parametrize("sent", ["nothing", "an answered request", "half a head"])
async def test_an_idle_connection_ends_at_the_stop(
    sent: str, url: str, fake: FakeAnthropic
) -> None:
    """Not after the turns under way: who sends a request on it learns at once to send it again."""
    async with (
        running_service(url, anthropic_base_url=fake.url, stop_timeout=60) as service,
        under_way(service, fake) as tasks,
        connected(service) as raw,
    ):
        if sent == "half a head":
            await raw.send(b"GET /healthz HTTP/1.1\r\nHo")
        elif sent == "an answered request":
            await raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await raw.answer()).status == 200
        await stopping(service)
        assert await raw.closed() == b""
        assert not tasks.message.done()


@pytest.mark.parametrize("while_turns_end", [True, False], ids=["turns under way", "no turns"])
@pytest.mark.parametrize("sent", ["no byte", "a part", "after 100", "chunks"])
async def test_a_request_whose_body_is_awaited_at_the_stop_is_refused(
    sent: str,
    while_turns_end: bool,
    url: str,
    fake: FakeAnthropic,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At once, not when the turns have ended, and its connection ends with the answer."""
    awaited = asyncio.Event()
    await_body = HttpConnection.awaiting_body

    def awaiting_body(
        connection: HttpConnection, request: web.BaseRequest, seconds: float
    ) -> AbstractAsyncContextManager[None]:
        awaited.set()
        return await_body(connection, request, seconds)

    async with (
        running_service(url, anthropic_base_url=fake.url, stop_timeout=60) as service,
        AsyncExitStack() as stack,
    ):
        learner = await service.enroll()
        path, token = messages_of((await service.open(learner))["id"]), service.tokens[str(learner)]
        if while_turns_end:
            tasks = await stack.enter_async_context(under_way(service, fake))
        raw = await stack.enter_async_context(connected(service))
        monkeypatch.setattr(HttpConnection, "awaiting_body", awaiting_body)
        length = None if sent == "chunks" else 100
        if sent == "chunks":
            await raw.send(b"POST %s HTTP/1.1\r\nHost: x\r\n" % path.encode())
            await raw.send(b"Authorization: Bearer %s\r\n" % token.encode())
            await raw.send(b'Transfer-Encoding: chunked\r\n\r\n7\r\n{"messa\r\n')
        else:
            await raw.ask("POST", path, token, length=length, expect=sent == "after 100")
        if sent == "a part":
            await raw.send(b'{"message": "Hel')
        head = await service.head()
        await awaited.wait()
        await stopping(service)
        answer = await raw.answer()
        assert without_reference((answer.status, answer.json)) == (503, TOO_LATE)
        assert (answer.headers["connection"], answer.headers["retry-after"]) == ("close", "1")
        assert await raw.closed() == b""
        if while_turns_end:
            assert not tasks.message.done()
        assert await service.head() == head


async def test_a_process_that_stops_ends_waiting_requests_but_not_the_turn_of_another_process(
    url: str, fake: FakeAnthropic
) -> None:
    """A resumed stream, and a request that is repeated with its key."""
    async with running_service(url, anthropic_base_url=fake.url) as owner:
        learner = await owner.enroll()
        conversation = (await owner.open(learner))["id"]
        path, key = messages_of(conversation), {"Idempotency-Key": "key"}
        question: Any = {"user": learner, "json": SAID, "headers": key}
        fake.script(Stall(after=1))
        async with reading(owner, "POST", path, **question) as (_, stream):
            accepted = await stream.next()
            await fake.wait_until(lambda: fake.stalled == 1)
            async with running_service(url, anthropic_base_url=fake.url) as other:
                other.tokens = owner.tokens
                waiting = asyncio.create_task(other.call("POST", path, **question))
                async with reading(other, "GET", stream_of(accepted), user=learner) as (_, again):
                    assert await again.next() == accepted
                    stop(other)
                    error = (await again.rest())[-1]
                    assert (error.name, error.data["code"]) == ("error", "service_stopping")
                status, body = await waiting
                assert (status, body["code"]) == (503, "service_stopping")
            fake.release()
            assert (await stream.rest())[-1].name == "done"
        assert (await owner.call("POST", path, **question))[0] == 200
        assert_lawful(await owner.history())


async def test_a_request_that_is_about_to_wait_when_waiting_ends_is_refused_too(
    url: str, fake: FakeAnthropic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is repeated with its key, and looks whether the first one was answered."""
    looking, closed = asyncio.Event(), asyncio.Event()

    async def look(dialogues: DialogueRepository, request: RecordedEvent) -> TurnOutcome | None:
        end = await find_end(dialogues, request)
        looking.set()
        await closed.wait()
        return end

    async def close(control: TurnControl) -> None:
        await close_all(control)
        closed.set()

    close_all = TurnControl.close
    async with running_service(url, anthropic_base_url=fake.url) as owner:
        learner = await owner.enroll()
        path, key = messages_of((await owner.open(learner))["id"]), {"Idempotency-Key": "key"}
        question: Any = {"user": learner, "json": SAID, "headers": key}
        fake.script(Stall(after=1))
        first = asyncio.create_task(owner.call("POST", path, **question))
        await fake.wait_until(lambda: fake.stalled == 1)
        async with running_service(url, anthropic_base_url=fake.url) as other:
            other.tokens = owner.tokens
            monkeypatch.setattr("service.turns.control.find_end", look)
            monkeypatch.setattr(TurnControl, "close", close)
            again = asyncio.create_task(other.call("POST", path, **question))
            await looking.wait()
            stop(other)
            assert without_reference(await again) == (503, TOO_LATE)
        fake.release()
        assert (await first)[0] == 200


async def test_streams_at_other_processes_go_on_where_a_process_stops(
    url: str, fake: FakeAnthropic
) -> None:
    """One of them takes the turn over, and its readers get the whole reply."""
    async with running_service(url, anthropic_base_url=fake.url) as other:
        async with running_service(url, anthropic_base_url=fake.url, stop_timeout=0.1) as owner:
            learner = await owner.enroll()
            other.tokens = owner.tokens
            conversation = (await owner.open(learner))["id"]
            fake.script(Stall(after=1))
            path = messages_of(conversation)
            async with reading(owner, "POST", path, user=learner, json=SAID) as (_, stream):
                accepted = await stream.next()
                await fake.wait_until(lambda: fake.stalled == 1)
                async with reading(other, "GET", stream_of(accepted), user=learner) as (_, again):
                    await again.next()
                    stop(owner)
                    error = (await stream.rest())[-1]
                    assert (error.id, error.data["code"]) == (None, "service_stopping")
                    _, restarted, *deltas, done = await again.rest()
                    assert (restarted.name, restarted.id) == ("restarted", RESTARTED)
                    assert "".join(pieces_of(deltas)) == REPLY
                    assert done.data["messages"][-1]["text"] == REPLY
                async with reading(
                    other, "GET", stream_of(accepted), user=learner, after=2, first=None
                ) as (_, late):
                    assert [e.id for e in await late.rest()][:2] == [RESTARTED, RESTARTED + 1]
        assert (await other.say(conversation, "And now?", learner))[0] == 200


HASTY = Timing(assessment=0.01, owner_check=0.01)


@pytest.mark.parametrize("in_time", [True, False], ids=["in time", "too late"])
async def test_the_stop_waits_for_an_assessment_that_the_reply_did_not_wait_for(
    in_time: bool, url: str, fake: FakeAnthropic
) -> None:
    """Not for longer than for replies; and its outcome is recorded."""
    stop_timeout = 20 if in_time else 0.1
    settings: Any = {"anthropic_base_url": fake.url, "stop_timeout": stop_timeout, "timing": HASTY}
    async with asyncio.timeout(None) as limit, running_service(url, **settings) as service:
        conversation = (await service.open())["id"]
        fake.script_judgements(Stall(after=1, speech=covering((1, 3))))
        assert (await service.say(conversation, "It is the Moon"))[0] == 200
        await stopping(service)
        limit.reschedule(asyncio.get_running_loop().time() + 15)
        if in_time:
            fake.release()
    assert_assessed(await service.history(), in_time)


@pytest.mark.parametrize("in_time", [True, False], ids=["in time", "too late"])
async def test_the_stop_waits_for_an_assessment_of_a_reply_that_ends_during_the_stop(
    in_time: bool, url: str, fake: FakeAnthropic
) -> None:
    """For the rest of its time."""
    settings: Any = {
        "anthropic_base_url": fake.url,
        "stop_timeout": 20 if in_time else 3,
        "timing": HASTY,
    }
    late = msgspec.structs.replace(covering((1, 3)), first_delay=0.5 if in_time else 60)
    async with asyncio.timeout(None) as limit, running_service(url, **settings) as service:
        conversation = (await service.open())["id"]
        fake.script(Stall(after=1))
        fake.script_judgements(late)
        saying = asyncio.create_task(service.say(conversation, "It is the Moon"))
        await fake.wait_until(lambda: fake.stalled == 1)
        await stopping(service)
        limit.reschedule(asyncio.get_running_loop().time() + 15)
        fake.release()
        assert (await saying)[0] == 200
    assert_assessed(await service.history(), in_time)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("--workers", "2")], ids=["one process", "workers"])
async def test_a_second_signal_ends_the_service_at_once(
    arguments: tuple[str, ...], url: str, fake: FakeAnthropic
) -> None:
    """No process is left, and the next service closes the turns that it left open."""
    tokens = await demo_tokens(url)
    environment = {"DATABASE_URL": url, "ANTHROPIC_BASE_URL": fake.url}
    async with (
        service_process(environment, *arguments) as process,
        client(process.url, tokens, url) as service,
    ):
        family = {process.process.pid, *children_of(process)}
        assert len(family) == (3 if arguments else 1)
        async with under_way(service, fake) as tasks:
            process.signal(signal.SIGTERM)
            serving = max(1, len(family) - 1)
            await eventually(lambda: len(process.log_lines("stopping")) == serving)
            assert not tasks.message.done()
            assert await process.stop() == -signal.SIGTERM
            await eventually(lambda: not any(exists(pid) for pid in family))
            left = (tasks.message, tasks.stream, tasks.opening, tasks.evaluation)
            for lost in await asyncio.gather(*left, return_exceptions=True):
                assert isinstance(lost, aiohttp.ClientError), lost
    await assert_all_go_on(url, service, tasks)
    assert "evaluation_failed" in types_of(await service.history())


async def assert_all_go_on(url: str, before: Service, tasks: UnderWay) -> None:
    """A new process answers all learners, what they had asked before and what they ask then."""
    async with running_service(url, HASTY) as restarted:
        restarted.tokens = before.tokens
        await eventually(lambda: is_settled(restarted))
        log = await restarted.history()
        assert_lawful(log)
        taken = [e.event for e in log if isinstance(e.event, ReplyCompleted | ConversationStarted)]
        assert sum(event.takeovers for event in taken) == len(tasks.before)
        for learner in tasks.before:
            active = await restarted.active(learner)
            assert active["messages"][-1]["role"] == "Assistant"
            assert (await restarted.say(active["id"], "Again", learner))[0] == 200


async def is_settled(service: Service) -> bool:
    """No turn is under way."""
    statement = "SELECT count(*) FROM read.pending_turns"
    return bool(await fetch_value(service.database_url, statement) == 0)


def assert_assessed(log: list[RecordedEvent], in_time: bool) -> None:
    """The one message is assessed, or the log says why it is not."""
    assert_lawful(log)
    (assessment,) = [
        e.event for e in log if isinstance(e.event, ObjectivesAssessed | AssessmentFailed)
    ]
    assert isinstance(assessment, ObjectivesAssessed if in_time else AssessmentFailed)


def children_of(process: ServiceProcess) -> set[int]:
    pid = process.process.pid
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def exists(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # init may be slow to collect it
