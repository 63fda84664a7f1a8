"""What browsers are told: who may call from other sites, and headers that keep pages safe."""

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from service.openapi.document import document_bytes
from service.routes import ENDPOINTS, ROUTES
from tests.databases import cloned_database
from tests.running import CONVERSATIONS, LEARNER, Service, running_service

pytestmark = pytest.mark.asyncio(loop_scope="module")

LMS, OTHER = "https://lms.example.edu", "http://localhost:3000"
STRANGE = (
    "https://evil.example",
    "null",
    "",
    "http://lms.example.edu",
    "https://lms.example.edu:8443",
    "https://lms.example.edu.evil.example",
    "https://LMS.example.edu/",
)
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
ASKED = {"Authorization", "Content-Type", "Idempotency-Key", "If-Match", "Last-Event-ID"}
STREAM = {"Accept": "text/event-stream"}
PATHS = sorted({route.path for route in ROUTES if route.path.startswith("/api/v1/courses")})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(server_url: str) -> AsyncIterator[Service]:
    """Two sites may call."""
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url, cors_origins=f"{LMS}, {OTHER}") as running,
    ):
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def closed(server_url: str) -> AsyncIterator[Service]:
    """No other site may call: the default."""
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url) as running,
    ):
        yield running


def preflight(origin: str, method: str = "POST") -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }


def words(header: str) -> set[str]:
    return {word.strip() for word in header.split(",")}


def allowances(headers: Any) -> set[str]:
    return {name for name in headers if name.startswith("Access-Control-")}


@pytest.mark.parametrize("origin", [LMS, OTHER])
@pytest.mark.parametrize("path", PATHS)
async def test_a_preflight_of_an_allowed_site_is_answered(
    origin: str, path: str, service: Service
) -> None:
    """On every path, without a token."""
    response = await service.request("OPTIONS", path, user=None, headers=preflight(origin))
    assert (response.status, await response.text()) == (204, "")
    headers = response.headers
    assert headers["Access-Control-Allow-Origin"] == origin
    assert {"GET", "POST", "PUT", "DELETE"} <= words(headers["Access-Control-Allow-Methods"])
    assert words(headers["Access-Control-Allow-Headers"]) >= ASKED
    assert int(headers["Access-Control-Max-Age"]) > 0
    assert "Origin" in words(headers["Vary"])
    assert "Access-Control-Allow-Credentials" not in headers


@pytest.mark.parametrize("origin", STRANGE)
async def test_a_preflight_of_a_foreign_site_is_not(origin: str, service: Service) -> None:
    response = await service.request("OPTIONS", CONVERSATIONS, user=None, headers=preflight(origin))
    assert response.status == 405
    assert allowances(response.headers) == set()
    assert "Origin" in words(response.headers["Vary"])


async def test_options_without_a_preflight_is_no_method_here(service: Service) -> None:
    headers = {"Origin": LMS}
    response = await service.request("OPTIONS", CONVERSATIONS, user=None, headers=headers)
    assert response.status == 405


@pytest.mark.parametrize("origin", [LMS, OTHER])
@pytest.mark.parametrize(
    ("user", "path", "status"),
    [(LEARNER, CONVERSATIONS, 200), (None, CONVERSATIONS, 401), (LEARNER, "/nowhere", 404)],
)
async def test_an_allowed_site_reads_answers_and_errors(
    origin: str, user: int | None, path: str, status: int, service: Service
) -> None:
    response = await service.request("GET", path, user=user, headers={"Origin": origin})
    assert response.status == status
    assert response.headers["Access-Control-Allow-Origin"] == origin
    exposed = words(response.headers["Access-Control-Expose-Headers"])
    assert exposed >= {"ETag", "Link", "Retry-After", "X-Request-Id"}
    assert "Origin" in words(response.headers["Vary"])


@pytest.mark.parametrize("origin", [*STRANGE, None])
async def test_a_foreign_site_is_allowed_nothing(origin: str | None, service: Service) -> None:
    """The answer depends on the site, so caches must keep them apart."""
    headers = {} if origin is None else {"Origin": origin}
    response = await service.request("GET", CONVERSATIONS, headers=headers)
    assert response.status == 200
    assert allowances(response.headers) == set()
    assert "Origin" in words(response.headers["Vary"])


async def test_a_stream_says_who_may_read_it(service: Service) -> None:
    headers = STREAM | {"Origin": LMS}
    response = await service.request("POST", CONVERSATIONS, headers=headers)
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert response.headers["Access-Control-Allow-Origin"] == LMS
    assert "Origin" in words(response.headers["Vary"])


async def test_by_default_no_other_site_may_call(closed: Service) -> None:
    for method, headers in (("OPTIONS", preflight(LMS)), ("GET", {"Origin": LMS})):
        response = await closed.request(method, CONVERSATIONS, headers=headers)
        assert response.status == (405 if method == "OPTIONS" else 200)
        assert allowances(response.headers) == set()


def named_in(document: Any, kind: str) -> set[str]:
    """Headers of requests, or of answers, that the description names anywhere."""
    if isinstance(document, list):
        return set().union(*(named_in(one, kind) for one in document))
    if not isinstance(document, dict):
        return set()
    found = set(document.get("headers", {})) if kind == "answers" else set()
    if kind == "requests" and document.get("in") == "header":
        found.add(document["name"])
    return found.union(*(named_in(one, kind) for one in document.values()))


async def test_whatever_a_page_may_send_or_should_see_is_allowed(service: Service) -> None:
    """All headers that the description names, and those that go without saying."""
    document = json.loads(document_bytes(ENDPOINTS))
    preflighted = await service.request("OPTIONS", CONVERSATIONS, headers=preflight(LMS))
    sent = named_in(document, "requests")
    assert {"X-Audit-Reason", "Last-Event-ID", "Idempotency-Key"} <= sent
    own = {"Authorization", "Content-Type", "Content-Encoding", "Accept", "X-Request-Id"}
    assert words(preflighted.headers["Access-Control-Allow-Headers"]) >= sent | own
    answered = await service.request("GET", CONVERSATIONS, headers={"Origin": LMS})
    shown = words(answered.headers["Access-Control-Expose-Headers"])
    seen = named_in(document, "answers")
    assert {"ETag", "Link", "Retry-After", "X-Request-Id"} <= seen
    assert shown >= seen - {"Cache-Control", "Content-Type"}
    assert shown >= {"WWW-Authenticate", "Allow", "Accept-Encoding"}


async def test_a_page_sees_why_a_request_was_refused(service: Service) -> None:
    """The header that says how to mend it is one of those that it may read."""
    coded = {"Content-Encoding": "br"}
    for status, hint, method, user, sent in (
        (401, "WWW-Authenticate", "GET", None, {}),
        (405, "Allow", "PATCH", LEARNER, {}),
        (415, "Accept-Encoding", "POST", LEARNER, coded),
    ):
        headers = {"Origin": LMS, **sent}
        answer = await service.request(
            method, CONVERSATIONS, user=user, headers=headers, data=b"x" if sent else None
        )
        assert answer.status == status
        assert hint in words(answer.headers["Access-Control-Expose-Headers"]) & set(answer.headers)


ANSWERS: dict[str, tuple[int, str, str, dict[str, Any]]] = {
    "answer": (200, "GET", CONVERSATIONS, {}),
    "head": (200, "HEAD", CONVERSATIONS, {}),
    "created": (201, "POST", CONVERSATIONS, {}),
    "stream": (201, "POST", CONVERSATIONS, {"headers": STREAM}),
    "unchanged": (304, "GET", CONVERSATIONS, {"headers": {"If-None-Match": "*"}}),
    "probe": (200, "GET", "/healthz", {"user": None}),
    "preflight": (204, "OPTIONS", CONVERSATIONS, {"user": None, "headers": preflight(LMS)}),
    "no token": (401, "GET", CONVERSATIONS, {"user": None}),
    "not found": (404, "GET", "/nowhere", {}),
    "no method": (405, "PATCH", CONVERSATIONS, {}),
    "too large": (413, "POST", CONVERSATIONS, {"data": io.BytesIO(b"x" * (1024**2 + 1))}),
    "no type": (415, "POST", CONVERSATIONS, {"data": b"x", "headers": {"Content-Type": "a/b"}}),
    "headers too large": (
        431,
        "GET",
        CONVERSATIONS,
        {"headers": {"X-Long": "x" * 7000, "Y": "y" * 8000, "Z": "z" * 7000}},
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_every_answer_has_the_safe_headers(name: str, service: Service) -> None:
    """Once each; and none may be kept by a cache that others use."""
    status, method, path, options = ANSWERS[name]
    response = await service.request(method, path, **options)
    if name == "stream":
        assert response.status in (200, 201)
        assert response.headers["Cache-Control"] == "no-store"
    else:
        assert response.status == status
        assert response.headers["Cache-Control"] == "private, no-cache"
    for header, value in SAFE.items():
        assert response.headers.getall(header) == [value]
    assert response.headers["X-Request-Id"]


async def test_a_server_that_breaks_sends_them_too(
    closed: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("service.conversations.handlers.authorize", broken)
    response = await closed.request("GET", CONVERSATIONS)
    assert response.status == 500
    assert {name: response.headers[name] for name in SAFE} == SAFE
