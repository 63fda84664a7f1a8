"""Turns that last: who may do what meanwhile, who goes away, and who cleans up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from eventstore.dialogue_events import (
    MessagePosted,
    OpeningRequested,
    ReplyCompleted,
    TurnReleased,
    TurnTakenOver,
)
from eventstore.envelope import Actor, Metadata, NewEvent
from eventstore.notifier import Notifier
from eventstore.running_log import POOL_SIZE, running_log
from service.timing import Timing
from tests.databases import cloned_database
from tests.fake_anthropic import FakeAnthropic, Speech, Stall
from tests.running import (
    CONVERSATIONS,
    LEARNER,
    TEACHER,
    Service,
    eventually,
    fetch_value,
    messages_of,
    running_service,
)
from tests.service.histories import assert_lawful, types_of
from tests.service.kept_messages import assert_kept, without_ids

pytestmark = pytest.mark.asyncio(loop_scope="module")

REPLY = "What do you already know about it?"
GONE = 1
"""An owner's number that no process has."""

NOT_FOUND = {"error": "Resource Not Found"}
PIECE = "What do you "
OPEN_TURNS = "SELECT count(*) FROM read.pending_turns"
STOPPING = {
    "error": "the service is being restarted; try again in a moment",
    "code": "service_stopping",
    "retryable": True,
}
COMPLETED = (200, {"message": "Conversation completed successfully"})
BUSY_CONNECTIONS = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'
"""
HANG_UP = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest_asyncio.fixture(loop_scope="module")
async def fresh_url(server_url: str) -> AsyncIterator[str]:
    """A database for a service of the test's own."""
    async with cloned_database(server_url) as url:
        yield url


@asynccontextmanager
async def stalled(fake: FakeAnthropic, request: Any) -> AsyncIterator["asyncio.Task[Any]"]:
    """A request whose turn is under way until the provider is told to go on."""
    waiting = fake.stalled
    fake.script(Stall(after=1))
    task = asyncio.create_task(request)
    try:
        await fake.wait_until(lambda: fake.stalled == waiting + 1)
        yield task
    finally:
        fake.release()
        await asyncio.gather(task, return_exceptions=True)
        await fake.wait_until(lambda: fake.stalled == waiting)


def sweeping(seconds: float) -> Timing:
    return Timing(assessment=60.0, sweep=seconds)


def turn_of(service_log: list[Any]) -> str:
    """The id of the turn that was asked for last."""
    asked = [e for e in service_log if isinstance(e.event, MessagePosted | OpeningRequested)]
    turn_id: str = asked[-1].event.turn_id
    return turn_id


async def in_progress(service: Service) -> dict[str, Any]:
    """What everybody else is told during the turn that was asked for last."""
    return {
        "error": "a reply is under way",
        "code": "turn_in_progress",
        "retryable": True,
        "turn_id": turn_of(await service.history()),
    }


async def test_a_client_that_goes_away_does_not_stop_the_turn(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    """Its connection breaks while the model talks; the reply lands in the log all the same."""
    conversation = await service.open(learner)
    fake.script(Stall(after=1))
    writer = await send(service, messages_of(conversation["id"]), "Hello?", learner)
    await fake.wait_until(lambda: fake.stalled == 1)
    writer.transport.abort()
    shown = await service.active(learner)  # the service has noticed by now
    assert shown["messages"][-1]["text"] == "Hello?"
    fake.release()
    await eventually(lambda: is_last(service, "reply_completed"))
    reply = (await service.history())[-1]
    assert reply.content == REPLY
    shown = await service.active(learner)
    assert [m["text"] for m in shown["messages"][-2:]] == ["Hello?", REPLY]


async def test_a_client_that_goes_away_does_not_stop_the_opening(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    fake.script(Stall(after=1))
    writer = await send(service, CONVERSATIONS, None, learner)
    await fake.wait_until(lambda: fake.stalled == 1)
    writer.transport.abort()
    assert await service.active(learner) == {}
    fake.release()
    await eventually(lambda: is_last(service, "conversation_started"))
    assert (await service.active(learner))["messages"][1]["text"] == REPLY


async def test_a_turn_that_fails_unheard_is_recorded_too(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    conversation = await service.open(learner)
    half = Speech(pieces=("Half ", "a "), stop_reason="refusal")
    fake.script(Stall(after=2, speech=half))
    writer = await send(service, messages_of(conversation["id"]), "Hello?", learner)
    await fake.wait_until(lambda: fake.stalled == 1)
    writer.transport.abort()
    shown = await service.active(learner)  # the service has noticed by now
    assert shown["messages"][-1]["text"] == "Hello?"
    fake.release()
    await eventually(lambda: is_last(service, "reply_failed"))
    assert (await service.history())[-1].content == "Half a "
    active = await service.active(learner)
    assert_kept(conversation, active, "Hello?", "model_refused", retryable=False)


async def test_during_a_reply_all_else_is_told_to_wait(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    """A second message and a new conversation, by the turn's id; the reply then comes as ever."""
    conversation = await service.open(learner)
    path = messages_of(conversation["id"])
    async with stalled(fake, service.say(conversation["id"], "First", learner)) as first:
        waiting = await in_progress(service)
        second = {"json": {"message": "Second"}}
        await service.refused(409, waiting, "POST", path, user=learner, **second)
        await service.refused(409, waiting, "POST", CONVERSATIONS, user=learner)
        fake.release()
        status, body = await first
    assert status == 200
    assert [m["text"] for m in body["messages"][2:]] == ["First", REPLY]
    status, body = await service.say(conversation["id"], "Second", learner)
    assert status == 200
    assert [m["text"] for m in body["messages"][4:]] == ["Second", REPLY]


async def test_during_an_opening_all_else_is_told_to_wait(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    """The old conversation is still shown, and takes no message."""
    old = await service.open(learner)
    async with stalled(fake, service.call("POST", CONVERSATIONS, user=learner)) as opening:
        waiting = await in_progress(service)
        hello = {"json": {"message": "Hello"}}
        await service.refused(409, waiting, "POST", messages_of(old["id"]), user=learner, **hello)
        await service.refused(409, waiting, "POST", CONVERSATIONS, user=learner)
        assert await service.active(learner) == old
        fake.release()
        status, new = await opening
    assert status == 201
    assert await service.active(learner) == new


async def test_during_the_first_opening_there_is_no_conversation_yet(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    async with stalled(fake, service.call("POST", CONVERSATIONS, user=learner)):
        requested = (await service.history())[-1].event
        assert isinstance(requested, OpeningRequested)
        assert await service.active(learner) == {}
        coming = requested.conversation_id
        hello = {"json": {"message": "Hello"}}
        await service.refused(404, NOT_FOUND, "POST", messages_of(coming), user=learner, **hello)
        await service.refused(404, NOT_FOUND, "DELETE", f"{CONVERSATIONS}/{coming}", user=learner)


async def test_a_message_is_shown_while_its_reply_is_under_way(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    """Under the id and the time that it keeps."""
    conversation = await service.open(learner)
    async with stalled(fake, service.say(conversation["id"], "Is it the Moon?", learner)) as task:
        shown = await service.active(learner)
        fake.release()
        _, body = await task
    assert shown["messages"] == body["messages"][:-1]
    assert shown["messages"][-1]["text"] == "Is it the Moon?"


@pytest.mark.parametrize("by_teacher", [False, True], ids=["by its learner", "by a teacher"])
async def test_a_conversation_that_is_completed_in_mid_turn_gets_no_reply_any_more(
    by_teacher: bool, service: Service, fake: FakeAnthropic, learner: int
) -> None:
    """The reply is stopped first, and whoever waited for it is told so."""
    conversation = await service.open(learner)
    known = await service.head()
    async with stalled(fake, service.say(conversation["id"], "Wait, what", learner)) as waiting:
        deleted = await service.call(
            "DELETE",
            f"{CONVERSATIONS}/{conversation['id']}",
            user=TEACHER if by_teacher else learner,
        )
        assert deleted == COMPLETED
        assert await service.active(learner) == {}
        fake.release()
        status, body = await waiting
    assert status == 409
    assert without_ids(body) == {
        "error": "the reply was stopped",
        "code": "turn_cancelled",
        "retryable": True,
    }
    events = await service.history(known)
    of_turn = [e for e in types_of(events) if "assess" not in e]
    assert of_turn == ["message_posted", "reply_cancelled", "conversation_completed"]


async def test_after_a_cancelled_turn_the_next_conversation_does_not_wait_for_its_reply(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    """And the late reply does not end up in the new conversation."""
    old = await service.open(learner)
    async with stalled(fake, service.say(old["id"], "Never mind", learner)):
        await service.call("DELETE", f"{CONVERSATIONS}/{old['id']}", user=learner)
        new = await service.open(learner)
    assert await service.active(learner) == new
    events = [e for e in await service.history() if e.stream == f"dialogue-1-{learner}"]
    assert types_of(events)[-1] == "conversation_started"


async def test_completing_the_old_conversation_does_not_stop_an_opening(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    old = await service.open(learner)
    async with stalled(fake, service.call("POST", CONVERSATIONS, user=learner)) as opening:
        path = f"{CONVERSATIONS}/{old['id']}"
        assert await service.call("DELETE", path, user=learner) == COMPLETED
        assert await service.active(learner) == {}
        fake.release()
        status, new = await opening
    assert status == 201
    assert await service.active(learner) == new


async def test_no_connection_is_held_while_the_model_talks(
    service: Service, fake: FakeAnthropic
) -> None:
    """With more turns under way than the pool has connections, everything else works."""
    learners = [await service.enroll() for _ in range(POOL_SIZE + 8)]
    opened = await asyncio.gather(*(service.open(learner) for learner in learners))
    fake.default = Stall(after=1)
    try:
        turns = [
            asyncio.create_task(service.say(conversation["id"], "Hello", learner))
            for learner, conversation in zip(learners, opened, strict=True)
        ]
        await fake.wait_until(lambda: fake.stalled == len(turns), within=20)
        for learner in learners:
            assert (await service.active(learner))["messages"][-1]["text"] == "Hello"
        # Other work of the service may be seen at it; that of the turns would stay.
        await eventually(lambda: is_value(service, BUSY_CONNECTIONS, 0))
    finally:
        fake.default = "good"
        fake.release()
    assert {status for status, _ in await asyncio.gather(*turns)} == {200}


async def test_turns_go_on_when_every_connection_to_the_database_breaks(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    """What is recorded goes over new connections, and so does the next message."""
    conversation = await service.open(learner)
    async with stalled(fake, service.say(conversation["id"], "Hello", learner)) as waiting:
        assert await fetch_value(service.database_url, HANG_UP) >= 2
        fake.release()
        status, _ = await waiting
    assert status == 200
    await eventually(lambda: answers(service, learner))
    assert (await service.say(conversation["id"], "And again", learner))[0] == 200


async def test_the_log_of_all_these_tests_is_lawful(service: Service) -> None:
    await service.open(await service.enroll())
    assert_lawful(await service.history())


async def test_a_service_that_stops_lets_turns_end_and_takes_no_more_requests(
    fresh_url: str, fake: FakeAnthropic
) -> None:
    async with running_service(fresh_url, anthropic_base_url=fake.url, stop_timeout=20) as service:
        conversation = await service.open()
        async with stalled(fake, service.say(conversation["id"], "Last words")) as waiting:
            stop(service)
            await eventually(lambda: refuses(service))
            fake.release()
            status, body = await waiting
    assert (status, body["messages"][-1]["text"]) == (200, REPLY)
    assert types_of(await service.history())[-1] == "reply_completed"


@pytest.mark.parametrize("opening", [False, True], ids=["message", "opening"])
async def test_a_service_that_must_stop_leaves_the_turns_that_last_to_the_next_one(
    opening: bool, fresh_url: str, fake: FakeAnthropic
) -> None:
    """Whoever waits is told to ask again; the next process asks the model anew."""
    async with running_service(fresh_url, anthropic_base_url=fake.url, stop_timeout=0.1) as service:
        conversation = await service.open()
        request = (
            service.call("POST", CONVERSATIONS)
            if opening
            else service.say(conversation["id"], "Hello")
        )
        async with stalled(fake, request) as waiting:
            stop(service)
            status, body = await waiting
    assert (status, without_ids(body, kept=False)) == (503, STOPPING)
    log = await service.history()
    assert_lawful(log, ended=False)
    released = log[-1]
    assert isinstance(released.event, TurnReleased)
    assert (released.event.kind, released.content) == ("opening" if opening else "message", PIECE)
    assert released.event.attempt_records[0].outcome == "cancelled"
    async with running_service(fresh_url, anthropic_base_url=fake.url) as restarted:
        end = "conversation_started" if opening else "reply_completed"
        await eventually(lambda: is_last(restarted, end))
        active = await restarted.active()
    assert (active["id"] == conversation["id"]) != opening
    assert active["messages"][-1]["text"] == REPLY
    log = await service.history()
    assert_lawful(log)
    assert log[-1].event.takeovers == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("opening", [False, True], ids=["a message", "a new conversation"])
async def test_an_abandoned_turn_is_taken_over_by_whoever_asks_next(
    opening: bool, fresh_url: str, fake: FakeAnthropic
) -> None:
    """At once, long before the sweeper comes by; what is asked next waits for its reply."""
    async with running_service(
        fresh_url, sweeping(3600), anthropic_base_url=fake.url, stop_timeout=20
    ) as service:
        conversation = await service.open()
        await leave_turn(service, owner=GONE)
        waiting = await in_progress(service)
        path = CONVERSATIONS if opening else messages_of(conversation["id"])
        asked: Any = {"json": {} if opening else {"message": "Anybody there?"}}
        fake.script(Stall(after=1))
        status, body = await service.call("POST", path, **asked)
        assert (status, body | waiting) == (409, body)
        await fake.wait_until(lambda: fake.stalled == 1)
        fake.release()
        await eventually(lambda: is_last(service, "reply_completed"))
        active = await service.active()
        assert [m["text"] for m in active["messages"][2:]] == ["Lost on the way", REPLY]
        assert (await service.call("POST", path, **asked))[0] == (201 if opening else 200)
        assert_taken_over_once(await service.history())


async def test_many_who_ask_at_once_have_an_abandoned_turn_taken_over_once(
    fresh_url: str, fake: FakeAnthropic
) -> None:
    """While one of them records that, it is neither taken once more nor given up by the others."""
    async with running_service(
        fresh_url, sweeping(0.001), anthropic_base_url=fake.url, stop_timeout=20
    ) as service:
        learners = [await service.enroll() for _ in range(5)]
        opened = [await service.open(learner) for learner in learners]
        fake.default = Stall(after=1)
        try:
            await asyncio.gather(*(leave_turn(service, GONE, learner) for learner in learners))
            answers = await asyncio.gather(
                *(
                    service.say(conversation["id"], "Anybody there?", learner)
                    for conversation, learner in zip(opened, learners, strict=True)
                    for _ in range(8)
                )
            )
            assert {status for status, _ in answers} == {409}
            await fake.wait_until(lambda: fake.stalled == len(learners))
        finally:
            fake.default = "good"
            fake.release()
        await eventually(lambda: is_value(service, OPEN_TURNS, 0))
        log = await service.history()
    assert_lawful(log)
    assert types_of(log).count("turn_taken_over") == len(learners)
    assert types_of(log).count("reply_completed") == len(learners)


async def test_an_abandoned_turn_is_closed_by_who_completes_the_conversation(
    fresh_url: str,
) -> None:
    async with running_service(fresh_url, sweeping(3600)) as service:
        conversation = await service.open()
        await leave_turn(service, owner=GONE)
        path = f"{CONVERSATIONS}/{conversation['id']}"
        assert await service.call("DELETE", path) == COMPLETED
        log = await service.history()
    assert types_of(log)[-1] == "conversation_completed"
    assert_lawful(log)


async def test_an_abandoned_turn_is_taken_over_by_the_sweeper_when_nobody_comes(
    fresh_url: str,
) -> None:
    async with running_service(fresh_url, sweeping(0.02)) as service:
        await service.open()
        await leave_turn(service, owner=GONE)
        await eventually(lambda: is_last(service, "reply_completed"))
        assert_taken_over_once(await service.history())


async def test_an_abandoned_turn_is_taken_over_before_a_new_process_answers(
    fresh_url: str,
) -> None:
    async with running_service(fresh_url, sweeping(3600)) as service:
        await service.open()
        await leave_turn(service, owner=GONE)
    async with running_service(fresh_url, sweeping(3600)) as service:
        await eventually(lambda: is_last(service, "reply_completed"))
        assert_taken_over_once(await service.history())


async def test_a_turn_that_was_abandoned_three_times_has_no_reply(
    fresh_url: str, fake: FakeAnthropic
) -> None:
    """Whatever ends each process may be the question itself. Its message stays."""
    async with running_service(fresh_url, sweeping(3600)) as service:
        conversation = await service.open()
        await leave_turn(service, owner=GONE)
        await leave_turn_again(service, 1)
        await leave_turn_again(service, 2)
    async with running_service(fresh_url, sweeping(3600), anthropic_base_url=fake.url) as service:
        assert_kept(conversation, await service.active(), "Lost on the way", "abandoned")
        log = await service.history()
    assert_lawful(log)
    assert log[-1].metadata.actor == Actor(None, "system")


async def test_a_turn_is_taken_over_where_there_is_room(
    fresh_url: str, fake: FakeAnthropic
) -> None:
    """Within the replies that a process may have under way; until then it waits."""
    settings: Any = {"anthropic_base_url": fake.url, "max_replies": 1}
    async with running_service(fresh_url, sweeping(0.02), **settings) as service:
        learner = await service.enroll()
        conversation = await service.open(learner)
        await service.open()
        async with stalled(fake, service.say(conversation["id"], "Long", learner)):
            await leave_turn(service, owner=GONE)
            await asyncio.sleep(0.3)  # sweeps go by
            assert "turn_taken_over" not in types_of(await service.history())
            fake.release()
        await eventually(lambda: is_last(service, "reply_completed"))
        await eventually(lambda: is_value(service, OPEN_TURNS, 0))
        assert_taken_over_once(await service.history())


async def test_sweepers_that_race_take_a_turn_over_once(fresh_url: str) -> None:
    """Two services sweep as fast as they can; many turns are abandoned at once."""
    async with (
        running_service(fresh_url, sweeping(0.001)) as one,
        running_service(fresh_url, sweeping(0.001)) as other,
    ):
        learners = [await one.enroll() for _ in range(8)]
        await asyncio.gather(*(one.open(learner) for learner in learners))
        await asyncio.gather(*(leave_turn(one, GONE, learner) for learner in learners))
        await eventually(lambda: is_value(one, OPEN_TURNS, 0))
        log = await other.history()
    assert_lawful(log)
    kinds = types_of(log)
    assert kinds.count("turn_taken_over") == kinds.count("reply_completed") == len(learners)


async def test_the_turn_of_a_living_process_is_left_alone_until_its_deadline(
    fresh_url: str,
) -> None:
    """A turn has an owner in another process: it is in progress, then the owner goes."""
    notifier = Notifier(fresh_url)
    async with running_service(fresh_url, sweeping(0.02)) as service:
        conversation = await service.open()
        await notifier.start()
        try:
            await leave_turn(service, notifier.owner)
            waiting = await in_progress(service)
            said = {"json": {"message": "Now?"}}
            path = messages_of(conversation["id"])
            for _ in range(10):  # sweeps go by in between
                await service.refused(409, waiting, "POST", path, **said)
        finally:
            await notifier.close()
        await eventually(lambda: is_last(service, "reply_completed"))
        assert (await service.say(conversation["id"], "Now?"))[0] == 200


@pytest.mark.parametrize("seconds", [0.02, 3600], ids=["by the sweeper", "by the next message"])
async def test_a_turn_past_its_deadline_is_taken_over_though_its_owner_lives(
    seconds: float, fresh_url: str
) -> None:
    notifier = Notifier(fresh_url)
    async with running_service(fresh_url, sweeping(seconds)) as service:
        conversation = await service.open()
        await notifier.start()
        try:
            await leave_turn(service, notifier.owner, deadline=timedelta(seconds=-1))
            if seconds > 1:  # it waits, or comes after the reply
                assert (await service.say(conversation["id"], "Now?"))[0] in (200, 409)
            await eventually(lambda: is_last(service, "reply_completed"))
        finally:
            await notifier.close()
        assert_taken_over_once(await service.history())


async def leave_turn(
    service: Service,
    owner: int,
    user: int = LEARNER,
    deadline: timedelta = timedelta(hours=1),
) -> None:
    """Records a message whose turn nobody of this service will end."""
    conversation = await service.active(user)
    posted = MessagePosted(
        conversation_id=conversation["id"],
        turn_id=str(uuid4()),
        message_id=str(uuid4()),
        course_id=1,
        experience_id=1,
        user_id=user,
        model="any",
        owner=owner,
        deadline_at=datetime.now(UTC) + deadline,
    )
    event = NewEvent(event=posted, content="Lost on the way", subject_id=user)
    metadata = Metadata(actor=Actor(user, "learner"))
    async with running_log(service.database_url) as (log, _pool, _notifier):
        await log.append(1, f"dialogue-1-{user}", [event], expected=None, metadata=metadata)


async def leave_turn_again(service: Service, number: int) -> None:
    """Records that a process took the turn over which is gone too."""
    asked = (await service.history())[-number].event
    assert isinstance(asked, MessagePosted)
    taken = TurnTakenOver(
        conversation_id=asked.conversation_id,
        turn_id=asked.turn_id,
        kind="message",
        owner=GONE + number,
        deadline_at=asked.deadline_at,
        number=number,
    )
    metadata = Metadata(actor=Actor(None, "system"))
    stream = f"dialogue-1-{asked.user_id}"
    async with running_log(service.database_url) as (log, _pool, _notifier):
        await log.append(1, stream, [NewEvent(event=taken)], expected=None, metadata=metadata)


def assert_taken_over_once(log: list[Any]) -> None:
    """The turn that was left is taken over, by the system, and answered, and no other is."""
    assert_lawful(log)
    left = next(e for e in log if e.content == "Lost on the way")
    taken = [e for e in log if isinstance(e.event, TurnTakenOver)]
    assert [(e.event.turn_id, e.event.number, e.metadata.actor) for e in taken] == [
        (left.event.turn_id, 1, Actor(None, "system"))
    ]
    replies = [e for e in log if isinstance(e.event, ReplyCompleted) and e.event.takeovers]
    assert [(e.event.turn_id, e.event.takeovers) for e in replies] == [(left.event.turn_id, 1)]
    assert replies[0].metadata.causation_id == str(left.event_id)


def stop(service: Service) -> None:
    assert service.stop is not None
    service.stop()


async def refuses(service: Service) -> bool:
    try:
        await service.request("GET", "/healthz", user=None)
    except aiohttp.ClientConnectorError:
        return True
    return False


async def answers(service: Service, user: int) -> bool:
    status, _ = await service.call("GET", CONVERSATIONS, user=user)
    assert status in {200, 503}
    return status == 200


async def is_last(service: Service, *types: str) -> bool:
    return types_of(await service.history())[-1] in types


async def is_value(service: Service, statement: str, value: object) -> bool:
    return bool(await fetch_value(service.database_url, statement) == value)


async def send(service: Service, path: str, message: str | None, user: int) -> asyncio.StreamWriter:
    """Sends a POST and leaves the answer where it is."""
    host, port = service.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    body = msgspec.json.encode({"message": message} if message else {})
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {service.tokens[str(user)]}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
    return writer
