"""Whatever bytes come as a request, the answer is one of the contract, with its line in the log."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from tests.databases import cloned_database
from tests.running import (
    API,
    CONVERSATIONS,
    LEARNER,
    TEACHER,
    Service,
    eventually,
    messages_of,
    running_service,
)
from tests.service.raw_http import Answer, connected

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODY = b'{"message": "x"}'
UNREAD = "the request could not be read"
NO_CODING = "the body must be uncompressed, or compressed with gzip or deflate"
NO_HOST = "Host must be a name or an address, with a port or without"
BROKEN = "the body cannot be read"
SAFE = ("x-content-type-options", "referrer-policy", "x-frame-options", "cache-control")
EXPERIENCES = "/api/v1/courses/1/ai_experiences"

some = settings(
    max_examples=120,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(server_url: str) -> AsyncIterator[Service]:
    """It waits for nobody: what is half sent is answered soon."""
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url, header_timeout=0.5, body_timeout=0.5) as running,
    ):
        yield running
        await running.history()  # which is as readable as before


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def path(service: Service) -> str:
    """Where a conversation takes messages."""
    return messages_of((await service.open())["id"])


def head(line: str | bytes, *headers: str | bytes) -> bytes:
    lines = [text.encode() if isinstance(text, str) else text for text in (line, *headers)]
    return b"\r\n".join([*lines, b"", b""])


async def ask(
    service: Service, sent: bytes, *, bodiless: bool = False
) -> tuple[Answer, list[dict[str, Any]]]:
    """The answer to bytes, and what the log says by then."""
    with capture_logs(processors=[merge_contextvars]) as lines:
        async with connected(service) as raw:
            await raw.send(sent)
            while (answer := await raw.answer(bodiless=bodiless)).status < 200:
                pass
        reference = answer.headers["x-request-id"]
        await eventually(lambda: any(line.get("request_id") == reference for line in lines))
    return answer, [dict(line) for line in lines]


def assert_is_contracts(answer: Answer, lines: list[dict[str, Any]], request: object) -> None:
    """It has the shape of an answer or an error, and the log has its line."""
    assert answer.status < 500 or answer.status == 503, (request, answer, lines)
    assert all(name in answer.headers for name in SAFE), (request, answer)
    told = [line for line in lines if line["event"] == "request"]
    reference = answer.headers["x-request-id"]
    assert [line["status"] for line in told if line.get("request_id") == reference] == [
        answer.status
    ]
    if answer.status >= 400 and answer.body:
        assert answer.headers["content-type"].startswith("application/json"), (request, answer)
        assert answer.json["reference_id"] == reference, (request, answer)


async def test_what_never_becomes_a_request_is_answered_as_all_else(service: Service) -> None:
    """A line that is none, headers that are none, bodies that have no length."""
    token = f"Authorization: Bearer {service.tokens[str(LEARNER)]}"
    get, post = f"GET {CONVERSATIONS} HTTP/1.1", f"POST {CONVERSATIONS} HTTP/1.1"
    for unread in (
        b"rubbish\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        head("FOO / HTTP/1.1", "Host: x"),
        head("GET / HTTP/9.9", "Host: x"),
        head(b"GET /\xff HTTP/1.1", "Host: x"),
        head(f"GET http://x:99999{CONVERSATIONS} HTTP/1.1", "Host: x", token),
        head(get, token),
        head(get, "Host: x", "Host: x", token),
        head(get, "Host: x", token, b"X: a\x00b"),
        head(get, "Host: x", token, "No colon"),
        head(get, "Host: x", token, "Space : x"),
        head(get, "Host: x", token, " folded"),
        head(get, "Host: x", token, "Sec-WebSocket-Key1: x"),
        head(get, "Host: x", token, *(f"X-{n}: x" for n in range(200))),
        head(post, "Host: x", token, "Content-Length: abc"),
        head(post, "Host: x", token, "Content-Length: -1"),
        head(post, "Host: x", token, f"Content-Length: {'9' * 30}"),
        head(post, "Host: x", token, "Content-Length: 1", "Content-Length: 2"),
        head(post, "Host: x", token, "Content-Length: 1", "Transfer-Encoding: chunked"),
        head(post, "Host: x", token, "Transfer-Encoding: foo"),
        head(post, "Host: x", token, "Content-Type: a/b", "Content-Type: a/b"),
    ):
        answer, lines = await ask(service, unread)
        assert (answer.status, answer.json["error"]) == (400, UNREAD), unread
        assert_is_contracts(answer, lines, unread)
        assert answer.headers["connection"] == "close"


async def test_what_is_too_long_or_too_slow_is_answered_as_all_else(service: Service) -> None:
    """Before its head was read to the end."""
    for unread, status in (
        (head("GET / HTTP/1.1", "Host: x", f"X: {'x' * 40_000}"), 431),
        (head(f"GET /{'x' * 40_000} HTTP/1.1", "Host: x"), 431),
        (b"GET / HTTP/1.1\r\nHost: x", 408),
        (b"GET", 408),
    ):
        answer, lines = await ask(service, unread)
        assert answer.status == status
        assert_is_contracts(answer, lines, unread)


async def test_expectations_that_cannot_be_met_are_refused(service: Service, path: str) -> None:
    """On every path; by one line or several, and in any letters."""
    token = f"Authorization: Bearer {service.tokens[str(LEARNER)]}"
    length = f"Content-Length: {len(BODY)}"
    before = await service.head()
    for target in (path, CONVERSATIONS, "/nowhere", "/healthz"):
        for lines_of in (
            ("Expect: foo",),
            ("Expect: 100-continue, foo",),
            ("Expect: 100-continue", "Expect: foo"),
            ('Expect: "100-continue"',),
            ("Expect: 100-continue=1",),
        ):
            sent = head(f"POST {target} HTTP/1.1", "Host: x", token, length, *lines_of) + BODY
            answer, lines = await ask(service, sent)
            assert answer.status == 417, sent
            assert_is_contracts(answer, lines, sent)
    assert await service.head() == before, "something was appended"


async def test_100_continue_is_met_in_any_letters(service: Service, path: str) -> None:
    for expected in ("100-continue", "100-Continue", "100-CONTINUE"):
        headers = {"Content-Type": "application/json", "Expect": expected}
        assert (await service.call("POST", path, data=BODY, headers=headers))[0] == 200


async def test_a_host_that_is_none_is_refused(service: Service) -> None:
    """Where links are made of it, and elsewhere."""
    token = f"Authorization: Bearer {service.tokens[str(LEARNER)]}"
    for host in (
        *("", "a:b", "x:99999", "x:-1", "x:8080:1", ":80", "[::1", "::1", "[::g]", "[1.2.3.4]"),
        *("a b", "a/b", "a@b", "http://x", "a,b", "a?b", "é", "x:٣", "a%20b", "<x>", "a\\b"),
    ):
        for target in (EXPERIENCES, "/healthz", "/nowhere"):
            sent = head(f"GET {target} HTTP/1.1", f"Host: {host}", token)
            answer, lines = await ask(service, sent)
            assert (answer.status, answer.json["error"]) == (400, NO_HOST), sent
            assert_is_contracts(answer, lines, sent)


async def test_a_host_may_be_a_name_or_an_address_with_a_port(service: Service) -> None:
    """HTTP/1.0 needs none."""
    token = f"Authorization: Bearer {service.tokens[str(LEARNER)]}"
    for host in (
        *("x", "X.example.edu.", "a_b:80", "x:", "x:65535", "127.0.0.1:1", "[::1]", "[::1]:8080"),
        *("a..b", "-", ".", "...", "x" * 300, "xn--a", "0", "1.2.3.4.5", "256.1.1.1"),
    ):
        sent = head(f"GET {EXPERIENCES} HTTP/1.1", f"Host: {host}", token)
        answer, lines = await ask(service, sent)
        assert answer.status == 200, (sent, answer)
        assert_is_contracts(answer, lines, sent)
        assert answer.headers["link"].startswith("<http://")
    answer, _ = await ask(service, head(f"GET {EXPERIENCES} HTTP/1.0", token))
    assert answer.status == 200


async def test_a_coding_that_is_not_known_is_refused(service: Service, path: str) -> None:
    """Nothing of the body is taken; the answer says what is known."""
    packed = gzip.compress(BODY)
    for coding, body in (
        *((coding, BODY) for coding in ("br", "zstd", "foo", "compress", "gzip;q=1, br", "*")),
        *(
            (coding, packed)
            for coding in ("gzip, gzip", "gzip, br", "gzip\r\nContent-Encoding: br")
        ),
    ):
        headers = ("Content-Type: application/json", f"Content-Encoding: {coding}")
        token = f"Authorization: Bearer {service.tokens[str(LEARNER)]}"
        length = f"Content-Length: {len(body)}"
        before = await service.head()
        sent = head(f"POST {path} HTTP/1.1", "Host: x", token, length, *headers) + body
        answer, lines = await ask(service, sent)
        assert (answer.status, answer.json["error"]) == (415, NO_CODING), coding
        assert answer.headers["accept-encoding"] == "gzip, deflate"
        assert_is_contracts(answer, lines, sent)
        assert await service.head() == before, "something was appended"


async def test_a_coding_may_be_written_in_any_way(service: Service, path: str) -> None:
    raw = zlib.compressobj(wbits=-15)
    for coding, body in (
        *((coding, gzip.compress(BODY)) for coding in ("gzip", "GZip", "x-gzip", "identity, gzip")),
        *((coding, zlib.compress(BODY)) for coding in ("deflate", "Deflate")),
        ("deflate", raw.compress(BODY) + raw.flush()),
        *((coding, BODY) for coding in ("identity", "Identity", ",", "")),
    ):
        headers = {"Content-Type": "application/json", "Content-Encoding": coding}
        status, answer = await service.call("POST", path, data=body, headers=headers)
        assert (status, answer["messages"][-2]["text"]) == (200, "x"), coding


async def test_a_compressed_body_must_be_whole_and_alone(service: Service, path: str) -> None:
    packed = gzip.compress(BODY)
    for body in (packed[:-1], packed[:-9], packed + b"x", packed * 2, b"\x1f", BODY):
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        await service.refused(400, {"error": BROKEN}, "POST", path, data=body, headers=headers)


async def test_a_chunk_that_is_broken_is_its_requests_fault(service: Service, path: str) -> None:
    """It gets one answer, and what follows none: it may be meant to pass for a request."""
    token = f"Authorization: Bearer {service.tokens[str(LEARNER)]}"
    chunked = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    for broken in (
        b"zz\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloXX\r\n0\r\n\r\n",
        b"3\r\nabc\r\n" + head("GET /healthz HTTP/1.1", "Host: x"),
        b"0\r\nbad trailer\x00\r\n\r\n",
        b"-1\r\n\r\n",
        b"fffffffffffffffff\r\n",
    ):
        async with connected(service) as raw:
            await raw.send(head(f"POST {path} HTTP/1.1", "Host: x", token, *chunked))
            await asyncio.sleep(0.05)
            await raw.send(broken)
            answer = await raw.answer()
            assert (answer.status, answer.json["error"]) == (400, BROKEN), broken
            assert await raw.closed() == b""


async def test_a_transfer_coding_other_than_chunked_is_refused(service: Service, path: str) -> None:
    """What its chunks are packed in would be taken for the body."""
    token = f"Authorization: Bearer {service.tokens[str(LEARNER)]}"
    packed = gzip.compress(BODY)
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(packed), packed)
    for coding in ("gzip, chunked", "foo,Chunked", "gzip;q=1 , chunked"):
        kind = ("Content-Type: application/json", f"Transfer-Encoding: {coding}")
        sent = head(f"POST {path} HTTP/1.1", "Host: x", token, *kind) + body
        answer, lines = await ask(service, sent)
        assert answer.status == 400, coding
        assert_is_contracts(answer, lines, sent)


async def test_a_body_that_is_announced_as_endless_is_too_large(
    service: Service, path: str
) -> None:
    token = f"Authorization: Bearer {service.tokens[str(LEARNER)]}"
    for length in (1024**2 + 1, 2**63, 2**64 - 1):
        kind = ("Content-Type: application/json", f"Content-Length: {length}")
        sent = head(f"POST {path} HTTP/1.1", "Host: x", token, *kind) + BODY
        answer, lines = await ask(service, sent)
        assert answer.status == 413, length
        assert_is_contracts(answer, lines, sent)


async def test_json_that_is_nested_deeply_is_refused(service: Service, path: str) -> None:
    """Wherever anything may stand in it."""
    for target, user in ((path, LEARNER), (EXPERIENCES, TEACHER), (API, TEACHER)):
        for depth in (2_000, 100_000):
            for before, after in ((b"[", b"]"), (b'{"a":', b"}")):
                deep = before * depth + b"1" + after * depth
                for body in (deep, b'{"title": %b}' % deep):
                    method = "PUT" if target == API else "POST"
                    kind = {"Content-Type": "application/json"}
                    status, answer = await service.call(
                        method, target, user=user, data=body[: 1024**2], headers=kind
                    )
                    assert status == 400, (target, depth, before)
                    assert "reference_id" in answer


NAMES = st.sampled_from(
    [
        *("Accept", "Authorization", "Accept-Encoding", "Connection", "Content-Type", "Cookie"),
        *("Content-Encoding", "Content-Length", "Expect", "Host", "Idempotency-Key", "If-Match"),
        *("If-None-Match", "If-Modified-Since", "Last-Event-ID", "Origin", "Prefer", "Range"),
        *("TE", "Trailer", "Transfer-Encoding", "Upgrade", "Via", "X-Audit-Reason", "X-Request-Id"),
        *("X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Keep-Alive", "Content-Range"),
        *("Access-Control-Request-Method", "Sec-WebSocket-Key", "HTTP2-Settings", "x"),
    ]
).map(str.encode)
PIECES = st.sampled_from(
    [
        *b', ; = " \\ * / : [ ] ( ) < > @ % - . 0 1 9 \t'.split(b" "),
        *(b" ", b"\xff", b"\xc3\xa9", b"\x00", b"\x7f", b"\r", b"9" * 20, b"99999", b"x" * 100),
        *(b"q=0", b"q=1e3", b";q=0.5", b"charset=utf-8", b'"', b"W/", b'"1-1"', b"none"),
        *(b"text/event-stream", b"application/json", b"text/html", b"*/*", b"gzip", b"br"),
        *(b"100-continue", b"close", b"keep-alive", b"upgrade", b"websocket", b"h2c", b"chunked"),
        *(
            b"Bearer",
            b"bearer ",
            b"Basic",
            b"a.b.c",
            b"localhost",
            b"::1",
            b"http://x",
            b"bytes=0-",
        ),
    ]
)
VALUES = st.one_of(st.lists(PIECES, max_size=6).map(b"".join), st.binary(max_size=30))
LINES = st.one_of(
    st.tuples(NAMES, st.sampled_from([b": ", b":", b" : ", b"\t:"]), VALUES).map(b"".join),
    st.tuples(NAMES, VALUES).map(b": ".join),
    st.binary(max_size=30),
)
TARGETS = st.one_of(
    st.sampled_from(
        [
            *(CONVERSATIONS, API, EXPERIENCES, "/api/v1/audit/events", "/docs"),
            *("/api/v1/users/self/learner_record", "/api/v1/analytics/courses", "/", "*"),
            *(f"http://x{EXPERIENCES}", "ftp://x/", "//x/y", "x:80", "http://a:b/", "http://["),
        ]
    ).map(str.encode),
    st.lists(
        st.sampled_from([b"/", b"?", b"#", b"%", b"%00", b"%ff", b"%2f", b"..", b"&", b"=", b"a"])
        | st.binary(max_size=4),
        max_size=8,
    ).map(lambda parts: b"/" + b"".join(parts)),
    st.tuples(
        st.sampled_from([EXPERIENCES, "/api/v1/audit/events", "/api/v1/analytics/courses"]),
        st.lists(st.sampled_from(["page", "per_page", "from", "after", "type", "as_user_id", "&"])),
        st.text(max_size=10),
    ).map(lambda it: f"{it[0]}?{'='.join(it[1])}={it[2]}".encode(errors="replace")),
)
METHODS = st.sampled_from(
    [b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH", b"CONNECT", b"TRACE", b"x"]
)
BODIES = st.one_of(
    st.just(b""),
    st.just(BODY),
    st.binary(max_size=50),
    st.binary(max_size=20).map(lambda raw: b"%x\r\n%b\r\n0\r\n\r\n" % (len(raw), raw)),
    st.recursive(st.none() | st.text(max_size=3) | st.floats(), st.lists, max_leaves=5).map(
        lambda value: json.dumps({"message": value}).encode()
    ),
)


@some
@given(
    method=METHODS,
    target=TARGETS,
    lines=st.lists(LINES, max_size=4),
    body=BODIES,
    plain=st.booleans(),
    user=st.sampled_from([None, LEARNER, TEACHER]),
)
async def test_any_request_has_an_answer_and_the_next_one_too(
    service: Service,
    method: bytes,
    target: bytes,
    lines: list[bytes],
    body: bytes,
    plain: bool,
    user: int | None,
) -> None:
    """Any header line, any target, any body."""
    own = [b"Host: x", b"Content-Length: %d" % len(body), b"Content-Type: application/json"]
    if user is not None:
        own.append(b"Authorization: Bearer " + service.tokens[str(user)].encode())
    sent = head(b"%b %b HTTP/1.1" % (method, target), *(own if plain else own[:1]), *lines) + body
    answer, told = await ask(service, sent, bodiless=method == b"HEAD")
    assert_is_contracts(answer, told, sent)
    assert not [line for line in told if line["event"] in ("request_broke", "request_failed")], sent
    assert (await service.call("GET", "/healthz", user=None))[0] == 200
