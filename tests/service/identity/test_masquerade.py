"""An administrator acts as another user (`as_user_id`), and the log says so."""

import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from eventstore.connections import connect
from eventstore.privacy_events import HistoryRead
from service.identity.accounts import create_account
from service.identity.roster import Enrollment, import_roster
from service.identity.tokens import create_token
from tests.running import (
    CONVERSATIONS,
    LEARNER,
    OTHER_LEARNER,
    TEACHER,
    Service,
    messages_of,
    running_service,
)

ADMIN = 1
FORM = "application/x-www-form-urlencoded"
TOO_MUCH = b"x" * (1024**2 + 1024)
FORBIDDEN = {
    "status": "unauthorized",
    "errors": [{"message": "user not authorized to perform that action"}],
}
MISSING = {"error": "Resource Not Found"}
SCOPE = "url:GET|/api/v1/courses/:course_id/ai_experiences/:ai_experience_id/conversations"


@pytest.fixture
async def service(demo_url: str) -> AsyncIterator[Service]:
    """The token "admin" is an administrator's; so is "reader", which may only read."""
    async with running_service(demo_url) as running:
        connection = await connect(demo_url)
        running.tokens["admin"] = await create_token(connection, 1, ADMIN, admin=True)
        running.tokens["reader"] = await create_token(connection, 1, ADMIN, (SCOPE,), admin=True)
        await connection.close()
        yield running


def by(service: Service, token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {service.tokens[token]}"}


def acting_as(user: object) -> dict[str, str]:
    return {"as_user_id": str(user)}


async def test_an_administrator_sees_and_does_what_the_user_would(service: Service) -> None:
    admin: dict[str, Any] = {
        "user": None,
        "headers": by(service, "admin"),
        "params": acting_as(LEARNER),
    }
    status, opened = await service.call("POST", CONVERSATIONS, **admin)
    assert status == 201
    assert await service.active(LEARNER) == opened
    assert await service.call("GET", CONVERSATIONS, **admin) == (200, opened)
    status, _ = await service.call(
        "POST", messages_of(opened["id"]), json={"message": "The Moon."}, **admin
    )
    assert status == 200
    assert await service.active(OTHER_LEARNER) == {}


async def test_the_log_has_both_who_acts_and_who_it_really_was(service: Service) -> None:
    head = await service.head()
    await service.call(
        "POST",
        CONVERSATIONS,
        user=None,
        headers=by(service, "admin"),
        params=acting_as(LEARNER),
    )
    first = (await service.history(head))[0].metadata
    assert (first.actor.id, first.actor.role, first.real_user_id) == (LEARNER, "learner", ADMIN)
    assert first.token_id is not None


async def test_the_log_line_has_both_and_others_have_no_such_field(service: Service) -> None:
    with capture_logs() as lines:
        await service.call(
            "GET",
            CONVERSATIONS,
            user=None,
            headers=by(service, "admin"),
            params=acting_as(LEARNER),
        )
        await service.active(LEARNER)
    masked, plain = (line for line in lines if line["event"] == "request")
    assert (masked["user_id"], masked["real_user_id"]) == (LEARNER, ADMIN)
    assert "real_user_id" not in plain


async def test_two_values_of_as_user_id_are_refused(service: Service) -> None:
    """Both in the query, or one in the query and one in the form."""
    both = f"{CONVERSATIONS}?as_user_id={LEARNER}&as_user_id=102"
    assert (await service.call("GET", both, user=None, headers=by(service, "admin")))[0] == 400
    status, _ = await service.call(
        "POST",
        f"{CONVERSATIONS}?as_user_id={LEARNER}",
        user=None,
        headers=by(service, "admin"),
        data=acting_as(102),
    )
    assert status == 400


async def test_without_as_user_id_an_administrator_is_who_they_are(service: Service) -> None:
    head = await service.head()
    for query in ("", "?as_user_id="):
        status, _ = await service.call(
            "POST", CONVERSATIONS + query, user=None, headers=by(service, "admin")
        )
        assert status == 201
    metadata = [event.metadata for event in await service.history(head)]
    assert {m.real_user_id for m in metadata} == {None}
    assert {m.actor.id for m in metadata} == {ADMIN, None}


@pytest.mark.parametrize("user", [LEARNER, TEACHER])
@pytest.mark.parametrize("wanted", [LEARNER, TEACHER, OTHER_LEARNER, 424242, "x"])
async def test_only_administrators_may_act_as_another_user(
    user: int, wanted: int | str, service: Service
) -> None:
    """The answer does not show whether the user exists."""
    for method in ("GET", "POST"):
        await service.refused(
            403, FORBIDDEN, method, CONVERSATIONS, user=user, params=acting_as(wanted)
        )


async def test_a_missing_user_is_not_found(service: Service) -> None:
    """Nor is a user of another institution."""
    connection = await connect(service.database_url)
    account = await create_account(connection, "Another institution")
    elsewhere = Enrollment(course_id=1, user_id=5005, name="E", role="learner", status="active")
    await import_roster(connection, account, [elsewhere])
    await connection.close()
    for wanted in (424242, 5005, -1, 0, "x", "1e2", 2**63, "101 OR 1=1"):
        for method in ("GET", "POST"):
            await service.refused(
                404,
                MISSING,
                method,
                CONVERSATIONS,
                user=None,
                headers=by(service, "admin"),
                params=acting_as(wanted),
            )


async def test_the_users_permissions_hold_for_an_administrator_who_acts_as_them(
    service: Service,
) -> None:
    """A learner's conversations list stays closed, and a user of no course gets nowhere."""
    students = CONVERSATIONS.replace("conversations", "ai_conversations")
    stranger = await service.enroll(course=2)
    for wanted, path in ((LEARNER, students), (stranger, CONVERSATIONS)):
        await service.refused(
            403,
            FORBIDDEN,
            "GET",
            path,
            user=None,
            headers=by(service, "admin"),
            params=acting_as(wanted),
        )


async def test_the_tokens_scopes_hold_as_well(service: Service) -> None:
    reader: dict[str, Any] = {
        "user": None,
        "headers": by(service, "reader"),
        "params": acting_as(LEARNER),
    }
    assert await service.call("GET", CONVERSATIONS, **reader) == (200, {})
    refusal = {"errors": [{"message": "Insufficient scopes on access token."}]}
    await service.refused(401, refusal, "POST", CONVERSATIONS, **reader)


async def test_a_form_may_name_the_user(service: Service) -> None:
    """Canvas clients send it in a form with all methods but GET."""
    admin: dict[str, Any] = {"user": None, "headers": by(service, "admin")}
    head = await service.head()
    status, opened = await service.call("POST", CONVERSATIONS, data=acting_as(LEARNER), **admin)
    assert status == 201
    words = {"message": "The Moon.", **acting_as(LEARNER)}
    status, _ = await service.call("POST", messages_of(opened["id"]), data=words, **admin)
    assert status == 200
    whole = f"{CONVERSATIONS}/{opened['id']}"
    status, _ = await service.call("DELETE", whole, data=acting_as(LEARNER), **admin)
    assert status == 200
    asked = [e.metadata for e in await service.history(head) if e.metadata.actor.id is not None]
    assert {(m.actor.id, m.real_user_id) for m in asked} == {(LEARNER, ADMIN)}


async def test_a_blank_user_in_a_form_is_ignored(service: Service) -> None:
    head = await service.head()
    status, _ = await service.call(
        "POST", CONVERSATIONS, user=None, headers=by(service, "admin"), data={"as_user_id": ""}
    )
    assert status == 201
    first = (await service.history(head))[0].metadata
    assert (first.actor.id, first.real_user_id) == (ADMIN, None)


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_a_form_is_checked_like_a_query(method: str, service: Service) -> None:
    opened = await service.open(LEARNER)
    path = CONVERSATIONS if method == "POST" else f"{CONVERSATIONS}/{opened['id']}"
    wanted = acting_as(OTHER_LEARNER)
    await service.refused(403, FORBIDDEN, method, path, user=LEARNER, data=wanted)
    for form in (acting_as(424242), acting_as("x"), {"as_user_id[id]": "101"}):
        await service.refused(
            404, MISSING, method, path, user=None, headers=by(service, "admin"), data=form
        )


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_an_unreadable_form_is_refused(method: str, service: Service) -> None:
    """It is refused after the checks, as the administrator's own request."""
    opened = await service.open(ADMIN)
    path = CONVERSATIONS if method == "POST" else f"{CONVERSATIONS}/{opened['id']}"
    for form, status in ((b"as_user_id=101&a[=x", 400), (b"as_user_id=101&a=" + TOO_MUCH, 413)):
        head = await service.head()
        headers = by(service, "admin") | {"Content-Type": FORM, "Connection": "close"}
        response = await service.request(
            method, path, user=None, headers=headers, data=io.BytesIO(form)
        )
        assert response.status == status
        assert await service.head() == head, "something was appended"
    headers = {"Authorization": "Bearer nobody's", "Content-Type": FORM}
    response = await service.request(method, path, user=None, headers=headers, data=b"a[=x")
    assert response.status == 401


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_a_read_of_the_users_messages_is_recorded_before_the_answer(
    accept: str, service: Service
) -> None:
    admin: dict[str, Any] = {
        "user": None,
        "headers": by(service, "admin") | {"Accept": accept},
        "params": acting_as(LEARNER),
    }
    number = (await service.open(LEARNER))["id"]
    said = await service.request("POST", messages_of(number), json={"message": "No."}, **admin)
    assert said.status == 200
    assert (await service.request("POST", CONVERSATIONS, **admin)).status in (200, 201)
    reads = [e for e in await service.history() if isinstance(e.event, HistoryRead)]
    assert [(e.stream, e.metadata.real_user_id) for e in reads] == [
        (f"access-{LEARNER}", ADMIN)
    ] * 2
    first, second = (e.event for e in reads)
    assert first == HistoryRead(what="conversation", learner_id=LEARNER, conversation_id=number)
    active = (await service.active(LEARNER))["id"]
    assert second == HistoryRead(what="conversation", learner_id=LEARNER, conversation_id=active)


async def test_a_user_who_acts_as_nobody_else_records_no_read(service: Service) -> None:
    opened = await service.open(LEARNER)
    assert (await service.say(opened["id"], "Yes."))[0] == 200
    assert not [e for e in await service.history() if isinstance(e.event, HistoryRead)]
