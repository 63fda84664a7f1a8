"""Whatever comes in, the answer is a documented one and the log stays as it was."""

import asyncio
import gzip
import io
import json
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import ANY
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from eventstore.dialogue_events import MessagePosted
from tests.databases import cloned_database
from tests.running import CONVERSATIONS, LEARNER, Service, messages_of, running_service
from tests.service.raw_http import connected

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
REQUIRED = "message is required"
TOO_LONG = "message must be 4000 characters or fewer"
NO_NUL = "message must not contain the NUL character"
UNREADABLE = "the body cannot be read"
TYPES = "the body must be application/json or application/x-www-form-urlencoded"
NOT_FOUND = {"error": "Resource Not Found"}

GOOD_TEXTS = {
    "emoji": "The tide 🌊👩‍👩‍👧‍👦🇳🇴",
    "right to left": "שלום \u202eعالم\u202c",
    "combining": "e\u0301 is not \u00e9, nor is \u1e9b\u0323",
    "zero width": "a\u200bb\u200d\ufeffc",
    "controls": "bell \x07, escape \x1b[31m, tab \t, line\r\nfeed\u2028",
    "quotes": 'it\'s "quoted" \\ and $1; DROP TABLE events; -- <b>&amp;</b> {mark} %s',
    "outer white space": "  \n kept \t ",
    "private and last": "\ue000\U0010ffff\ufffd",
    "4000 letters": "x" * 4000,
    "4000 emoji": "🌊" * 4000,
    "4000 of three bytes": "水" * 4000,
    "one letter": "x",
    "number": "007",
}
IMPOSSIBLE_IDS = {
    "letters": "abc",
    "negative": "-1",
    "plus": "+1",
    "zero": "0",
    "22 digits": "9999999999999999999999",
    "beyond bigint": "9223372036854775808",
    "20 digits with zeros": "00000000000000000001",
    "decimal": "1.5",
    "exponent": "1e3",
    "hexadecimal": "0x1",
    "NUL": "%00",
    "NUL behind": "1%00",
    "arabic digit": "%D9%A1",
    "fullwidth digit": "%EF%BC%91",
    "superscript": "%C2%B2",
    "invalid UTF-8": "%FF",
    "blank": "%20",
    "blank behind": "1%20",
    "slash": "1%2F2",
    "quote": "1%27",
    "underscore": "1_0",
    "10000 digits": "9" * 10_000,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(server_url: str) -> AsyncIterator[Service]:
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url) as running,
    ):
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def path(service: Service) -> str:
    """Where one conversation, which all tests share, takes messages."""
    return messages_of((await service.open())["id"])


def of_type(media: str | None) -> dict[str, Any]:
    return {"headers": {"Content-Type": media}} if media else {}


async def assert_refused(
    service: Service, status: int, error: str, path: str, body: bytes, media: str = JSON
) -> None:
    await service.refused(status, {"error": error}, "POST", path, data=body, **of_type(media))


async def status_of(
    service: Service, path: str, body: bytes, media: str | None = JSON
) -> tuple[int, str]:
    """Status and error of a request that must be refused, whatever the words."""
    head = await service.head()
    response = await service.request("POST", path, data=body, **of_type(media))
    answer = await response.json()
    assert set(answer) == {"error", "reference_id"}, answer
    assert await service.head() == head, "something was appended"
    return response.status, answer["error"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"message": "x"',
        b'{"message": "x"} trailing',
        b'{"message": "x",}',
        b"{'message': 'x'}",
        b'{"message": NaN}',
        b'{"message": "\xff"}',
        b'{"message": "\xed\xa0\x80"}',
        b'{"message": "\xc0\x80"}',
        b'{"message": "caf\xe9"}',
        b'{"message": "line\nfeed"}',
        b'{"message": "\\x"}',
        b'{"message": "\\ud800"}',
        b'{"message": "before \\ud800 and after"}',
        b'{"message": "\\udc00\\ud800 the wrong way round"}',
        b'{"message": "\\ud800\\u0041 half a pair"}',
        b'{"\\ud800": "x"}',
        b"\xff\xfe{\x00}\x00",
        b"\x00",
        b"message=x",
    ],
)
async def test_broken_json_is_refused(body: bytes, service: Service, path: str) -> None:
    """Lone surrogates and bytes that are no UTF-8 included."""
    status, error = await status_of(service, path, body)
    assert status == 400
    assert error.startswith("the body is not valid JSON in UTF-8: ")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"null", "Expected object, got null"),
        (b"[]", "Expected object, got array"),
        (b'["x"]', "Expected object, got array"),
        (b'"message"', "Expected object, got str"),
        (b"1", "Expected object, got int"),
        (b'{"message": 1}', "message: Expected str | null, got int"),
        (b'{"message": 1.5}', "message: Expected str | null, got float"),
        (b'{"message": true}', "message: Expected str | null, got bool"),
        (b'{"message": ["x"]}', "message: Expected str | null, got array"),
        (b'{"message": {"text": "x"}}', "message: Expected str | null, got object"),
        (b'{"message": "x", "text": "x"}', "Object contains unknown field text"),
        (b'{"Message": "x"}', "Object contains unknown field Message"),
        (b'{"message": "x", "\\u0000": 1}', "Object contains unknown field \0"),
        (b'{"message": "x", "id": 1}', "Object contains unknown field id"),
    ],
)
async def test_wrong_types_and_unknown_fields_are_named(
    body: bytes, error: str, service: Service, path: str
) -> None:
    await assert_refused(service, 400, error, path, body)


@pytest.mark.parametrize(
    ("body", "media"),
    [
        (b"", JSON),
        (b"{}", JSON),
        (b'{"message": null}', JSON),
        (b'{"message": ""}', JSON),
        (b'{"message": " \\t\\r\\n"}', JSON),
        ('{"message": "\u00a0\u3000\u2028"}'.encode(), JSON),
        (b"", FORM),
        (b"message", FORM),
        (b"message=", FORM),
        (b"message=+%20%0A", FORM),
        (b"&&", FORM),
    ],
)
async def test_a_message_that_says_nothing_is_required(
    body: bytes, media: str, service: Service, path: str
) -> None:
    await assert_refused(service, 400, REQUIRED, path, body, media)


@pytest.mark.parametrize("letter", ["x", "🌊", "é"])
async def test_a_message_of_4001_characters_is_too_long(
    letter: str, service: Service, path: str
) -> None:
    """Characters, not bytes and not UTF-16 units; in both encodings."""
    text = letter * 4001
    await service.refused(422, {"error": TOO_LONG}, "POST", path, json={"message": text})
    await service.refused(422, {"error": TOO_LONG}, "POST", path, data={"message": text})


@pytest.mark.parametrize(
    ("body", "media"),
    [
        (b'{"message": "a\\u0000b"}', JSON),
        (b'{"message": "\\u0000"}', JSON),
        (b"message=a%00b", FORM),
        (b"message=a\x00b", FORM),
        (b"message=%00", FORM),
    ],
)
async def test_nul_is_refused(body: bytes, media: str, service: Service, path: str) -> None:
    """PostgreSQL cannot store it."""
    await assert_refused(service, 400, NO_NUL, path, body, media)


@pytest.mark.parametrize(
    "body",
    [
        b"message=%FF",
        b"message=%C3",
        b"message=%ED%A0%80",
        b"message=%C0%80",
        b"%FF=x",
        b"message=caf\xe9",
        b"&".join(b"a%d=x" % number for number in range(1001)),
    ],
    ids=["ff", "half", "surrogate", "overlong", "key", "raw", "1001 fields"],
)
async def test_a_form_that_cannot_be_read_is_refused(
    body: bytes, service: Service, path: str
) -> None:
    status, error = await status_of(service, path, body, FORM)
    assert status == 400
    assert error.startswith("the form cannot be read: ")


@pytest.mark.parametrize("key", ["a[", "a]", "[a]", "a[]", "a[b", "a[b]c", "[]", "a[[b]]", ""])
async def test_a_form_key_that_is_broken_is_refused(key: str, service: Service, path: str) -> None:
    body = urlencode({key: "x"}).encode()
    await assert_refused(service, 400, f"the form key {key!r} cannot be read", path, body, FORM)


@pytest.mark.parametrize("body", [b"message=a&message[b]=c", b"message[b]=c&message=a"])
async def test_a_form_key_cannot_be_a_value_and_a_group(
    body: bytes, service: Service, path: str
) -> None:
    """In neither order."""
    status, error = await status_of(service, path, body, FORM)
    assert status == 400
    assert error.endswith("stands for a value and for a group")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"message[text]=x", "message: Expected str | null, got object"),
        (b"message=x&text=y", "Object contains unknown field text"),
        (b"ai_experience[message]=x", "Object contains unknown field ai_experience"),
    ],
)
async def test_a_forms_fields_are_checked_like_jsons(
    body: bytes, error: str, service: Service, path: str
) -> None:
    await assert_refused(service, 400, error, path, body, FORM)


@pytest.mark.parametrize(
    ("body", "media"),
    [(b"message=first&message=last", FORM), (b'{"message": "first", "message": "last"}', JSON)],
)
async def test_of_a_field_that_comes_twice_the_last_counts(
    body: bytes, media: str, service: Service, path: str
) -> None:
    """As in Canvas, in both encodings."""
    status, answer = await service.call("POST", path, data=body, **of_type(media))
    assert status == 200
    assert answer["messages"][-2]["text"] == "last"


@pytest.mark.parametrize("body", [b'{"message": 1}', b"[]", b'{"title": "x"}', b"{", b"\xff"])
async def test_a_body_that_opens_no_conversation_leaves_the_old_one(
    body: bytes, service: Service, path: str
) -> None:
    before = await service.active()
    status, _ = await status_of(service, CONVERSATIONS, body)
    assert status == 400
    assert await service.active() == before


@pytest.mark.parametrize(
    "media",
    [
        "text/plain",
        "text/json",
        "application/xml",
        "application/jsonp",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "application/x-msgpack",
        "rubbish",
        ";",
    ],
)
async def test_another_content_type_is_unsupported(media: str, service: Service, path: str) -> None:
    await assert_refused(service, 415, TYPES, path, b'{"message": "x"}', media)


@pytest.mark.parametrize(
    "media", ["application/json; charset=utf-8", "Application/JSON", "application/json ; a=b"]
)
async def test_a_content_type_may_have_parameters_and_any_case(
    media: str, service: Service, path: str
) -> None:
    status, _ = await service.call("POST", path, data=b'{"message": "x"}', **of_type(media))
    assert status == 200


async def test_a_charset_other_than_utf_8_is_unsupported(service: Service, path: str) -> None:
    """What its bytes mean there is something else here, and valid all the same."""
    error = "the charset of the body must be UTF-8"
    for media in (
        f"{JSON}; charset=iso-8859-1",
        f'{JSON};CHARSET="utf-16"',
        f"{FORM};charset=cp1252",
    ):
        body = b"message=\xc3\xa9" if media.startswith(FORM) else b'{"message": "\xc3\xa9"}'
        await assert_refused(service, 415, error, path, body, media)


async def test_json_may_begin_with_a_byte_order_mark(service: Service, path: str) -> None:
    """As some editors put one before all that they write; one is enough."""
    mark = b"\xef\xbb\xbf"
    status, answer = await service.call(
        "POST", path, data=mark + b'{"message": "marked"}', **of_type(JSON)
    )
    assert (status, answer["messages"][-2]["text"]) == (200, "marked")
    for body in (
        mark * 2 + b"{}",
        mark,
        b"{" + mark + b"}",
        b"\xfe\xff\x00{\x00}",
        mark[:2] + b"{}",
    ):
        status, error = await status_of(service, path, body)
        assert (status, error[:36]) == (400, "the body is not valid JSON in UTF-8:")


async def test_what_is_no_list_is_given_once(service: Service, path: str) -> None:
    """Of two the first would count, and the other be believed in by who reads along."""
    for name in ("Idempotency-Key", "Last-Event-ID", "Origin", "X-Audit-Reason"):
        sent = [f"POST {path} HTTP/1.1", "Host: x", f"{name}: a", f"{name}: a"]
        sent.append(f"Authorization: Bearer {service.tokens[str(LEARNER)]}")
        async with connected(service) as raw:
            await raw.send("\r\n".join([*sent, "Content-Length: 0", "", ""]).encode())
            answer = await raw.answer()
        assert (answer.status, answer.json["error"]) == (400, f"{name} must be given once")


async def test_the_scheme_of_a_token_may_be_in_any_letters(service: Service) -> None:
    token = service.tokens[str(LEARNER)]
    for scheme in ("Bearer", "bearer", "BEARER", "bEARER "):
        headers = {"Authorization": f"{scheme} {token}"}
        assert (await service.call("GET", CONVERSATIONS, headers=headers))[0] == 200
    for other in (
        f"Token {token}",
        f"Bearer{token}",
        f"Bearer={token}",
        token,
        "Bearer",
        "Bearer  ",
    ):
        assert (await service.call("GET", CONVERSATIONS, headers={"Authorization": other}))[
            0
        ] == 401


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_compressed_body_that_is_broken_is_refused(
    encoding: str, service: Service, path: str
) -> None:
    headers = {"Content-Type": JSON, "Content-Encoding": encoding, "Connection": "close"}
    await service.refused(
        400, {"error": UNREADABLE}, "POST", path, data=b"\x1f\x8brubbish", headers=headers
    )


async def test_a_body_that_is_small_only_while_compressed_is_too_large(
    service: Service, path: str
) -> None:
    packed = gzip.compress(b" " * 64 * 1024**2)
    headers = {"Content-Type": JSON, "Content-Encoding": "gzip", "Connection": "close"}
    error = {"error": "the body must be 1 MiB or smaller"}
    await service.refused(413, error, "POST", path, data=packed, headers=headers)


@pytest.mark.parametrize("media", [JSON, FORM, "text/plain"])
async def test_a_body_of_2_mib_is_too_large(media: str, service: Service, path: str) -> None:
    error = {"error": "the body must be 1 MiB or smaller"}
    body = io.BytesIO(b'{"message": "' + b"x" * 2 * 1024**2)
    headers = {"Content-Type": media, "Connection": "close"}
    await service.refused(413, error, "POST", path, data=body, headers=headers)


async def test_a_body_of_almost_1_mib_is_not_too_large(service: Service, path: str) -> None:
    """Then it is the message that is."""
    body = io.BytesIO(b'{"message": "' + b"x" * (1024**2 - 100) + b'"}')
    error = {"error": TOO_LONG}
    await service.refused(422, error, "POST", path, data=body, **of_type(JSON))


@pytest.mark.parametrize(
    ("body", "media"),
    [
        (b"[" * 500_000, JSON),
        (b'{"message":' * 50_000, JSON),
        (b'{"message":' + b"[" * 500_000 + b"]" * 500_000 + b"}", JSON),
        (b'{"x":' + b'{"x":' * 100_000 + b"1" + b"}" * 100_001, JSON),
        (b"message" + b"[x]" * 300_000 + b"=1", FORM),
        (b"[" * 500_000 + b"=1", FORM),
    ],
    ids=["open arrays", "open objects", "arrays", "objects", "form groups", "form brackets"],
)
async def test_deep_nesting_is_refused(
    body: bytes, media: str, service: Service, path: str
) -> None:
    status, _ = await status_of(service, path, body, media)
    assert status == 400


@pytest.mark.parametrize("text", GOOD_TEXTS.values(), ids=GOOD_TEXTS.keys())
async def test_what_was_said_is_kept_byte_for_byte(text: str, service: Service, path: str) -> None:
    """In the answer, in what GET shows and in the log; from JSON and from a form."""
    for encoding in ("json", "data"):
        said: dict[str, Any] = {encoding: {"message": text}}
        status, answer = await service.call("POST", path, **said)
        assert status == 200, answer
        assert answer["messages"][-2]["text"] == text
        assert (await service.active())["messages"][-2]["text"] == text
        posted = [e for e in await service.history() if isinstance(e.event, MessagePosted)]
        assert posted[-1].content == text


async def test_json_escapes_mean_what_they_say(service: Service, path: str) -> None:
    r"""A pair of surrogates is one emoji, and \/ is a slash."""
    body = rb'{"message": "\ud83c\udf0a \u00e9 \/ \" \\u0041"}'
    status, answer = await service.call("POST", path, data=body, **of_type(JSON))
    assert status == 200
    assert answer["messages"][-2]["text"] == '🌊 é / " \\u0041'


@pytest.mark.parametrize("wrong", IMPOSSIBLE_IDS.values(), ids=IMPOSSIBLE_IDS.keys())
async def test_an_id_that_cannot_be_one_is_not_found(
    wrong: str, service: Service, path: str
) -> None:
    """At each of the three places where a path has one, whatever the method."""
    wrong_course = CONVERSATIONS.replace("courses/1", f"courses/{wrong}")
    wrong_experience = CONVERSATIONS.replace("experiences/1", f"experiences/{wrong}")
    for method, broken in (
        ("GET", wrong_course),
        ("POST", wrong_course),
        ("GET", wrong_experience),
        ("POST", wrong_experience),
        ("POST", f"{CONVERSATIONS}/{wrong}/messages"),
        ("DELETE", f"{CONVERSATIONS}/{wrong}"),
    ):
        await service.refused(404, NOT_FOUND, method, broken)


async def test_headers_of_20_kib_are_too_large(service: Service) -> None:
    error = {"error": "the headers must be 16 KiB or smaller"}
    for headers in ({"X-Large": "x" * 20_480}, {f"X-{n}": "x" * 200 for n in range(100)}):
        await service.refused(431, error, "GET", CONVERSATIONS, headers=headers)
    sent = b"GET /api HTTP/1.1\r\nHost: x\r\nX-Large: " + b"x" * 100_000 + b"\r\n\r\n"
    answer = await exchange(service, sent)
    assert answer.startswith(b"HTTP/1.1 431 "), answer
    assert error["error"].encode() in answer


async def test_a_request_line_of_20_kib_is_answered(service: Service) -> None:
    status, _ = await service.call("GET", f"{CONVERSATIONS}?{'x' * 20_480}")
    assert status == 200


@pytest.mark.parametrize("method", ["PATCH", "PUT", "OPTIONS", "TRACE", "PROPFIND", "PURGE"])
async def test_methods_that_the_contract_does_not_know_are_not_allowed(
    method: str, service: Service, path: str
) -> None:
    await service.refused(405, {"error": "Method Not Allowed"}, method, path, user=None)


@pytest.mark.parametrize(
    "sent",
    [
        b"MADEUP /api/v1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"rubbish\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /api HTTP/1.1\r\nHost: x\r\nBad header\r\n\r\n",
        b"GET /api HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer s3cret\r\n\r\n",
        b"GET /api HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer\r\n s3cret\r\n\r\n",
        b"GET /api HTTP/1.1\nHost: x\nAuthorization: Bearer s3cret\n\n",
        b"GET /api HTTP/1.1\r\nAuthorization: Bearer s3cret\r\n\r\n",
        b"GET /api?s3cret HTTP/1.1\r\nHost: x\r\nA: s3cret\x00\r\n\r\n",
        b"GET http://[s3cret HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://x:s3cret/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET s3cret HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api HTTP/1.1\r\nHost: x\r\n" + b"A: s3cret\r\n" * 200 + b"\r\n",
        b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
    ids=lambda sent: repr(sent[:24]),
)
async def test_what_is_not_http_is_refused_without_a_trace(
    sent: bytes, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """A 400 at once, and the service goes on."""
    head = await service.head()
    answer = await exchange(service, sent)
    head_lines, _, body = answer.partition(b"\r\n\r\n")
    assert head_lines.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer
    assert b"\r\nConnection: close" in head_lines
    error = json.loads(body)
    assert error == {"error": "the request could not be read", "reference_id": ANY}
    assert f"X-Request-Id: {error['reference_id']}".encode() in head_lines
    assert "s3cret" not in caplog.text
    assert "Traceback" not in caplog.text
    assert await service.head() == head
    assert (await service.call("GET", "/healthz"))[0] == 200


async def test_a_client_that_goes_away_in_mid_body_changes_nothing(
    service: Service, path: str
) -> None:
    """And is no trouble of the database's."""
    head = await service.head()
    host, port = service.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(request_head(service, path, length=1000) + b'{"message": "half a')
    await writer.drain()
    writer.transport.abort()
    assert (await service.call("GET", "/readyz"))[0] == 200
    assert await service.head() == head


@pytest.mark.parametrize("name", ["Authorization", "Idempotency-Key", "Last-Event-ID", "Origin"])
async def test_a_header_that_may_be_read_in_two_ways_is_refused(
    service: Service, name: str
) -> None:
    """Who stands before the service may have read the other."""
    head = await service.head()
    token = f"Authorization: Bearer {service.tokens[str(LEARNER)]}\r\n"
    twice = token * 2 if name == "Authorization" else f"{token}{name}: 5\r\n{name.lower()}: 6\r\n"
    for path in (CONVERSATIONS, "/healthz"):
        answer = await exchange(
            service, f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{twice}\r\n".encode()
        )
        assert answer.startswith(b"HTTP/1.1 400 "), answer
        assert f"{name} must be given once".encode() in answer
    assert await service.head() == head


async def test_a_body_that_does_not_come_ends_the_request(server_url: str) -> None:
    """With the contract's error, whatever of it came; and nothing is appended."""
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url, body_timeout=0.3) as service,
        connected(service) as raw,
    ):
        await raw.ask("POST", CONVERSATIONS, service.tokens[str(LEARNER)], length=1000)
        await raw.send(b'{"x": ')
        answer = await raw.answer()
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert answer.json == {
            "error": "the body did not arrive in time",
            "reference_id": answer.headers["x-request-id"],
        }
        assert await service.active() == {}


async def test_a_body_that_comes_slowly_is_waited_for(service: Service) -> None:
    body = b'{"message": "slow"}'
    conversation = await service.open()
    async with connected(service) as raw:
        path = messages_of(conversation["id"])
        await raw.ask("POST", path, service.tokens[str(LEARNER)], length=len(body))
        for byte in body:
            await raw.send(bytes([byte]))
            await asyncio.sleep(0.05)
        assert (await raw.answer()).status == 200


async def test_headers_that_are_no_text_are_no_trouble(service: Service) -> None:
    """Bytes that are no UTF-8, where a token or an id should be."""
    sent = (
        f"GET {CONVERSATIONS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode()
        + b"Authorization: Bearer \xff\xfe\r\nX-Request-Id: \xff\r\nAccept: \xff\r\n\r\n"
    )
    answer = await exchange(service, sent)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"Invalid access token." in answer


async def exchange(service: Service, sent: bytes) -> bytes:
    """All that comes back for some bytes, whatever they are."""
    host, port = service.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(sent)
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


def request_head(service: Service, path: str, length: int) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\n"
        f"Authorization: Bearer {service.tokens[str(LEARNER)]}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()
