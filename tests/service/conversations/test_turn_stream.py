"""A turn read along as server-sent events: at once, late, again, slowly, from another process."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web
from structlog.testing import capture_logs

from service.conversations import turn_stream as event_stream
from service.conversations.turn_stream import LAST_ID
from service.errors import TurnIsOver
from service.identity.roster import Role
from service.process.server import listen
from service.timing import Timing
from service.turns.live import LiveTurn, LiveTurnRegistry
from tests.databases import cloned_database
from tests.fake_anthropic import FakeAnthropic, Speech, Stall, StreamError
from tests.running import (
    API,
    CONVERSATIONS,
    PATIENT,
    TEACHER,
    Service,
    eventually,
    messages_of,
    running_beside,
    running_service,
)
from tests.service.histories import assert_lawful
from tests.service.kept_messages import assert_kept, without_ids
from tests.service.reading_streams import (
    SSE,
    StreamEvent,
    Talk,
    bytes_of,
    pieces_of,
    provider_stalls,
    read_stream,
    reading,
    stream_of,
    talk_of,
    turn_path,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

PIECES = ("What do you ", "already ", "know — ", "“about” it?\n\n", "data: 🌊")
REPLY = "".join(PIECES)
SPEECH = Speech(pieces=PIECES)
LAST_PIECE = len(PIECES) + 1
"""The id of the reply's last piece."""
OF_THE_CLIENT = str(uuid4())
NOT_FOUND = {"error": "Resource Not Found"}
either = pytest.mark.parametrize("opening", [False, True], ids=["message", "opening"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fake() -> AsyncIterator[FakeAnthropic]:
    async with FakeAnthropic(SPEECH) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def talk(service: Service) -> Talk:
    """A learner who has a conversation and something to say."""
    return await talk_of(service)


@either
async def test_the_pieces_of_a_stream_are_the_reply_and_its_end_is_the_plain_answer(
    opening: bool, service: Service
) -> None:
    talk = await talk_of(service, opening)
    accepted, *pieces, done = await talk.read()
    assert (accepted.name, done.name) == ("accepted", "done")
    assert "".join(pieces_of(pieces)) == REPLY
    assert done.data == await service.active(talk.learner)
    asked, ended = (await talk.events())[-2 - opening :: 1 + opening]
    assert ended.content == REPLY
    messages = done.data["messages"]
    assert accepted.data == {
        "turn_id": asked.event.turn_id,  # type: ignore[union-attr]
        "message_id": messages[-2]["id"],
        "conversation_id": done.data["id"],
    }
    assert (messages[-1]["role"], messages[-1]["text"]) == ("Assistant", REPLY)


@either
async def test_a_piece_is_passed_on_while_the_provider_still_thinks(
    opening: bool, service: Service, fake: FakeAnthropic
) -> None:
    """The question too is acknowledged before the model has said a word."""
    talk = await talk_of(service, opening)
    with provider_stalls(fake, Stall()):
        async with talk.ask() as (_, stream):
            assert (await stream.next()).name == "accepted"
            await fake.wait_until(lambda: fake.stalled == 1)
    talk = await talk_of(service, opening)
    with provider_stalls(fake, Stall(after=1, speech=SPEECH)):
        async with talk.ask() as (_, stream):
            assert [(await stream.next()).name, (await stream.next()).data] == [
                "accepted",
                {"text": PIECES[0]},
            ]
            assert fake.stalled == 1
            fake.release()
            assert "".join(pieces_of(await stream.rest())) == REPLY


async def test_a_stream_says_what_it_is_and_that_nobody_should_keep_it(talk: Talk) -> None:
    """Neither caches nor proxies that would rather send it in one go."""
    headers = {"X-Request-Id": OF_THE_CLIENT}
    async with reading(talk.service, *talk.question, headers=headers, **talk.options) as (
        response,
        stream,
    ):
        accepted = await stream.next()
        await stream.rest()
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Accel-Buffering"] == "no"
        assert response.headers["X-Request-Id"] == OF_THE_CLIENT
    response = await talk.service.request("GET", stream_of(accepted), user=talk.learner)
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["X-Request-Id"] not in ("", OF_THE_CLIENT)


async def test_comments_keep_a_silent_stream_alive_wherever_it_is_read(
    service: Service, fake: FakeAnthropic
) -> None:
    """They have no ids, and the reply comes as ever."""
    quick = Timing(assessment=60.0, keep_alive=0.02)
    async with (
        running_beside(service, quick, anthropic_base_url=fake.url) as one,
        running_beside(service, quick, anthropic_base_url=fake.url) as other,
    ):
        await assert_kept_alive(await talk_of(one), other, fake)


async def assert_kept_alive(talk: Talk, other: Service, fake: FakeAnthropic) -> None:
    with provider_stalls(fake, Stall(after=1, speech=SPEECH)):
        async with talk.ask() as (_, stream):
            accepted = await stream.next()
            async with reading(other, "GET", stream_of(accepted), user=talk.learner) as (_, far):
                await stream.comment(3)
                await far.comment(3)
                fake.release()
                assert [event.name for event in await far.rest()] == ["accepted", "done"]
            assert "".join(pieces_of(await stream.rest())) == REPLY


async def resumed(service: Service, talk: Talk, accepted: StreamEvent, after: int) -> bytes:
    """What a reader gets who has the events up to `after`; nothing with a 204."""
    response = await service.request(
        "GET", stream_of(accepted), user=talk.learner, headers={"Last-Event-ID": str(after)}
    )
    body = await response.text()
    assert response.status == (200 if body else 204)
    return body.encode()


@either
async def test_after_its_end_a_stream_is_taken_up_again_from_every_event_to_the_byte(
    opening: bool, service: Service
) -> None:
    """Who has the last one gets a 204, by which event sources know not to come again."""
    talk = await talk_of(service, opening)
    events = await talk.read()
    assert [event.id for event in events] == [*range(1, LAST_PIECE + 1), LAST_ID]
    for after in range(LAST_PIECE + 1):
        body = await resumed(service, talk, events[0], after)
        assert body == bytes_of(events[after:])
    # As processes of an earlier release counted on.
    assert await resumed(service, talk, events[0], LAST_PIECE + 1) == bytes_of(events[-1:])


@either
async def test_who_has_all_of_a_turn_is_told_so_by_any_process(
    opening: bool, service: Service, other: Service, fake: FakeAnthropic
) -> None:
    """With 204, by which an event source knows not to come again."""
    talk = await talk_of(service, opening)
    events = await talk.read()
    unlucky = await talk_of(service, opening)
    fake.script(StreamError(speech=Speech(pieces=PIECES[:2])))
    failed = await unlucky.read()
    async with running_service(service.database_url, anthropic_base_url=fake.url) as restarted:
        restarted.tokens = service.tokens
        for place in (service, other, restarted):
            assert await resumed(place, talk, events[0], LAST_ID) == b""
            assert await resumed(place, unlucky, failed[0], LAST_ID) == b""
    assert failed[-1].id == LAST_ID


@either
async def test_during_a_turn_its_stream_is_taken_up_again_from_every_event_to_the_byte(
    opening: bool, service: Service, fake: FakeAnthropic
) -> None:
    """All read at once, and get what the first reader gets after what they have already."""
    talk = await talk_of(service, opening)
    said = 3
    with provider_stalls(fake, Stall(after=said, speech=SPEECH)):
        async with talk.ask() as (_, stream), AsyncExitStack() as stack:
            accepted, *_ = [await stream.next() for _ in range(1 + said)]
            readers = [
                await stack.enter_async_context(talk.take_up(accepted, after))
                for after in range(1 + said + 1)
            ]
            fake.release()
            events = await stream.rest()
            for after, (_, reader) in enumerate(readers):
                assert bytes_of(await reader.rest()) == bytes_of(events[after:])


async def test_a_reader_who_claims_to_be_ahead_of_a_turn_gets_what_comes(
    talk: Talk, fake: FakeAnthropic
) -> None:
    """Such as one that was told more by a process that has died."""
    with provider_stalls(fake, Stall(after=2, speech=SPEECH)):
        async with talk.ask() as (_, stream):
            accepted, *_ = [await stream.next() for _ in range(3)]
            response_after = {"Last-Event-ID": "77"}
            path = stream_of(accepted)
            async with reading(
                talk.service, "GET", path, user=talk.learner, headers=response_after, first=None
            ) as (_, ahead):
                fake.release()
                events = await stream.rest()
                assert bytes_of(await ahead.rest()) == bytes_of(events[3:])


@either
async def test_the_stream_of_a_failed_turn_ends_with_the_error_and_can_be_taken_up_again(
    opening: bool, service: Service, other: Service, fake: FakeAnthropic
) -> None:
    """On another process there are no pieces: a failed turn leaves none to the conversation."""
    talk = await talk_of(service, opening)
    fake.script(StreamError(speech=Speech(pieces=PIECES[:2])))
    events = await talk.read()
    assert [event.name for event in events] == ["accepted", "delta", "delta", "error"]
    assert without_ids(events[-1].data, kept=not opening) == {
        "error": "The tutor is very busy right now. Please try again in a moment.",
        "code": "model_overloaded",
        "retryable": True,
    }
    assert events[-1].data["reference_id"] == (await talk.events())[-2].metadata.request_id
    for after in range(len(events)):
        body = await resumed(service, talk, events[0], after)
        assert body == bytes_of(events[after:])
    assert await resumed(service, talk, events[0], LAST_ID) == b""
    far = await read_stream(other, "GET", stream_of(events[0]), user=talk.learner)
    assert [(e.id, e.name) for e in far] == [(1, "accepted"), (LAST_ID, "error")]
    assert [e.data for e in far] == [events[0].data, events[-1].data]
    active = await service.active(talk.learner)
    if opening:
        assert active == talk.conversation
    else:
        assert_kept(talk.conversation, active, "Why?", "model_overloaded")


async def test_two_readers_at_once_get_the_same(talk: Talk, fake: FakeAnthropic) -> None:
    with provider_stalls(fake, Stall(after=1, speech=SPEECH)):
        async with talk.ask() as (_, one):
            accepted = await one.next()
            async with talk.take_up(accepted) as (_, two), talk.take_up(accepted) as (_, three):
                assert await two.next() == await three.next() == accepted
                fake.release()
                assert bytes_of(await one.rest()) == bytes_of(await two.rest())
                assert bytes_of(await one.rest()) == bytes_of(await three.rest())


@either
async def test_a_reader_that_goes_away_does_not_stop_the_turn(
    opening: bool, service: Service, fake: FakeAnthropic
) -> None:
    """And may come back when it is over."""
    talk = await talk_of(service, opening)
    left = fake.disconnects
    with provider_stalls(fake, Stall(after=1, speech=SPEECH)):
        async with talk.ask() as (_, stream):
            accepted, first = [await stream.next() for _ in range(2)]
        await service.active(talk.learner)  # the service has noticed by now
    ended = "conversation_started" if opening else "reply_completed"
    await eventually(lambda: talk.is_last(ended))
    assert fake.disconnects == left
    async with talk.take_up(accepted, first.id) as (_, again):
        events = await again.rest()
    assert first.data["text"] + "".join(pieces_of(events)) == REPLY
    assert events[-1].data == await service.active(talk.learner)


LARGE = 16 * 1024
MANY = Speech(pieces=("x" * LARGE,) * 48)
"""More than what the two ends of a narrow connection take."""


@asynccontextmanager
async def narrow_service(
    service: Service, fake: FakeAnthropic, timing: Timing
) -> AsyncIterator[Service]:
    """A service whose connections have small buffers, as if the learner were far away."""

    def narrow_listen(host: str, port: int) -> socket.socket:
        sock = listen(host, port)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * LARGE)
        return sock

    async with AsyncExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tests.running.listen", narrow_listen)
            starting = running_beside(service, timing, anthropic_base_url=fake.url)
            narrow = await stack.enter_async_context(starting)
        yield narrow


@pytest_asyncio.fixture(loop_scope="module")
async def narrow(service: Service, fake: FakeAnthropic) -> AsyncIterator[Service]:
    async with narrow_service(service, fake, PATIENT) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def hasty(service: Service, fake: FakeAnthropic) -> AsyncIterator[Service]:
    """A narrow one that soon cuts who takes nothing."""
    async with narrow_service(service, fake, Timing(assessment=60.0, write=0.1)) as running:
        yield running


@asynccontextmanager
async def deaf_reader(talk: Talk) -> AsyncIterator[socket.socket]:
    """Asks for a stream and does not read it, unless the test does."""
    _, path = talk.question
    host, port = talk.service.url.removeprefix("http://").split(":")
    body = msgspec.json.encode({"message": "Tell me everything"})
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n"
        f"Authorization: Bearer {talk.service.tokens[str(talk.learner)]}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LARGE)
        sock.setblocking(False)
        await loop.sock_connect(sock, (host, int(port)))
        await loop.sock_sendall(sock, head.encode() + body)
        yield sock


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> list[web.Request]:
    """The requests that are answered by streams from here on."""
    requests: list[web.Request] = []

    async def noted(request: web.Request, *arguments: Any) -> web.StreamResponse:
        requests.append(request)
        return await event_stream.stream_turn(request, *arguments)

    monkeypatch.setattr("service.conversations.handlers.stream_turn", noted)
    return requests


def waiting_bytes(request: web.Request) -> int:
    """What the service holds for a reader who does not take it."""
    assert request.transport is not None
    return request.transport.get_write_buffer_size()


async def test_a_reader_that_does_not_read_slows_nobody_and_piles_up_nothing(
    narrow: Service, fake: FakeAnthropic, answering: list[web.Request]
) -> None:
    """What the model says from then on is in the turn's list, once for all readers."""
    talk = await talk_of(narrow)
    with provider_stalls(fake, Stall(after=24, speech=MANY)):
        async with deaf_reader(talk):
            await fake.wait_until(lambda: fake.stalled == 1)
            await eventually(lambda: waiting_bytes(answering[0]) > 0)
            asked = (await talk.events())[-1].event
            path = turn_path(talk.conversation["id"], asked.turn_id, "stream")  # type: ignore[union-attr]
            async with reading(talk.service, "GET", path, user=talk.learner) as (_, attentive):
                await attentive.next()
                held = waiting_bytes(answering[0])
                fake.release()
                events = await attentive.rest()
            assert "".join(pieces_of(events)) == "".join(MANY.pieces)
            assert await talk.is_last("reply_completed")
            assert waiting_bytes(answering[0]) <= held


async def test_a_reader_that_takes_nothing_for_long_is_cut_off(
    hasty: Service,
    fake: FakeAnthropic,
    answering: list[web.Request],
) -> None:
    """Its turn ends as if nothing had been; the cut is no fault to be logged."""
    talk = await talk_of(hasty)
    fake.script(MANY)
    with capture_logs() as logs:
        async with deaf_reader(talk) as sock:
            await eventually(lambda: talk.is_last("reply_completed"))
            await eventually(lambda: "request" in {line["event"] for line in logs})
            await eventually(lambda: answering[0].transport is None)
            received = await read_to_the_end(sock)
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert b"event: accepted" in received
    assert b"event: done" not in received
    assert {line["event"] for line in logs} == {"request"}
    assert (await talk.service.say(talk.conversation["id"], "Shorter", talk.learner))[0] == 200


async def test_a_reader_is_given_little_at_a_time(
    talk: Talk, fake: FakeAnthropic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is patience for each bit, so that who is slow but reads gets all, however much."""
    fake.script(MANY)
    accepted, *_ = await talk.read()
    sizes: list[int] = []
    write = web.StreamResponse.write

    async def noted(response: web.StreamResponse, data: bytes) -> None:
        if "X-Accel-Buffering" in response.headers:  # which the provider's have not
            sizes.append(len(data))
        await write(response, data)

    monkeypatch.setattr(web.StreamResponse, "write", noted)
    events = await read_again(talk, accepted, 0)
    assert [event.name for event in events[-2:]] == ["delta", "done"]
    assert sum(sizes) == len(bytes_of(events))
    assert max(sizes) <= 4 * LARGE


async def read_to_the_end(sock: socket.socket) -> bytes:
    """All that comes until the service ends or breaks the stream."""
    loop = asyncio.get_running_loop()
    received = bytearray()
    with suppress(ConnectionResetError):
        while chunk := await loop.sock_recv(sock, LARGE):
            received += chunk
            if received.endswith(b"\r\n0\r\n\r\n"):
                break
    return bytes(received)


@either
async def test_another_process_tells_a_turn_as_the_log_does(
    opening: bool, service: Service, other: Service, fake: FakeAnthropic
) -> None:
    """The question at once, and the end, with the whole reply, when it is there."""
    talk = await talk_of(service, opening)
    with provider_stalls(fake, Stall(after=2, speech=SPEECH)):
        async with talk.ask() as (_, stream), AsyncExitStack() as stack:
            accepted, *_ = [await stream.next() for _ in range(3)]
            far = talk.at(other)
            (_, whole), *others = [
                await stack.enter_async_context(far.take_up(accepted, after))
                for after in (0, 1, 3, 40)
            ]
            assert (await whole.next()).raw == accepted.raw
            fake.release()
            done = (await stream.rest())[-1]
            assert_whole(await whole.rest(), accepted, done)
            for _, reader in others:
                assert_end(await reader.rest(), done)
    assert_whole(await read_again(far, accepted, 0), accepted, done)
    assert_end(await read_again(far, accepted, 5), done)


async def test_a_new_process_tells_the_turns_of_one_that_is_gone(
    server_url: str, fake: FakeAnthropic
) -> None:
    async with cloned_database(server_url) as url:
        async with running_service(url, anthropic_base_url=fake.url) as service:
            talk = await talk_of(service)
            accepted, *_, done = await talk.read()
        async with running_service(url, anthropic_base_url=fake.url) as restarted:
            restarted.tokens = service.tokens
            later = talk.at(restarted)
            assert_whole(await read_again(later, accepted, 0), accepted, done)
            assert_end(await read_again(later, accepted, 3), done)


async def read_again(talk: Talk, accepted: StreamEvent, after: int) -> list[StreamEvent]:
    async with talk.take_up(accepted, after) as (_, stream):
        return await stream.rest()


def assert_whole(events: list[StreamEvent], accepted: StreamEvent, done: StreamEvent) -> None:
    """Told from the log, which does not know the pieces; the last event has the whole reply."""
    assert [(e.id, e.name, e.data) for e in events] == [
        (1, "accepted", accepted.data),
        (LAST_ID, "done", done.data),
    ]


def assert_end(events: list[StreamEvent], done: StreamEvent) -> None:
    assert [(e.id, e.name, e.data) for e in events] == [(LAST_ID, "done", done.data)]


async def test_readers_on_a_process_that_stops_are_told_so_while_the_turn_goes_on(
    service: Service, talk: Talk, fake: FakeAnthropic
) -> None:
    """They go on elsewhere, after the last id that they got."""
    with provider_stalls(fake, Stall(after=2, speech=SPEECH)):
        async with talk.ask() as (_, stream):
            accepted = await stream.next()
            async with running_service(
                service.database_url, anthropic_base_url=fake.url
            ) as leaving:
                leaving.tokens = service.tokens
                far = talk.at(leaving)
                async with far.take_up(accepted) as (_, reader):
                    await reader.next()
                    assert leaving.stop
                    leaving.stop()
                    told = await reader.rest()
            assert [(e.id, e.name, e.data.get("code")) for e in told[1:]] == [
                (None, "error", "service_stopping")
            ]
            async with talk.take_up(accepted, 1) as (_, again):
                fake.release()
                assert "".join(pieces_of(await again.rest())) == REPLY
            assert "".join(pieces_of(await stream.rest())) == REPLY


async def test_a_turn_that_must_end_with_its_process_ends_its_streams_too(
    service: Service, fake: FakeAnthropic
) -> None:
    async with running_service(
        service.database_url, anthropic_base_url=fake.url, stop_timeout=0.05
    ) as leaving:
        talk = await talk_of(leaving)
        with provider_stalls(fake, Stall(after=2, speech=SPEECH)):
            async with talk.ask() as (_, stream):
                for _ in range(3):  # the question and both pieces
                    await stream.next()
                assert leaving.stop
                leaving.stop()
                events = await stream.rest()
    assert pieces_of(events) == list(PIECES[:2])
    assert (events[-1].name, events[-1].data["code"]) == ("error", "service_stopping")
    assert (await talk.events())[-1].content == "".join(PIECES[:2])


async def test_turns_that_are_over_are_kept_for_a_while_and_not_too_many() -> None:
    """Those under way are kept in any case."""
    turns = LiveTurnRegistry(60.0, most=2)
    lasting, *over = [LiveTurn(str(number), 1, None, own=True) for number in range(4)]
    for live in (lasting, *over):
        turns.add(live)
    for live in over:
        live.end(TurnIsOver())
        turns.retire(live)
    assert turns.all() == [lasting, *over[1:]], "one too many, so the oldest goes"


async def test_turns_that_are_over_are_forgotten_one_after_another() -> None:
    turns = LiveTurnRegistry(0.05)
    first, second, lasting = [LiveTurn(str(number), 1, None, own=True) for number in range(3)]
    for live in (first, second, lasting):
        turns.add(live)
    turns.retire(first)
    await asyncio.sleep(0.02)
    turns.retire(second)
    await eventually(lambda: turns.get(first.turn_id) is None)
    await eventually(lambda: turns.get(second.turn_id) is None)
    assert turns.all() == [lasting]
    turns.retire(lasting)
    await eventually(lambda: turns.get(lasting.turn_id) is None)


@pytest_asyncio.fixture(loop_scope="module")
async def told(service: Service) -> tuple[Talk, list[StreamEvent]]:
    """A turn that is over, and what was streamed of it."""
    talk = await talk_of(service)
    return talk, await talk.read()


@pytest.mark.parametrize(
    "last", ["", " ", "abc", "-1", "1.5", "0x2", "1e1", "٣", "9" * 20, "2, 3"], ids=repr
)
async def test_what_cannot_be_an_id_counts_as_none(
    last: str, told: tuple[Talk, list[StreamEvent]]
) -> None:
    talk, events = told
    async with talk.take_up(events[0], last) as (_, stream):
        assert bytes_of(await stream.rest()) == bytes_of(events)


async def test_a_manager_may_read_along_and_no_other_member(
    service: Service, told: tuple[Talk, list[StreamEvent]]
) -> None:
    """A turn of somebody else looks as if it did not exist."""
    _, events = told
    path = stream_of(events[0])
    assert bytes_of(await read_stream(service, "GET", path, user=TEACHER)) == bytes_of(events)
    others: tuple[Role, ...] = ("learner", "observer")
    for role in others:
        stranger = await service.enroll(role)
        await service.refused(404, NOT_FOUND, "GET", path, user=stranger, headers=SSE)


async def test_only_the_right_path_leads_to_a_turn(
    service: Service, told: tuple[Talk, list[StreamEvent]]
) -> None:
    """Nor does an id that cannot be one, or the id of something else."""
    talk, events = told
    accepted = events[0].data
    number, turn_id = accepted["conversation_id"], accepted["turn_id"]
    wrong = [
        turn_path(number, turn, "stream")
        for turn in (str(uuid4()), accepted["message_id"], "1", "turn", "%00", "a" * 36, "-" * 36)
    ]
    wrong += [
        turn_path(conversation, turn_id, "stream")
        for conversation in (number + 1, 10**30, 0, -1, "x")
    ]
    wrong += [
        turn_path(number, turn_id, "stream").replace(API, elsewhere)
        for elsewhere in (API[:-1] + "2", API[:-1] + "3", API[:-1] + "99")
    ]
    for path in wrong:
        await service.refused(404, NOT_FOUND, "GET", path, user=TEACHER, headers=SSE)
    right = turn_path(number, turn_id.upper(), "stream")
    assert (await read_stream(service, "GET", right, user=talk.learner))[-1].name == "done"


async def test_ids_are_strings_for_clients_that_want_them_so(talk: Talk) -> None:
    """In all events."""
    strings = {"Accept": "text/event-stream, application/json+canvas-string-ids"}
    events = await read_stream(talk.service, *talk.question, headers=strings, **talk.options)
    number = str(talk.conversation["id"])
    assert events[-1].data["id"] == number
    assert events[0].data["conversation_id"] == number


async def test_what_is_refused_before_it_is_recorded_is_answered_as_ever(
    service: Service, talk: Talk, fake: FakeAnthropic
) -> None:
    """By its status, in JSON: there is no stream of a turn that there is not."""
    path = messages_of(talk.conversation["id"])
    hello = {"message": "Hello"}
    by = {"user": talk.learner, "headers": SSE}
    missing = {"error": "message is required"}
    await service.refused(400, missing, "POST", path, json={}, **by)
    long = {"error": "message must be 4000 characters or fewer"}
    await service.refused(422, long, "POST", path, json={"message": "x" * 4001}, **by)
    elsewhere = messages_of(talk.conversation["id"] + 1)
    await service.refused(404, NOT_FOUND, "POST", elsewhere, json=hello, **by)
    with provider_stalls(fake, Stall(after=1)):
        async with talk.ask() as (_, stream):
            accepted = await stream.next()
            await stream.next()
            busy = {
                "error": "a reply is under way",
                "code": "turn_in_progress",
                "retryable": True,
                "turn_id": accepted.data["turn_id"],
            }
            await service.refused(409, busy, "POST", path, json=hello, **by)
            await service.refused(409, busy, "POST", CONVERSATIONS, json={}, **by)


@either
async def test_a_question_that_is_repeated_by_its_key_leads_to_the_same_stream(
    opening: bool, service: Service, other: Service, fake: FakeAnthropic
) -> None:
    """During the turn and after it; the model is asked once."""
    talk = await talk_of(service, opening)
    talk.options["headers"] = {"Idempotency-Key": "again"}
    asked = len(fake.requests)
    with provider_stalls(fake, Stall(after=2, speech=SPEECH)):
        async with talk.ask() as (_, one):
            accepted = await one.next()
            async with talk.ask() as (_, two):
                assert await two.next() == accepted
                fake.release()
                events = await one.rest()
                assert bytes_of(await two.rest()) == bytes_of(events)
    assert bytes_of(await talk.read()) == bytes_of(events)
    far = await read_stream(other, *talk.question, **talk.options)
    assert_whole(far, accepted, events[-1])
    assert len(fake.requests) == asked + 1


async def test_the_log_of_all_these_tests_is_lawful(service: Service) -> None:
    assert_lawful(await service.history())
