"""Requests that come again under the same `Idempotency-Key`: one turn, one answer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio

from eventstore.connections import connect
from eventstore.dialogue_events import MessagePosted, OpeningRequested
from eventstore.envelope import Actor, Metadata, NewEvent, RecordedEvent
from eventstore.log import EventLog
from eventstore.notifier import Notifier
from eventstore.running_log import running_log
from service.timing import Timing
from tests.databases import cloned_database
from tests.fake_anthropic import FakeAnthropic, HttpError, Stall, evaluation_speech
from tests.request_keys import hash_of, read_secrets
from tests.running import (
    CONVERSATIONS,
    Service,
    eventually,
    messages_of,
    running_beside,
    running_service,
)
from tests.service.histories import assert_lawful, types_of
from tests.service.kept_messages import without_ids
from tests.service.reading_streams import pieces_of, read_stream, reading, turn_path

pytestmark = pytest.mark.asyncio(loop_scope="module")

REPLY = "What do you already know about it?"
ELSEWHERE = "/api/v1/courses/2/ai_experiences/3/conversations"
KINDS = ("conversation", "message", "cancel", "evaluation")
each_kind = pytest.mark.parametrize("kind", KINDS)
OBJECTIVES = 3
ANOTHER_REQUEST = {"error": "this Idempotency-Key was used for another request"}
MALFORMED = {"error": "Idempotency-Key must be 1 to 255 visible ASCII characters"}
STOPPED = {"error": "the reply was stopped", "code": "turn_cancelled", "retryable": True}
TURN_BEGINS = ("opening_requested", "message_posted", "evaluation_requested")
LIMITED = HttpError(429, "rate_limit_error", retry_after="0")
"""A failure with a pause to be kept, which is over at once."""


class Request(msgspec.Struct, frozen=True):
    """A POST that somebody may send again."""

    user: int
    path: str
    body: dict[str, str] = {}

    @property
    def options(self) -> dict[str, Any]:
        """The rest of the request."""
        return {"user": self.user, "json": self.body}


class Answer(msgspec.Struct, frozen=True):
    """All of an answer that must be the same again."""

    status: int
    body: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        """The body decoded."""
        return msgspec.json.decode(self.body)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(fake: FakeAnthropic, server_url: str) -> AsyncIterator[Service]:
    """A service that asks the fake provider; every test brings people of its own."""
    async with cloned_database(server_url) as url, asking(fake, url) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other(service: Service, fake: FakeAnthropic) -> AsyncIterator[Service]:
    """Another process on the same database, as far as turns can tell."""
    async with asking(fake, service.database_url) as running:
        yield running


def asking(fake: FakeAnthropic, database_url: str) -> Any:
    return running_service(database_url, anthropic_base_url=fake.url, max_attempts=1)


def beside(service: Service, fake: FakeAnthropic, stop: float) -> Any:
    """Another process, which leaves the owners of turns so many seconds to stop them."""
    timing = Timing(assessment=60.0, stop=stop)
    return running_beside(service, timing, anthropic_base_url=fake.url, max_attempts=1)


@pytest_asyncio.fixture(loop_scope="module")
async def user(service: Service, other: Service) -> int:
    """Somebody who may do everything: a teacher of both courses, with a dialogue of their own."""
    return await newcomer(service, other)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[RecordedEvent]:
    """The events that requests found under their keys, in any process, as it goes on."""
    events: list[RecordedEvent] = []
    look: Callable[..., Coroutine[Any, Any, RecordedEvent | None]] = EventLog.find_request

    async def spy(*arguments: Any) -> RecordedEvent | None:
        event = await look(*arguments)
        if event:
            events.append(event)
        return event

    monkeypatch.setattr(EventLog, "find_request", spy)
    return events


async def newcomer(*services: Service) -> int:
    user = await services[0].enroll("teacher")
    await services[0].enroll("teacher", course=2, user=user)
    for service in services[1:]:
        service.tokens[str(user)] = services[0].tokens[str(user)]
    return user


async def send(service: Service, request: Request, key: str, **headers: str) -> Answer:
    response = await service.request(
        "POST", request.path, headers={"Idempotency-Key": key, **headers}, **request.options
    )
    kept = {"Content-Type", "Retry-After", "ETag"}
    return Answer(
        response.status,
        await response.text(),
        {name: value for name, value in response.headers.items() if name in kept},
    )


@asynccontextmanager
async def prepared(
    kind: str, service: Service, fake: FakeAnthropic, user: int
) -> AsyncIterator[Request]:
    """A request of that kind, of a user whose conversation has begun."""
    conversation = (await service.open(user))["id"]
    if kind == "conversation":
        yield Request(user, CONVERSATIONS)
    elif kind == "message":
        yield Request(user, messages_of(conversation), {"message": "Why?"})
    elif kind == "evaluation":
        yield Request(user, f"{CONVERSATIONS}/{conversation}/evaluation")
    else:
        async with stalled(fake, service, user, conversation) as turn_id:
            yield Request(user, turn_path(conversation, turn_id, "cancel"))


@asynccontextmanager
async def stalled(
    fake: FakeAnthropic, service: Service, user: int, conversation: int
) -> AsyncIterator[str]:
    """A turn that is under way until the provider is told to go on, or until it is stopped."""
    fake.script(Stall(after=1))
    path, said = messages_of(conversation), {"message": "What if"}
    async with reading(service, "POST", path, user=user, json=said) as (_, stream):
        accepted = await stream.next()
        await fake.wait_until(lambda: fake.stalled == 1)
        try:
            yield accepted.data["turn_id"]
        finally:
            fake.release()
            await stream.rest()


async def turns_begun(service: Service, after: int) -> list[str]:
    """Types of the events above that position that begin a turn or an evaluation."""
    return [kind for kind in types_of(await service.history(after)) if kind in TURN_BEGINS]


async def with_key(service: Service, key: str) -> list[RecordedEvent]:
    connection = await connect(service.database_url)
    hashes = {hash_of(key, secret) for secret in (await read_secrets(connection)).values()}
    await connection.close()
    return [e for e in await service.history() if e.metadata.idempotency_key in hashes]


@each_kind
async def test_a_request_that_comes_again_is_answered_by_the_first_answer(
    kind: str, service: Service, other: Service, fake: FakeAnthropic, user: int
) -> None:
    """To the byte, on its process and on others, and it is recorded once."""
    key = str(uuid4())
    async with prepared(kind, service, fake, user) as request:
        first = await send(service, request, key)
        assert first.status == (201 if kind == "conversation" else 200)
        head = await service.head()
        for again in (service, other, service):
            assert await send(again, request, key) == first
        assert await service.head() == head
    (recorded,) = await with_key(service, key)
    assert recorded.metadata.actor.id == user
    assert types_of([recorded]) == [
        {
            "conversation": "opening_requested",
            "message": "message_posted",
            "cancel": "reply_cancelled",
            "evaluation": "evaluation_requested",
        }[kind]
    ]


@pytest.mark.parametrize("kind", ["conversation", "message", "evaluation"])
async def test_a_failure_is_the_answer_again(
    kind: str, service: Service, other: Service, fake: FakeAnthropic, user: int
) -> None:
    """With the reference and the pause of the first; the model is not asked once more."""
    async with prepared(kind, service, fake, user) as request:
        script = fake.script_judgements if kind == "evaluation" else fake.script
        script(LIMITED)
        name = str(uuid4())
        first = await send(service, request, "failed", **{"X-Request-Id": name})
    assert first.status == 503
    assert first.headers["Retry-After"] == "0"
    assert first.json["code"] == "model_rate_limited"
    assert first.json["reference_id"] == name
    head, asked = await service.head(), len(fake.requests) + len(fake.judgements)
    for again in (service, other):
        assert await send(again, request, "failed") == first
    assert await service.head() == head
    assert len(fake.requests) + len(fake.judgements) == asked


@pytest.mark.parametrize("kind", ["conversation", "message"])
async def test_a_stop_is_the_answer_again(
    kind: str, service: Service, other: Service, fake: FakeAnthropic, user: int
) -> None:
    """The one who waited is told so each time, with the reference of the first request."""
    async with prepared(kind, service, fake, user) as request:
        fake.script(Stall(after=1))
        headers = {"X-Request-Id": str(uuid4())}
        waiting = asyncio.create_task(send(service, request, "stopped", **headers))
        await fake.wait_until(lambda: fake.stalled == 1)
        (asked,) = await with_user_key(service, user, "stopped")
        path = turn_path(asked.event.conversation_id, asked.event.turn_id, "cancel")  # type: ignore[union-attr]
        assert (await service.call("POST", path, user=user))[0] == 200
        first = await waiting
    assert (first.status, first.json["reference_id"]) == (409, headers["X-Request-Id"])
    assert without_ids(first.json, kept=kind == "message") == STOPPED
    head = await service.head()
    for again in (service, other):
        assert await send(again, request, "stopped") == first
    assert await service.head() == head


@each_kind
async def test_many_at_once_wait_for_the_one_that_runs(
    kind: str,
    service: Service,
    other: Service,
    fake: FakeAnthropic,
    user: int,
    found: list[RecordedEvent],
) -> None:
    """Ten of them, half on another process; the provider talks for the first all the while."""
    async with prepared(kind, service, fake, user) as request:
        head = await service.head()
        if kind == "evaluation":
            fake.script_judgements(Stall(after=1, speech=evaluation_speech(OBJECTIVES)))
        elif kind != "cancel":
            fake.script(Stall(after=1))
        tasks = [asyncio.create_task(send(service, request, "together"))]
        if kind != "cancel":
            await fake.wait_until(lambda: fake.stalled + fake.stalled_judgements == 1)
        tasks += [
            asyncio.create_task(send(where, request, "together"))
            for where in (service, other)
            for _ in range(5)
        ]
        if kind != "cancel":
            await eventually(lambda: len(found) >= 10)
            assert not any(task.done() for task in tasks)
            fake.release()
        first, *others = await asyncio.gather(*tasks)
    assert first.status in {200, 201}, first
    assert others == [first] * 10
    assert len(await turns_begun(service, head)) == (kind != "cancel")
    assert len(await with_user_key(service, user, "together")) == 1


@pytest.mark.parametrize("kind", ["conversation", "message", "evaluation"])
async def test_of_a_race_on_two_processes_one_wins_and_all_get_its_answer(
    kind: str, service: Service, other: Service, user: int
) -> None:
    """The model answers in no time, so that a second turn would be over as fast as the first."""
    conversation = (await service.open(user))["id"]
    for number in range(8):
        if kind == "conversation":
            request = Request(user, CONVERSATIONS)
        elif kind == "message":
            request = Request(user, messages_of(conversation), {"message": f"Thought {number}"})
        else:
            request = Request(user, f"{CONVERSATIONS}/{conversation}/evaluation")
        head = await service.head()
        key = f"race-{number}"
        first, *others = await asyncio.gather(
            *(send(where, request, key) for where in (service, other) * 2)
        )
        assert first.status in {200, 201}, first
        assert others == [first] * 3
        assert len(await turns_begun(service, head)) == 1


async def test_of_different_requests_at_once_one_has_the_key(
    service: Service, other: Service, fake: FakeAnthropic, user: int
) -> None:
    """They are in streams of their own, so that the database alone keeps them apart."""
    conversation = (await service.open(user))["id"]
    requests = (
        (service, Request(user, messages_of(conversation), {"message": "Why?"})),
        (other, Request(user, ELSEWHERE)),
        (service, Request(user, f"{CONVERSATIONS}/{conversation}/evaluation")),
    )
    for number in range(8):
        head = await service.head()
        answers = await asyncio.gather(
            *(send(where, request, f"key-{number}") for where, request in requests)
        )
        refused = [answer for answer in answers if answer.status == 422]
        assert len(refused) == 2, answers
        assert all(answer.json["error"] == ANOTHER_REQUEST["error"] for answer in refused)
        assert len(await turns_begun(service, head)) == 1


@each_kind
async def test_the_answer_is_as_of_then_whatever_has_come_after(
    kind: str, service: Service, other: Service, fake: FakeAnthropic, user: int
) -> None:
    """The conversation goes on, is superseded, and the newer one is deleted."""
    async with prepared(kind, service, fake, user) as request:
        first = await send(service, request, "then")
    current = (await service.active(user))["id"]
    assert (await service.say(current, "And so on", user))[0] == 200
    assert await send(service, request, "then") == first
    newer = (await service.open(user))["id"]
    assert await send(service, request, "then") == first
    assert (await service.call("DELETE", f"{CONVERSATIONS}/{newer}", user=user))[0] == 200
    head = await service.head()
    for again in (service, other):
        assert await send(again, request, "then") == first
    assert await service.head() == head


async def test_the_answers_outlast_a_restart(fake: FakeAnthropic, server_url: str) -> None:
    """A failure's too."""
    given: list[tuple[Request, str, Answer]] = []
    async with cloned_database(server_url) as url:
        async with asking(fake, url) as before:
            user = await newcomer(before)
            for kind in KINDS:
                async with prepared(kind, before, fake, user) as request:
                    given.append((request, kind, await send(before, request, kind)))
            failing = Request(user, CONVERSATIONS)
            fake.script(LIMITED)
            given.append((failing, "failing", await send(before, failing, "failing")))
            head = await before.head()
        assert [answer.status for *_, answer in given] == [201, 200, 200, 200, 503]
        async with asking(fake, url) as after:
            after.tokens = before.tokens
            for request, key, answer in given:
                assert await send(after, request, key) == answer
            assert await after.head() == head


@pytest.mark.parametrize("fails", [False, True], ids=["well", "badly"])
@pytest.mark.parametrize("kind", ["conversation", "message"])
async def test_a_stream_and_a_plain_answer_tell_of_the_same_turn(
    kind: str,
    fails: bool,
    service: Service,
    other: Service,
    fake: FakeAnthropic,
    user: int,
) -> None:
    """Whichever came first: the last event's data is the plain answer's body."""
    for streaming_first in (False, True):
        key = f"streaming-{streaming_first}"
        async with prepared(kind, service, fake, user) as request:
            if fails:
                fake.script(LIMITED)
            asked = len(fake.requests)
            if not streaming_first:
                plain = await send(service, request, key)
            streams = [
                await read_stream(
                    where,
                    "POST",
                    request.path,
                    headers={"Idempotency-Key": key},
                    **request.options,
                )
                for where in (service, other)
            ]
            if streaming_first:
                plain = await send(service, request, key)
        assert len(fake.requests) == asked + 1
        for accepted, *_, end in streams:
            assert end.name == ("error" if fails else "done")
            assert end.raw.partition(b"\ndata: ")[2].strip().decode() == plain.body
            assert accepted == streams[0][0]
        assert "".join(pieces_of(streams[0])) == ("" if fails else REPLY)  # the owner has them


@each_kind
async def test_a_key_is_not_for_another_request(
    kind: str, service: Service, fake: FakeAnthropic, user: int
) -> None:
    """Of any kind, to any conversation; and nothing of it is recorded."""
    async with prepared("cancel", service, fake, user) as stop:
        assert (await send(service, stop, "an-earlier-stop")).status == 200
    earlier = (await service.active(user))["id"]
    async with prepared(kind, service, fake, user) as request:
        first = await send(service, request, "used")
        assert first.status in {200, 201}
    now = (await service.active(user))["id"]
    others = [
        Request(user, CONVERSATIONS),
        Request(user, ELSEWHERE),
        Request(user, messages_of(now), {"message": "Why?"}),
        Request(user, messages_of(now), {"message": "Why not?"}),
        Request(user, messages_of(earlier), {"message": "Why?"}),
        stop,
        Request(user, f"{CONVERSATIONS}/{now}/evaluation"),
        Request(user, f"{CONVERSATIONS}/{earlier}/evaluation"),
    ]
    for another in [another for another in others if another != request]:
        await service.refused(
            *(422, ANOTHER_REQUEST, "POST", another.path),
            headers={"Idempotency-Key": "used"},
            **another.options,
        )
    assert await send(service, request, "used") == first


async def test_everybody_has_keys_of_their_own(service: Service) -> None:
    for kind in ("first", "second"):
        learner = await service.enroll()
        request = Request(learner, CONVERSATIONS)
        answer = await send(service, request, "everybody's")
        assert answer.status == 201, kind
        assert answer.json == await service.active(learner)


@each_kind
@pytest.mark.parametrize(
    "key",
    ["", "two words", "x" * 256, "schlüssel"],
    ids=["empty", "spaces", "too long", "not ascii"],
)
async def test_a_malformed_key_is_refused(
    key: str, kind: str, service: Service, fake: FakeAnthropic, user: int
) -> None:
    async with prepared(kind, service, fake, user) as request:
        headers = {"Idempotency-Key": key}
        await service.refused(
            400, MALFORMED, "POST", request.path, headers=headers, **request.options
        )


async def test_the_longest_key_and_every_visible_character_will_do(
    service: Service, user: int
) -> None:
    visible = "".join(map(chr, range(0x21, 0x7F)))
    for key in ("x" * 255, visible):
        first = await send(service, Request(user, CONVERSATIONS), key)
        assert first.status == 201
        assert await send(service, Request(user, CONVERSATIONS), key) == first


async def test_a_request_that_was_refused_leaves_its_key_free(
    service: Service, fake: FakeAnthropic, user: int
) -> None:
    """As many refusals as there are; then the key works."""
    conversation = (await service.open(user))["id"]
    over = (await service.active(user))["messages"][1]["id"]
    path = messages_of(conversation)
    good = Request(user, path, {"message": "Why?"})
    refusals = [
        (400, Request(user, path, {"message": " "}), {}),
        (400, Request(user, path, {"massage": "Why?"}), {}),
        (422, Request(user, path, {"message": "x" * 4001}), {}),
        (404, Request(user, messages_of(999_999), {"message": "Why?"}), {}),
        (404, Request(user, turn_path(conversation, over, "cancel")), {}),
        (404, Request(user, f"{CONVERSATIONS}/999999/evaluation"), {}),
        (412, good, {"If-Match": '"1-1"'}),
        (415, good, {"Content-Type": "text/plain"}),
    ]
    head = await service.head()
    for status, request, headers in refusals:
        assert (await send(service, request, "free", **headers)).status == status
    async with stalled(fake, service, user, conversation):
        busy = await service.head()
        for request in (good, Request(user, CONVERSATIONS)):
            answer = await send(service, request, "free")
            assert (answer.status, answer.json["code"]) == (409, "turn_in_progress")
        assert await service.head() == busy
        assert head < busy
    answer = await send(service, good, "free")
    assert answer.status == 200
    assert [m["text"] for m in answer.json["messages"][-2:]] == ["Why?", REPLY]


async def test_a_stop_that_came_too_late_leaves_its_key_free(service: Service, user: int) -> None:
    conversation = (await service.open(user))["id"]
    posted = Request(user, messages_of(conversation), {"message": "Why?"})
    await send(service, posted, "posted")
    (asked,) = await with_user_key(service, user, "posted")
    stop = Request(user, turn_path(conversation, asked.event.turn_id, "cancel"))  # type: ignore[union-attr]
    for _ in range(2):
        too_late = await send(service, stop, "late")
        assert (too_late.status, too_late.json["code"]) == (409, "turn_is_over")
    assert (await send(service, posted, "late")).status == 200


async def test_the_stop_of_an_opening_is_answered_again(
    service: Service, other: Service, fake: FakeAnthropic
) -> None:
    """With what there was before it: nothing, and then the conversation that it was to replace."""
    user = await newcomer(service, other)
    for key in ("nothing", "a-conversation"):
        before = await service.active(user)
        fake.script(Stall(after=1))
        opening = asyncio.create_task(service.call("POST", CONVERSATIONS, user=user))
        await fake.wait_until(lambda: fake.stalled == 1)
        asked = (await service.history())[-1].event
        assert isinstance(asked, OpeningRequested)
        stop = Request(user, turn_path(asked.conversation_id, asked.turn_id, "cancel"))
        first = await send(service, stop, key)
        assert (first.status, first.json) == (200, before)
        assert (await opening)[0] == 409
        newer = await service.open(user)
        for again in (service, other):
            assert await send(again, stop, key) == first
        assert await service.active(user) == newer
        assert types_of(await with_user_key(service, user, key)) == ["opening_failed"]


async def test_a_request_that_comes_again_is_no_reply_too_many(
    service: Service, fake: FakeAnthropic, user: int
) -> None:
    """It waits for the one that takes the last place, or has its answer."""
    settings: Any = {"anthropic_base_url": fake.url, "max_replies": 1}
    async with running_service(service.database_url, **settings) as small:
        small.tokens = service.tokens
        conversation = (await small.open(user))["id"]
        request = Request(user, messages_of(conversation), {"message": "Why?"})
        fake.script(Stall(after=1))
        first = asyncio.create_task(send(small, request, "first"))
        await fake.wait_until(lambda: fake.stalled == 1)
        again = asyncio.create_task(send(small, request, "first"))
        new = await send(small, Request(user, ELSEWHERE), "new")
        assert (new.status, new.json["code"]) == (503, "busy")
        fake.release()
        assert await again == await first
        assert (await first).status == 200


async def test_a_delete_takes_no_notice_of_keys(
    service: Service, fake: FakeAnthropic, user: int
) -> None:
    """Neither where it stops a reply, nor the second time: it is idempotent anyway."""
    conversation = (await service.open(user))["id"]
    path, headers = f"{CONVERSATIONS}/{conversation}", {"Idempotency-Key": "not looked at"}
    async with stalled(fake, service, user, conversation):
        first, _ = await service.call("DELETE", path, user=user, headers=headers)
        again, _ = await service.call("DELETE", path, user=user, headers=headers)
    assert (first, again) == (200, 404)


async def test_stops_with_the_same_key_over_the_owners_head_are_one(
    service: Service, fake: FakeAnthropic, user: int
) -> None:
    """The owner of the turn lives but does not hear; everybody gives up on it at the same time."""
    conversation = (await service.open(user))["id"]
    notifier = Notifier(service.database_url)
    await notifier.start()
    try:
        turn_id = await leave_turn(service, notifier.owner, user, conversation)
        stop = Request(user, turn_path(conversation, turn_id, "cancel"))
        async with beside(service, fake, 0.3) as one, beside(service, fake, 0.3) as other:
            first, *others = await asyncio.gather(
                *(send(where, stop, "over") for where in (one, other) * 3)
            )
    finally:
        await notifier.close()
    assert first.status == 200, first
    assert others == [first] * 5
    assert types_of(await with_user_key(service, user, "over")) == ["reply_cancelled"]


async def test_an_owner_that_hears_too_late_of_a_stop_with_a_key_tells_who_waited(
    service: Service,
    fake: FakeAnthropic,
    user: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The turn was ended over its head when it comes to end the turn itself."""
    letters = kept_letters(monkeypatch)
    conversation = (await service.open(user))["id"]
    fake.script(Stall(after=1))
    waiting = asyncio.create_task(
        send(service, Request(user, messages_of(conversation), {"message": "Why?"}), "waiting")
    )
    await fake.wait_until(lambda: fake.stalled == 1)
    (asked,) = await with_user_key(service, user, "waiting")
    stop = Request(user, turn_path(conversation, asked.event.turn_id, "cancel"))  # type: ignore[union-attr]
    async with beside(service, fake, 0.05) as other:
        assert (await send(other, stop, "stop")).status == 200
    (letter,) = letters
    letter()
    answer = await waiting
    assert (answer.status, answer.json["code"]) == (409, "turn_cancelled")


async def test_a_stop_whose_key_goes_to_another_request_meanwhile_leaves_nobody_stuck(
    service: Service,
    fake: FakeAnthropic,
    user: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The stop is on its way when its key comes with something else; the turn ends all the same."""
    letters = kept_letters(monkeypatch)
    conversation = (await service.open(user))["id"]
    fake.script(Stall(after=1))
    question = Request(user, messages_of(conversation), {"message": "Why?"})
    waiting = asyncio.create_task(send(service, question, "question"))
    await fake.wait_until(lambda: fake.stalled == 1)
    (asked,) = await with_user_key(service, user, "question")
    stop = Request(user, turn_path(conversation, asked.event.turn_id, "cancel"))  # type: ignore[union-attr]
    async with beside(service, fake, 60) as other, asyncio.timeout(20):  # the owner will hear of it
        stopping = asyncio.create_task(send(other, stop, "contested"))
        await eventually(lambda: len(letters) == 1)
        assert (await send(service, Request(user, ELSEWHERE), "contested")).status == 201
        letters[0]()
        assert (await waiting).status in {409, 503}
        assert (await stopping).status in {200, 409, 422}
    assert (await service.say(conversation, "And now?", user))[0] == 200


def kept_letters(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What processes would tell each other; calling one sends it."""
    letters: list[Callable[[], None]] = []
    post = Notifier.send

    def keep(notifier: Notifier, topic: str, text: str) -> None:
        letters.append(lambda: post(notifier, topic, text))

    monkeypatch.setattr(Notifier, "send", keep)
    return letters


async def with_user_key(service: Service, user: int, key: str) -> list[RecordedEvent]:
    return [e for e in await with_key(service, key) if e.metadata.actor.id == user]


async def leave_turn(service: Service, owner: int, user: int, conversation: int) -> str:
    """Records a message whose turn is that of another owner; the turn's id."""
    turn_id = str(uuid4())
    posted = MessagePosted(
        conversation_id=conversation,
        turn_id=turn_id,
        message_id=str(uuid4()),
        course_id=1,
        experience_id=1,
        user_id=user,
        model="any",
        owner=owner,
        deadline_at=datetime.now(UTC) + timedelta(hours=1),
    )
    event = NewEvent(event=posted, content="Are you there?", subject_id=user)
    metadata = Metadata(actor=Actor(user, "learner"))
    async with running_log(service.database_url) as (log, _pool, _notifier):
        await log.append(1, f"dialogue-1-{user}", [event], expected=None, metadata=metadata)
    return turn_id


async def test_the_log_of_all_these_tests_is_lawful(service: Service) -> None:
    await service.open(await service.enroll())
    assert_lawful(await service.history())
