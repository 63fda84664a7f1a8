"""Connections: how much and how long a client may send, and who else is served meanwhile."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web

from service.http.connection import MAX_HEAD
from service.http.connection_bounds import (
    SURPLUS,
    Bounds,
    Connections,
    Place,
    bounds_of,
    network_of,
)
from service.settings import Settings
from tests.fake_anthropic import FakeAnthropic, Speech, Stall
from tests.running import (
    CONVERSATIONS,
    LEARNER,
    Service,
    client,
    demo_tokens,
    eventually,
    fetch_value,
    messages_of,
    running_service,
    service_process,
)
from tests.service.raw_http import RawConnection, connected

PROBE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
HALF = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Half: "
ENDLESS = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"".join(
    b"X-%d: %s\r\n" % (n, b"x" * 60_000) for n in range(127)
)
BROKEN_LENGTH = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n"
HELD = Stall(after=1, speech=Speech(pieces=("What do you ", "know?")))
SEALED = "SELECT coalesce(max(size), 0) FROM tree_heads"


@asynccontextmanager
async def many(
    service: Service, number: int, address: str = "127.0.0.1"
) -> AsyncIterator[list[RawConnection]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(connected(service, address)) for _ in range(number)]


async def is_open(raw: RawConnection) -> bool:
    try:
        await raw.closed(within=0.2)
    except TimeoutError:
        return True
    return False


async def number_open(connections: list[RawConnection]) -> int:
    return sum(await asyncio.gather(*(is_open(raw) for raw in connections)))


def counted_bytes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes are given to the parser at a time, from now on."""
    parsed: list[int] = []
    parse = web.RequestHandler.data_received

    def counting(self: web.RequestHandler, data: bytes) -> None:
        parsed.append(len(data))
        parse(self, data)

    monkeypatch.setattr(web.RequestHandler, "data_received", counting)
    return parsed


async def test_a_head_that_is_too_large_is_not_parsed_to_its_end(
    demo_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = counted_bytes(monkeypatch)
    async with running_service(demo_url) as service, connected(service) as raw:
        await raw.send(ENDLESS[: 4 * MAX_HEAD])
        answer = await raw.answer()
        assert answer.status == 431
        assert answer.json == {
            "error": "the headers must be 16 KiB or smaller",
            "reference_id": answer.headers["x-request-id"],
        }
        await raw.closed()
    assert MAX_HEAD < sum(parsed) <= MAX_HEAD + 8 * 1024


FRAMING = {
    "many trailers": b"0\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 900) for n in range(120)),
    "one trailer": b"0\r\nX-Long: " + b"x" * 120_000,
    "an extension": b"5;" + b"x" * 120_000,
    "extensions": b'1;name="%s"\r\n{\r\n1;%s\r\n' % (b"x" * 900, b"x" * 120_000),
}


@pytest.mark.parametrize("framing", FRAMING.values(), ids=FRAMING.keys())
async def test_what_stands_around_a_body_is_bounded(
    framing: bytes, demo_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a request that needs its body, and of one that is answered without."""
    parsed = counted_bytes(monkeypatch)
    async with running_service(demo_url) as service:
        path = messages_of((await service.open())["id"])
        token = service.tokens[str(LEARNER)].encode()
        for head, status in (
            (b"POST %s HTTP/1.1\r\nAuthorization: Bearer %s" % (path.encode(), token), 400),
            (b"GET /healthz HTTP/1.1", 200),
        ):
            parsed.clear()
            async with connected(service) as raw:
                await raw.send(head + b"\r\nHost: x\r\nContent-Type: application/json\r\n")
                await raw.send(b"Transfer-Encoding: chunked\r\n\r\n")
                with suppress(ConnectionError):
                    await raw.send(framing)
                assert (await raw.answer()).status == status
                await raw.closed()
            assert MAX_HEAD < sum(parsed) <= MAX_HEAD + 8 * 1024


LEAKED = {
    "Authorization": "Bearer colloquy_of-nobody",
    "X-Audit-Reason": "curious",
    "X-Request-Id": "00000000-0000-4000-8000-000000000000",
    "If-None-Match": "*",
    "Content-Encoding": "br",
    "Idempotency-Key": "theirs",
    "Host": "other",
}


@pytest.mark.parametrize("pause", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("path", ["/healthz", "/api/v1/courses/1/ai_experiences"])
async def test_a_trailer_is_no_header_of_another_request(
    path: str, pause: bool, demo_url: str
) -> None:
    """Of a request that is refused before its body as of one that is answered after it."""
    async with running_service(demo_url) as service:
        for name, value in LEAKED.items():
            async with connected(service) as raw:
                await raw.send(b"POST %s HTTP/1.1\r\nHost: x\r\n" % path.encode())
                await raw.send(b"Transfer-Encoding: chunked\r\n\r\n")
                await asyncio.sleep(0.02 if pause else 0)
                await raw.send(b"0\r\n%s: %s\r\n\r\n" % (name.encode(), value.encode()) + PROBE)
                answer = await raw.answer()
                assert answer.status in (401, 405)
                assert answer.headers["connection"] == "close"
                await raw.closed()


async def test_a_body_in_small_chunks_with_trailers_is_read(demo_url: str) -> None:
    """And nothing behind it: its connection ends."""
    async with running_service(demo_url) as service, connected(service) as raw:
        path = messages_of((await service.open())["id"])
        token, body = service.tokens[str(LEARNER)], b'{"message": "%s"}' % (b"x" * 3_900)
        await raw.send(b"POST %s HTTP/1.1\r\nHost: x\r\n" % path.encode())
        await raw.send(b"Authorization: Bearer %s\r\nTransfer-Encoding: chunked" % token.encode())
        await raw.send(b"\r\nContent-Type: application/json\r\n\r\n")
        for byte in body:
            await raw.send(b"1\r\n%c\r\n" % byte)
        await raw.send(b"0\r\nX-Trailer: %s\r\n\r\n" % (b"x" * 8_000) + PROBE)
        answer = await raw.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        await raw.closed()


async def test_what_stands_between_all_chunks_is_bounded(demo_url: str) -> None:
    """However little of it there is between two of them."""
    async with running_service(demo_url) as service, connected(service) as raw:
        path, token = messages_of((await service.open())["id"]), service.tokens[str(LEARNER)]
        await raw.send(b"POST %s HTTP/1.1\r\nHost: x\r\n" % path.encode())
        await raw.send(b"Authorization: Bearer %s\r\nTransfer-Encoding: chunked" % token.encode())
        await raw.send(b"\r\nContent-Type: application/json\r\n\r\n")
        with suppress(ConnectionError):
            for _ in range(100):
                await raw.send(b"1;%s\r\nx\r\n" % (b"y" * 1_000))
        assert (await raw.answer()).status == 400
        await raw.closed()


async def test_the_body_of_a_request_that_was_answered_is_not_parsed(
    demo_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = counted_bytes(monkeypatch)
    async with running_service(demo_url) as service, connected(service) as raw:
        path = messages_of((await service.open())["id"])
        await raw.send(b"POST %s HTTP/1.1\r\nHost: x\r\n" % path.encode())
        await raw.send(b"Content-Length: 900000\r\n\r\n")
        answer = await raw.answer()
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        parsed.clear()
        with suppress(ConnectionError):
            await raw.send(b"x" * 500_000)
        assert sum(parsed) == 0


async def test_heads_behind_a_slow_answer_wait_unread(
    demo_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few of them are parsed before their turn; in the end each is answered."""
    parsed, number = counted_bytes(monkeypatch), 300
    filling = b"".join(b"X-%d: %s\r\n" % (n, b"x" * 1_000) for n in range(15))
    heads = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + filling + b"\r\n"
    async with (
        FakeAnthropic() as fake,
        running_service(demo_url, anthropic_base_url=fake.url) as service,
        connected(service) as raw,
    ):
        path, body = messages_of((await service.open())["id"]), b'{"message": "x"}'
        fake.script(HELD)
        await raw.ask("POST", path, service.tokens[str(LEARNER)], length=len(body))
        sending = asyncio.create_task(raw.send(body + heads * number))
        await fake.wait_until(lambda: fake.stalled == 1)
        await asyncio.sleep(0.5)
        assert sum(parsed) < 600 * 1024
        fake.release()
        assert [(await raw.answer()).status for _ in range(1 + number)] == [200] * (1 + number)
        await sending


async def test_heads_that_are_too_large_take_no_memory(demo_url: str) -> None:
    """Sixty of them at once, of eight megabytes each."""
    await demo_tokens(demo_url)

    def resident(pid: int) -> int:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
        return int(fields[1]) * 4096

    async def send(raw: RawConnection) -> None:
        with suppress(ConnectionError):
            await raw.send(ENDLESS)

    async with service_process({"DATABASE_URL": demo_url}) as process:
        before = resident(process.process.pid)
        async with client(process.url, {}) as service, many(service, 60) as connections:
            await asyncio.gather(*(send(raw) for raw in connections))
            assert (await service.call("GET", "/healthz", user=None))[0] == 200
            assert resident(process.process.pid) - before < 100 * 1024**2


async def test_who_sends_no_whole_head_in_time_is_let_go(demo_url: str) -> None:
    """Silent, half sent, or byte by byte; the last two are told."""

    async def drip(raw: RawConnection) -> None:
        for _ in range(100):
            await raw.send(b"x")
            await asyncio.sleep(0.05)

    async with (
        running_service(demo_url, header_timeout=0.5) as service,
        many(service, 3) as (silent, half, slow),
    ):
        await half.send(HALF)
        await slow.send(HALF)
        dripping = asyncio.create_task(drip(slow))
        assert await silent.closed() == b""
        assert (await half.answer()).status == 408
        assert (await slow.answer()).status == 408
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)


COUNTED = b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2_000
"""Parsed in several pieces, of which the last may have what follows."""

UPGRADE = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
BEFORE = {
    "a request": PROBE,
    "a counted body": COUNTED,
    "a full pipeline": PROBE * 6,
    "a fuller pipeline": PROBE * 60,
    "a body and a pipeline": COUNTED + PROBE * 40,
    "an upgrade": UPGRADE,
}


@pytest.mark.parametrize("then", BEFORE.values(), ids=BEFORE)
async def test_a_head_right_behind_something_else_is_bounded(demo_url: str, then: bytes) -> None:
    """In time, and in size; where nothing follows, the connection is kept."""
    async with (
        running_service(demo_url, header_timeout=0.5, idle_timeout=60) as service,
        many(service, 3) as connections,
    ):
        half, large, whole = connections
        await half.send(then + HALF)
        await large.send(then + HALF + b"x" * 2 * MAX_HEAD)
        await whole.send(then)
        assert b" 408 " in await half.closed(within=10)
        assert b" 408 " not in await large.closed(within=10)
        assert await is_open(whole)


async def test_a_connection_between_two_requests_is_kept_for_a_while(demo_url: str) -> None:
    """Longer than a head may take, and with as many requests as one likes."""
    async with (
        running_service(demo_url, header_timeout=0.3, idle_timeout=1.5) as service,
        connected(service) as raw,
    ):
        for _ in range(4):
            await raw.send(PROBE)
            assert (await raw.answer()).status == 200
            await asyncio.sleep(0.5)
        assert await raw.closed() == b""


async def test_a_head_may_come_in_pieces(demo_url: str) -> None:
    async with running_service(demo_url) as service, connected(service) as raw:
        for byte in PROBE:
            await raw.send(bytes([byte]))
        assert (await raw.answer()).status == 200


@pytest.mark.parametrize("number", [2, 100, 3_000])
async def test_requests_may_be_sent_ahead(demo_url: str, number: int) -> None:
    """More than are parsed ahead, and in all more bytes than a head may have."""
    async with running_service(demo_url) as service, connected(service) as raw:
        sending = asyncio.create_task(raw.send(PROBE * number))
        for _ in range(number):
            assert (await raw.answer()).status == 200
        await sending


async def test_requests_with_bodies_may_be_sent_ahead(demo_url: str) -> None:
    async with running_service(demo_url) as service, connected(service) as raw:
        conversation = await service.open()
        body = b'{"message": "' + b"x" * 3_000 + b'"}'
        path = messages_of(conversation["id"])
        for _ in range(20):
            await raw.ask("POST", path, service.tokens[str(LEARNER)], length=len(body))
            await raw.send(body)
        statuses = [(await raw.answer()).status for _ in range(20)]
    assert statuses == [200] * 20


async def test_a_request_is_answered_whatever_comes_right_behind_it(demo_url: str) -> None:
    """With its body, if it has one; then the connection ends with the error of what is broken."""
    async with running_service(demo_url) as service:
        conversation = await service.open()
        body = b'{"message": "' + b"\r\n\r\n" * 3 + b'"}'  # no JSON, and so refused with a 400
        post = (
            f"POST {messages_of(conversation['id'])} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {service.tokens[str(LEARNER)]}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        for sent, statuses in (
            (PROBE, [200]),
            (PROBE * 3, [200] * 3),
            (post, [400]),
            (PROBE + post + PROBE, [200, 400, 200]),
            (post.replace(b"\r\n\r\n" * 3, b"Hello!rnrnrn"), [200]),
        ):
            for broken in (b"\0\0", b"\r\n\r\nG\0T / HTTP/1.1\r\n\r\n", BROKEN_LENGTH):
                async with connected(service) as raw:
                    await raw.send(sent + broken)
                    answered = [(await raw.answer()).status for _ in [*statuses, broken]]
                    assert answered == [*statuses, 400], (sent, broken)
                    assert await raw.closed() == b""


async def test_a_body_that_is_broken_fails_its_request(demo_url: str) -> None:
    """Where it is read; another request is answered as ever. Either way the connection ends."""
    async with running_service(demo_url) as service:
        conversation = await service.open()
        token = service.tokens[str(LEARNER)]
        for path, status in ((messages_of(conversation["id"]), 400), ("/api", 404)):
            head = (
                f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
                "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            ).encode()
            for pieces in ((head + b"zz\r\n" + PROBE,), (head, b"zz\r\n" + PROBE)):
                async with connected(service) as raw:
                    for piece in pieces:
                        await raw.send(piece)
                    assert (await raw.answer()).status == status
                    assert await raw.closed() == b""


@pytest.mark.parametrize("streamed", ["", "Accept: text/event-stream\r\n"], ids=["reply", "stream"])
async def test_an_answer_may_take_longer_than_any_head(demo_url: str, streamed: str) -> None:
    """Though another head was sent halfway behind the first."""
    async with (
        FakeAnthropic() as fake,
        running_service(
            demo_url, anthropic_base_url=fake.url, header_timeout=0.3, idle_timeout=0.3
        ) as service,
    ):
        conversation = await service.open()
        path, token = messages_of(conversation["id"]), service.tokens[str(LEARNER)]
        body = b'{"message": "x"}'
        fake.script(HELD)
        async with connected(service) as raw:
            await raw.send(
                f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
                f"{streamed}Content-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
                + HALF
            )
            await fake.wait_until(lambda: fake.stalled == 1)
            await asyncio.sleep(1)
            fake.release()
            answer = await raw.closed()
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"know?" in answer


@pytest.mark.skipif(
    not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system has no such timeout"
)
async def test_who_reads_no_answer_is_let_go(demo_url: str) -> None:
    """Though a request of theirs is under way; others have their place then."""
    page = b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n"
    async with running_service(demo_url, max_connections_per_address=1, idle_timeout=1) as service:

        async def has_place() -> bool:
            async with connected(service) as raw:
                await raw.send(PROBE)
                return (await raw.answer()).headers.get("connection") != "close"

        async with connected(service) as deaf:
            await deaf.send(page * 500)
            await asyncio.sleep(0.1)
            assert not await has_place()
            await eventually(has_place, within=60)


def deaf_to(service: Service, sent: bytes) -> socket.socket:
    """A connection with room for next to no answer, on which none is read."""
    host, _, port = service.url.removeprefix("http://").rpartition(":")
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    deaf.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    deaf.settimeout(5)
    deaf.connect((host, int(port)))
    deaf.setblocking(False)
    with suppress(BlockingIOError):
        deaf.send(sent)
    return deaf


@pytest.mark.slow
async def test_who_reads_no_answer_counts_however_short_it_is(demo_url: str) -> None:
    """250 such clients, as fast as others are told to go, leave descriptors for probes."""
    await demo_tokens(demo_url)
    sent = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" * 140
    async with (
        service_process({"DATABASE_URL": demo_url}, descriptors=160) as process,
        client(process.url, {}) as service,
    ):
        descriptors = Path(f"/proc/{process.process.pid}/fd")
        with ExitStack() as stack:
            for _ in range(250):
                stack.enter_context(await asyncio.to_thread(deaf_to, service, sent))
                await asyncio.sleep(0.055)
            await asyncio.sleep(1)
            assert len(list(descriptors.iterdir())) < 140
            async with connected(service) as raw:
                await raw.send(PROBE)
                assert (await raw.answer()).status == 200
        assert process.log_lines("accept_failed") == []


async def test_a_slow_readers_answers_are_all_sent(demo_url: str) -> None:
    """Though others are in need of its place: it has one until it has them."""
    number = 300
    async with running_service(
        demo_url, max_connections_per_address=1, max_connections=4
    ) as service:
        ask = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" * number
        with deaf_to(service, ask) as slow:
            await asyncio.sleep(0.5)
            async with connected(service) as raw:
                await raw.send(PROBE)
                assert (await raw.answer()).headers.get("connection") == "close"
            loop, got = asyncio.get_running_loop(), b""
            async with asyncio.timeout(30):
                while got.count(b"HTTP/1.1 404 ") < number and (
                    some := await loop.sock_recv(slow, 65_536)
                ):
                    got += some
            assert got.count(b"HTTP/1.1 404 ") == number


async def test_who_is_idle_makes_room(demo_url: str) -> None:
    """That for longest first; a whole request is always answered."""
    async with (
        running_service(demo_url, max_connections_per_address=4) as service,
        many(service, 12) as connections,
    ):
        for raw in connections[::2]:
            await raw.send(HALF)
        async with connected(service) as asking:
            await asking.send(PROBE)
            assert (await asking.answer()).status == 200
            assert await number_open(connections[:9]) == 0
            assert await number_open(connections[9:]) == 3


async def test_all_addresses_together_have_a_bound(demo_url: str) -> None:
    async with (
        running_service(demo_url, max_connections=8) as service,
        AsyncExitStack() as stack,
    ):
        connections = []
        for host in range(2, 8):
            connections += await stack.enter_async_context(many(service, 4, f"127.0.0.{host}"))
        async with connected(service) as asking:
            await asking.send(PROBE)
            assert (await asking.answer()).status == 200
        assert await number_open(connections) == 7


async def test_where_all_are_busy_probes_are_answered_and_others_told(
    demo_url: str,
) -> None:
    """And another address is served, until all places are taken."""
    async with running_service(
        demo_url, max_connections=6, max_connections_per_address=3
    ) as service:
        token = service.tokens[str(LEARNER)]
        async with many(service, 3) as held:
            for raw in held:
                await raw.ask("POST", CONVERSATIONS, token, length=10, expect=True)
            async with connected(service) as raw:
                await raw.send(PROBE)
                answer = await raw.answer()
                assert (answer.status, answer.headers["connection"]) == (200, "close")
            async with connected(service) as raw:
                await raw.ask("GET", CONVERSATIONS, token)
                answer = await raw.answer()
                assert (answer.status, answer.json["code"]) == (503, "busy")
            async with connected(service, "127.0.0.9") as raw:
                await raw.ask("GET", CONVERSATIONS, token)
                assert (await raw.answer()).status == 200
            assert await number_open(held) == 3


async def test_descriptors_are_kept_back_for_the_service_itself(
    demo_url: str, tmp_path: Path
) -> None:
    """With three hundred of them, twice as many silent clients stop neither probes nor sealing."""
    tokens = await demo_tokens(demo_url)
    settings = {
        "DATABASE_URL": demo_url,
        "COLLOQUY_HOME": str(tmp_path / "home"),
        "COLLOQUY_SEAL_SECONDS": "0.1",
    }
    async with (
        service_process(settings, descriptors=300) as process,
        client(process.url, tokens, demo_url) as service,
        many(service, 600),
    ):
        for _ in range(5):
            async with connected(service) as raw:
                await raw.send(PROBE)
                assert (await raw.answer()).status == 200
        assert (await service.call("GET", "/readyz", user=None))[0] == 200
        await service.open()
        head = await service.head()

        async def sealed() -> bool:
            return int(await fetch_value(demo_url, SEALED)) >= head

        await eventually(sealed)
        assert process.log_lines("accept_failed") == []


def some(total: int = 4, per_address: int = 2) -> Connections:
    return Connections(
        Bounds(total=total, per_address=per_address, header_timeout=1, idle_timeout=1)
    )


def admitted(connections: Connections, address: str) -> Place:
    place = connections.admit(address)
    assert place is not None
    place.evict = lambda: None
    return place


def test_a_place_that_is_left_is_free_again() -> None:
    connections = some()
    for _ in range(10):
        place = admitted(connections, "a")
        assert not place.surplus
        connections.busy(place)
        connections.leave(place)
        connections.leave(place)


def test_a_connection_that_is_not_made_yet_makes_no_room() -> None:
    connections = some()
    places = [admitted(connections, "a") for _ in range(3)]
    assert [place.surplus for place in places] == [False, False, True]


def test_there_are_few_places_for_probes() -> None:
    connections = some()
    for _ in range(2 + SURPLUS):
        admitted(connections, "a")
    assert connections.admit("a") is None
    assert not admitted(connections, "b").surplus


def test_who_makes_room_counts_until_it_is_gone() -> None:
    connections = some(total=2)
    first, second = admitted(connections, "a"), admitted(connections, "b")
    for place in (first, second):
        connections.idle(place)
    connections.busy(first)
    assert not admitted(connections, "c").surplus
    assert not second.left
    assert admitted(connections, "d").surplus
    connections.leave(second)
    assert admitted(connections, "d").surplus
    connections.idle(first)
    assert not admitted(connections, "d").surplus


def test_who_makes_room_is_one_at_a_time() -> None:
    """Where an address and all together are at their bounds, one of that address's own."""
    connections = some(total=3)
    evicted: list[Place] = []
    for address in ("b", "a", "a"):
        place = admitted(connections, address)
        place.evict = partial(evicted.append, place)
        connections.idle(place)
    assert not admitted(connections, "a").surplus
    assert [place.address for place in evicted] == ["a"]


@pytest.mark.parametrize(
    ("descriptors", "provider", "expected"),
    [
        (300, False, (204, 153)),
        (300, True, (68, 51)),
        (100_000, True, (10_000, 2_000)),
        (9, True, (1, 1)),
    ],
)
def test_bounds_leave_descriptors_for_replies(
    descriptors: int, provider: bool, expected: tuple[int, int]
) -> None:
    bounds = bounds_of(Settings(), descriptors, provider=provider)
    assert (bounds.total, bounds.per_address) == expected


def test_a_network_of_ipv6_counts_as_one_address() -> None:
    one = {network_of(address) for address in ("2001:db8::1", "2001:db8:0:0:ffff::2")}
    assert one == {"2001:db8::/64"}
    assert network_of("fe80::1%eth0") == "fe80::/64"
    assert network_of("2001:db8:0:1::1") not in one
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") == "192.0.2.1"
    connections = some(total=9)
    for number in range(3):
        last = connections.admit(f"2001:db8::{number}")
    assert last is not None
    assert last.surplus
