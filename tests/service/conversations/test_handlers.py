"""The four endpoints of the contract's core, end to end, with the practice tutor."""

import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from eventstore.connections import connect
from eventstore.dialogue_events import ConversationCompleted, ConversationStarted, MessagePosted
from service.identity.roster import Role, Status
from service.identity.tokens import create_token, list_tokens, revoke_token
from tests.databases import cloned_database
from tests.running import (
    API,
    CONVERSATIONS,
    TEACHER,
    Service,
    fetch_value,
    messages_of,
    running_service,
)
from tests.service.histories import assert_lawful, types_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCOPE = "/api/v1/courses/:course_id/ai_experiences/:ai_experience_id/conversations"
UNKNOWN = 999_999
NO_TOKEN: dict[str, object] = {
    "status": "unauthenticated",
    "errors": [{"message": "user authorization required"}],
}
BAD_TOKEN = {"errors": [{"message": "Invalid access token."}]}
NO_SCOPE = {"errors": [{"message": "Insufficient scopes on access token."}]}
FORBIDDEN: dict[str, object] = {
    "status": "unauthorized",
    "errors": [{"message": "user not authorized to perform that action"}],
}
NOT_FOUND = {"error": "Resource Not Found"}
ENDPOINTS = (
    ("GET", CONVERSATIONS, f"url:GET|{SCOPE}"),
    ("POST", CONVERSATIONS, f"url:POST|{SCOPE}"),
    ("POST", messages_of(1), f"url:POST|{SCOPE}/:id/messages"),
    ("DELETE", f"{CONVERSATIONS}/1", f"url:DELETE|{SCOPE}/:id"),
)
each_endpoint = pytest.mark.parametrize(
    ("method", "path", "scope"), ENDPOINTS, ids=["get", "create", "say", "delete"]
)
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(server_url: str) -> AsyncIterator[Service]:
    """One service for all; every test brings people of its own."""
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url) as running,
    ):
        yield running


def at(course: int, experience: int) -> str:
    return f"/api/v1/courses/{course}/ai_experiences/{experience}/conversations"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def token_of(
    service: Service, user: int, scopes: tuple[str, ...] = (), days: int | None = None
) -> str:
    connection = await connect(service.database_url)
    try:
        return await create_token(connection, 1, user, scopes, days)
    finally:
        await connection.close()


async def test_the_full_life_of_a_conversation(service: Service, learner: int) -> None:
    """Nothing, created, talked in, read, completed, nothing."""
    assert await service.active(learner) == {}
    conversation = await service.open(learner)
    assert await service.active(learner) == conversation
    for number in (1, 2, 3):
        status, body = await service.say(conversation["id"], f"Thought {number}", learner)
        assert status == 200
        assert await service.active(learner) == body
    texts = [m["text"] for m in body["messages"] if m["role"] == "User"]
    assert texts[1:] == ["Thought 1", "Thought 2", "Thought 3"]
    path = f"{CONVERSATIONS}/{conversation['id']}"
    completed = await service.call("DELETE", path, user=learner)
    assert completed == (200, {"message": "Conversation completed successfully"})
    assert await service.active(learner) == {}
    await service.refused(404, NOT_FOUND, "DELETE", path, user=learner)


async def test_a_conversation_has_the_contracts_shape(service: Service, learner: int) -> None:
    """Names and types of every field, with the hidden prompt first and the opening second."""
    body = await service.open(learner)
    assert set(body) == {"id", "messages", "progress"}
    assert type(body["id"]) is int
    prompt, opening = body["messages"]
    assert (prompt["role"], opening["role"]) == ("User", "Assistant")
    for message in body["messages"]:
        assert set(message) == {"id", "role", "text", "created_at", "feedback"}
        assert UUID.fullmatch(message["id"])
        assert MOMENT.fullmatch(message["created_at"])
        assert message["feedback"] == []
    assert prompt["id"] != opening["id"]
    assert "gravity" not in prompt["text"], "the starting prompt gives the facts away"
    objectives = [
        "Explain why most coasts have two high tides a day",
        "Explain why high tide is later each day",
        "Predict when tides are highest in a month",
    ]
    assert body["progress"] == {
        "current": 0,
        "total": 3,
        "percentage": 0,
        "objectives": [{"objective": text, "status": ""} for text in objectives],
    }


async def test_answers_are_utf_8_json(service: Service, learner: int) -> None:
    for method, status in (("GET", 200), ("POST", 201), ("GET", 200)):
        response = await service.request(method, CONVERSATIONS, user=learner)
        assert response.status == status
        assert response.headers["Content-Type"] == "application/json; charset=utf-8"
        assert isinstance(await response.json(), dict)


async def test_a_new_conversation_completes_the_active_one(service: Service, learner: int) -> None:
    """In one append, so that there is never none and never two."""
    old = await service.open(learner)
    known = await service.head()
    new = await service.open(learner)
    assert new["id"] > old["id"]
    assert await service.active(learner) == new
    events = await service.history(known)
    assert types_of(events) == [
        *("opening_requested", "conversation_completed", "conversation_started")
    ]
    completed, started = events[1].event, events[2].event
    assert isinstance(completed, ConversationCompleted)
    assert isinstance(started, ConversationStarted)
    assert (completed.conversation_id, completed.reason) == (old["id"], "superseded")
    assert started.conversation_id == new["id"]
    assert events[1].recorded_at == events[2].recorded_at
    await service.refused(
        404, NOT_FOUND, "POST", messages_of(old["id"]), user=learner, json={"message": "Too late"}
    )


async def test_learners_do_not_disturb_each_other(service: Service) -> None:
    """Nor do one learner's dialogues with two experiences."""
    one, other = await service.enroll(), await service.enroll()
    await service.enroll(course=2, user=one)
    first = await service.open(one)
    second = await service.open(other)
    status, elsewhere = await service.call("POST", at(2, 3), user=one)
    assert status == 201
    assert len({first["id"], second["id"], elsewhere["id"]}) == 3
    assert await service.active(one) == first
    assert await service.active(other) == second
    assert (await service.call("GET", at(2, 3), user=one))[1] == elsewhere


@each_endpoint
async def test_without_a_token_nothing_is_told(
    method: str, path: str, scope: str, service: Service
) -> None:
    response = await service.refused(401, NO_TOKEN, method, path, user=None)
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="canvas-lms"'


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic dTpw", "Token abc", "abc"])
async def test_what_is_no_bearer_token_counts_as_none(header: str, service: Service) -> None:
    headers = {"Authorization": header}
    await service.refused(401, NO_TOKEN, "GET", CONVERSATIONS, user=None, headers=headers)


@each_endpoint
async def test_a_token_that_nobody_gave_out_is_refused(
    method: str, path: str, scope: str, service: Service
) -> None:
    headers = bearer("colloquy_made-up")
    response = await service.refused(401, BAD_TOKEN, method, path, user=None, headers=headers)
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="canvas-lms"'


async def test_an_expired_token_is_refused(service: Service, learner: int) -> None:
    """From the moment on at which it expires."""
    token = await token_of(service, learner, days=1)
    headers = bearer(token)
    assert (await service.call("GET", CONVERSATIONS, user=None, headers=headers))[0] == 200
    expire = "UPDATE tokens SET expires_at = now() WHERE user_id = $1 AND expires_at IS NOT NULL"
    await fetch_value(service.database_url, expire, learner)
    response = await service.refused(
        401, BAD_TOKEN, "GET", CONVERSATIONS, user=None, headers=headers
    )
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="canvas-lms"'


async def test_a_revoked_token_is_refused_at_once_and_others_are_not(
    service: Service, learner: int
) -> None:
    doomed = await token_of(service, learner)
    connection = await connect(service.database_url)
    try:
        ids = [t.token_id for t in await list_tokens(connection, 1) if t.user_id == learner]
        assert await revoke_token(connection, 1, ids[-1])
    finally:
        await connection.close()
    headers = bearer(doomed)
    await service.refused(401, BAD_TOKEN, "POST", CONVERSATIONS, user=None, headers=headers)
    assert await service.active(learner) == {}


async def test_the_word_bearer_may_be_written_in_any_case(service: Service, learner: int) -> None:
    headers = {"Authorization": f"bearer  {service.tokens[str(learner)]}"}
    assert await service.call("GET", CONVERSATIONS, user=None, headers=headers) == (200, {})


@each_endpoint
async def test_a_token_without_the_endpoints_scope_is_refused(
    method: str, path: str, scope: str, service: Service, learner: int
) -> None:
    """Without the header that asks for another token: this one is good."""
    others = tuple(other for _, _, other in ENDPOINTS if other != scope)
    headers = bearer(await token_of(service, learner, (*others, "colloquy:audit")))
    response = await service.refused(401, NO_SCOPE, method, path, user=None, headers=headers)
    assert "WWW-Authenticate" not in response.headers


async def test_each_scope_opens_its_endpoint(service: Service, learner: int) -> None:
    """A token with the four scopes, each in its place, does it all."""
    tokens = [await token_of(service, learner, (scope,)) for _, _, scope in ENDPOINTS]
    get, create, say, delete = (bearer(token) for token in tokens)
    status, body = await service.call("POST", CONVERSATIONS, user=None, headers=create)
    assert status == 201
    assert (await service.call("GET", CONVERSATIONS, user=None, headers=get))[1] == body
    status, _ = await service.call(
        "POST", messages_of(body["id"]), user=None, headers=say, json={"message": "Hello"}
    )
    assert status == 200
    path = f"{CONVERSATIONS}/{body['id']}"
    assert (await service.call("DELETE", path, user=None, headers=delete))[0] == 200


async def test_the_token_is_checked_before_the_scope_and_the_scope_before_the_course(
    service: Service, learner: int
) -> None:
    """And the course before the experience, so that strangers learn nothing."""
    narrow = bearer(await token_of(service, learner, ("colloquy:audit",)))
    nowhere = at(UNKNOWN, UNKNOWN)
    await service.refused(401, BAD_TOKEN, "GET", nowhere, user=None, headers=bearer("x"))
    await service.refused(401, NO_SCOPE, "GET", nowhere, user=None, headers=narrow)
    await service.refused(404, NOT_FOUND, "GET", nowhere, user=learner)
    await service.refused(403, FORBIDDEN, "GET", at(2, UNKNOWN), user=learner)
    await service.refused(404, NOT_FOUND, "GET", at(1, UNKNOWN), user=learner)


@each_endpoint
async def test_only_members_of_the_course_get_in(
    method: str, path: str, scope: str, service: Service
) -> None:
    """Not even the teacher of another course."""
    for role in ("learner", "teacher"):
        stranger = await service.enroll(role, course=2)
        await service.refused(403, FORBIDDEN, method, path, user=stranger)


@pytest.mark.parametrize("status", ["invited", "inactive", "completed", "deleted"])
async def test_only_active_enrollments_count(status: Status, service: Service) -> None:
    former = await service.enroll("teacher", status=status)
    await service.refused(403, FORBIDDEN, "POST", CONVERSATIONS, user=former)


async def test_an_enrollment_that_ends_ends_the_access(service: Service, learner: int) -> None:
    """The same token gets in again when it is renewed, and the conversation is still there."""
    conversation = await service.open(learner)
    await service.enroll(user=learner, status="inactive")
    path = messages_of(conversation["id"])
    await service.refused(403, FORBIDDEN, "POST", path, user=learner, json={"message": "Hi"})
    await service.enroll(user=learner)
    assert await service.active(learner) == conversation


@each_endpoint
async def test_another_courses_experience_is_not_found(
    method: str, path: str, scope: str, service: Service, learner: int
) -> None:
    elsewhere = path.replace("ai_experiences/1", "ai_experiences/3")
    await service.refused(404, NOT_FOUND, method, elsewhere, user=learner)
    await service.refused(404, NOT_FOUND, method, elsewhere, user=TEACHER)


@pytest.mark.parametrize("role", ["teacher", "ta", "designer"])
async def test_an_unpublished_experience_is_there_for_managers_only(
    role: Role, service: Service, learner: int
) -> None:
    manager = await service.enroll(role)
    observer = await service.enroll("observer")
    for member in (learner, observer):
        await service.refused(404, NOT_FOUND, "GET", at(1, 2), user=member)
        await service.refused(404, NOT_FOUND, "POST", at(1, 2), user=member)
    status, body = await service.call("POST", at(1, 2), user=manager)
    assert status == 201
    assert (await service.call("GET", at(1, 2), user=manager))[1] == body


async def test_somebody_elses_conversation_is_answered_like_one_that_does_not_exist(
    service: Service, learner: int
) -> None:
    """Also to a teacher who would speak in a learner's name."""
    stranger = await service.enroll()
    conversation = await service.open(learner)
    for conversation_id in (conversation["id"], UNKNOWN):
        path, hello = messages_of(conversation_id), {"message": "Hello"}
        await service.refused(404, NOT_FOUND, "POST", path, user=stranger, json=hello)
        await service.refused(404, NOT_FOUND, "POST", path, user=TEACHER, json=hello)
        path = f"{CONVERSATIONS}/{conversation_id}"
        await service.refused(404, NOT_FOUND, "DELETE", path, user=stranger)
    assert await service.active(learner) == conversation


async def test_a_conversation_is_found_under_its_own_experience_only(
    service: Service, learner: int
) -> None:
    await service.enroll(course=2, user=learner)
    conversation = await service.open(learner)
    misplaced = f"{at(2, 3)}/{conversation['id']}"
    await service.refused(404, NOT_FOUND, "DELETE", misplaced, user=learner)
    await service.refused(
        404, NOT_FOUND, "POST", f"{misplaced}/messages", user=learner, json={"message": "Hello"}
    )


@pytest.mark.parametrize("role", ["teacher", "ta", "designer"])
async def test_a_manager_may_complete_a_learners_conversation(
    role: Role, service: Service, learner: int
) -> None:
    """The log says who it was; an observer may not."""
    manager, observer = await service.enroll(role), await service.enroll("observer")
    path = f"{CONVERSATIONS}/{(await service.open(learner))['id']}"
    await service.refused(404, NOT_FOUND, "DELETE", path, user=observer)
    assert (await service.call("DELETE", path, user=manager))[0] == 200
    assert await service.active(learner) == {}
    (completed,) = (await service.history())[-1:]
    assert types_of([completed]) == ["conversation_completed"]
    assert (completed.metadata.actor.id, completed.metadata.actor.role) == (manager, role)
    assert completed.stream == f"dialogue-1-{learner}"


async def test_a_completed_conversation_takes_no_messages(service: Service, learner: int) -> None:
    conversation = await service.open(learner)
    await service.call("DELETE", f"{CONVERSATIONS}/{conversation['id']}", user=learner)
    await service.refused(
        404,
        NOT_FOUND,
        "POST",
        messages_of(conversation["id"]),
        user=learner,
        json={"message": "One more"},
    )


async def test_ids_are_strings_for_those_who_ask(service: Service, learner: int) -> None:
    """In all three answers that have one, and nothing else is different."""
    headers = {"Accept": "application/json+canvas-string-ids"}
    status, created = await service.call("POST", CONVERSATIONS, user=learner, headers=headers)
    assert status == 201
    assert type(created["id"]) is str
    plain = await service.active(learner)
    assert created == plain | {"id": str(plain["id"])}
    assert (await service.call("GET", CONVERSATIONS, user=learner, headers=headers))[1] == created
    status, said = await service.call(
        "POST",
        messages_of(plain["id"]),
        user=learner,
        headers={"Accept": "application/json+canvas-string-ids, application/json"},
        json={"message": "Hello"},
    )
    assert said["id"] == created["id"]


async def test_a_request_id_is_taken_over(service: Service, learner: int) -> None:
    """Into the answer and into the metadata of every event that the request led to."""
    headers = {"X-Request-Id": "0193A5F0-7c1e-7000-8000-00000000abCD"}
    known = await service.head()
    response = await service.request("POST", CONVERSATIONS, user=learner, headers=headers)
    assert response.headers["X-Request-Id"] == headers["X-Request-Id"]
    events = await service.history(known)
    assert {e.metadata.request_id for e in events} == {headers["X-Request-Id"]}
    assert len(events) == 2


async def test_a_request_id_is_the_reference_of_an_error(service: Service, learner: int) -> None:
    headers = {"X-Request-Id": str(uuid4())}
    status, body = await service.call("DELETE", f"{CONVERSATIONS}/1", user=None, headers=headers)
    assert (status, body["reference_id"]) == (401, headers["X-Request-Id"])


@pytest.mark.parametrize(
    "given",
    [
        *(None, "", "two words", "<script>", "ä", "x" * 129, "ada.lovelace@example.edu"),
        "0193a5f07c1e7000800000000000abcd",
        "urn:uuid:0193a5f0-7c1e-7000-8000-00000000abcd",
        "{0193a5f0-7c1e-7000-8000-00000000abcd}",
        "0193a5f0-7c1e-7000-8000-00000000abcd ada",
    ],
)
async def test_a_request_id_that_is_no_uuid_is_not_kept(
    given: str | None, service: Service, learner: int
) -> None:
    """It may say something about somebody, and the log is for ever."""
    headers = {} if given is None else {"X-Request-Id": given}
    known = await service.head()
    response = await service.request("POST", CONVERSATIONS, user=learner, headers=headers)
    own = response.headers["X-Request-Id"]
    assert UUID.fullmatch(own)
    assert own != given
    assert {e.metadata.request_id for e in await service.history(known)} == {own}


@pytest.mark.parametrize(
    "options",
    [
        {"json": {"message": "The Moon & I"}},
        {"data": {"message": "The Moon & I"}},
        {"json": {"message": "The Moon & I"}, "headers": {"Accept": "*/*"}},
    ],
    ids=["json", "form", "json with accept"],
)
async def test_a_message_comes_as_json_or_as_a_form(
    options: dict[str, Any], service: Service, learner: int
) -> None:
    conversation = await service.open(learner)
    path = messages_of(conversation["id"])
    status, body = await service.call("POST", path, user=learner, **options)
    assert status == 200
    assert body["messages"][2]["text"] == "The Moon & I"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"json": {}},
        {"data": {}},
        {"data": b"", "headers": {"Content-Type": "text/plain"}},
    ],
    ids=["no body", "an empty object", "an empty form", "a type but no body"],
)
async def test_a_conversation_needs_no_body(
    options: dict[str, Any], service: Service, learner: int
) -> None:
    assert (await service.call("POST", CONVERSATIONS, user=learner, **options))[0] == 201


async def test_an_unknown_path_is_answered_in_json(service: Service) -> None:
    for path in ("/", "/api/v1", f"{CONVERSATIONS}/", f"{API}/unknown", "/favicon.ico"):
        await service.refused(404, NOT_FOUND, "GET", path, user=None)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", CONVERSATIONS, {"GET", "HEAD", "POST"}),
        ("PUT", messages_of(1), {"POST"}),
        ("GET", messages_of(1), {"POST"}),
        ("POST", f"{CONVERSATIONS}/1", {"DELETE", "GET", "HEAD"}),
        ("POST", "/healthz", {"GET", "HEAD"}),
    ],
)
async def test_a_method_that_a_path_does_not_have_is_answered_in_json(
    method: str, path: str, allowed: set[str], service: Service
) -> None:
    response = await service.refused(405, {"error": "Method Not Allowed"}, method, path, user=None)
    assert set(response.headers["Allow"].split(",")) == allowed


async def test_the_probes_answer_without_a_token(service: Service) -> None:
    assert await service.call("GET", "/healthz", user=None) == (200, {"status": "ok"})
    assert await service.call("GET", "/readyz", user=None) == (200, {"status": "ready"})


async def test_every_event_says_who_did_it_and_with_which_token(
    service: Service, learner: int
) -> None:
    conversation = await service.open(learner)
    await service.say(conversation["id"], "Hello", learner)
    events = [e for e in await service.history() if e.stream == f"dialogue-1-{learner}"]
    by_learner = [e for e in events if e.metadata.actor.id == learner]
    by_model = [e for e in events if e.metadata.actor.role == "model"]
    assert types_of(by_learner) == ["opening_requested", "message_posted"]
    assert types_of(by_model) == [
        "conversation_started",
        "objectives_assessed",
        "reply_completed",
    ]
    token_id = await fetch_value(
        service.database_url, "SELECT token_id FROM tokens WHERE user_id = $1", learner
    )
    assert {e.metadata.token_id for e in by_learner} == {token_id}
    opening, message = by_learner
    for asked, ended in zip((opening, message, message), by_model, strict=True):
        assert ended.metadata.causation_id == str(asked.event_id)


async def test_an_answers_times_are_those_of_the_log(service: Service, learner: int) -> None:
    conversation = await service.open(learner)
    _, body = await service.say(conversation["id"], "Hello", learner)
    events = [e for e in await service.history() if e.stream == f"dialogue-1-{learner}"]
    recorded = {
        e.event.message_id: e.recorded_at.replace(microsecond=0)
        for e in events
        if isinstance(e.event, MessagePosted)
    }
    message = body["messages"][2]
    assert datetime.fromisoformat(message["created_at"]) == recorded[message["id"]]


async def test_the_log_of_all_these_tests_is_lawful(service: Service) -> None:
    await service.open(await service.enroll())
    assert_lawful(await service.history())
