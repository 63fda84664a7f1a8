"""Permissions and reasons for audit, and the record of each read before it is answered."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from eventstore.connections import Connection, connect
from eventstore.envelope import RecordedEvent
from eventstore.privacy_events import HistoryRead
from service.identity.tokens import create_token
from tests.running import LEARNER, Service, running_service

AUDITOR = 900
READ = "0193a5f0-7c1e-7000-8000-00000000abcd"
EVENTS = "/api/v1/audit/events"
NO_SCOPE = {"errors": [{"message": "Insufficient scopes on access token."}]}
LINES = {"Accept": "application/x-ndjson"}


def replay_of(number: object) -> str:
    return f"/api/v1/audit/conversations/{number}/replay"


@pytest.fixture
async def service(demo_url: str) -> AsyncIterator[Service]:
    async with running_service(demo_url) as running:
        yield running


async def reads(service: Service) -> list[RecordedEvent]:
    return [e for e in await service.history() if isinstance(e.event, HistoryRead)]


@pytest.mark.parametrize("path", [EVENTS, replay_of(1)])
async def test_only_a_token_with_the_scope_may_audit(service: Service, path: str) -> None:
    await service.open()
    unauthenticated = {
        "status": "unauthenticated",
        "errors": [{"message": "user authorization required"}],
    }
    await service.refused(401, unauthenticated, "GET", path, user=None)
    invalid = {"errors": [{"message": "Invalid access token."}]}
    wrong = {"Authorization": "Bearer colloquy_wrong"}
    await service.refused(401, invalid, "GET", path, user=None, headers=wrong)
    for user in (LEARNER, 1, 901):
        await service.refused(401, NO_SCOPE, "GET", path, user=user)
    assert (await service.request("GET", path, user=AUDITOR)).status == 200


async def test_the_scope_permits_nothing_else(service: Service) -> None:
    path = "/api/v1/courses/1/ai_experiences"
    await service.refused(401, NO_SCOPE, "GET", path, user=AUDITOR)


async def test_an_auditor_with_a_revoked_token_is_refused(
    service: Service, owner: Connection
) -> None:
    await owner.execute("UPDATE tokens SET revoked_at = now() WHERE user_id = $1", AUDITOR)
    assert (await service.request("GET", EVENTS, user=AUDITOR)).status == 401


async def test_a_read_is_recorded_with_reader_subject_and_reason(service: Service) -> None:
    number = (await service.open())["id"]
    path = f"{EVENTS}?conversation_id={number}&type=message_posted.v1&reason=no"
    headers = {"X-Audit-Reason": "Complaint of 3 May", "X-Request-Id": READ}
    assert (await service.request("GET", path, user=AUDITOR, headers=headers)).status == 200
    [read] = await reads(service)
    assert read.event == HistoryRead(
        what=f"GET {EVENTS}?conversation_id={number}&type=message_posted.v1",
        learner_id=LEARNER,
        conversation_id=number,
        reason="Complaint of 3 May",
    )
    assert read.stream == f"access-{LEARNER}"
    assert (read.metadata.actor.id, read.metadata.actor.role) == (AUDITOR, "auditor")
    assert read.metadata.request_id == READ
    assert read.metadata.token_id is not None


async def test_each_kind_of_read_is_recorded_once(service: Service) -> None:
    number = (await service.open())["id"]
    for path, headers in (
        (EVENTS, {}),
        (EVENTS, LINES),
        (f"{EVENTS}?user_id={LEARNER}", {}),
        (replay_of(number), {}),
        (replay_of(number) + "?at=2", {"Accept": "text/html"}),
    ):
        before = len(await reads(service))
        assert (await service.request("GET", path, user=AUDITOR, headers=headers)).status == 200
        assert len(await reads(service)) == before + 1
    streams = [read.stream for read in await reads(service)]
    mine = f"access-{LEARNER}"
    assert streams == ["access", "access", mine, mine, mine]


@pytest.mark.parametrize("headers", [{}, LINES])
async def test_a_read_of_a_course_names_it_unless_it_names_a_learner(
    service: Service, headers: dict[str, str]
) -> None:
    """The read of a conversation does not assign it to the course in the filter."""
    number = (await service.open())["id"]
    of_somebody = (f"conversation_id={number}&course_id=7", f"user_id={LEARNER}&course_id=7")
    for asked in ("course_id=1", *of_somebody):
        path = f"{EVENTS}?{asked}"
        assert (await service.request("GET", path, user=AUDITOR, headers=headers)).status == 200
    events = [read.event for read in await reads(service)]
    assert [getattr(event, "course_id", 0) for event in events] == [1, None, None]


async def test_a_read_is_in_the_log_but_not_in_its_own_replay(
    service: Service,
) -> None:
    number = (await service.open())["id"]
    head = await service.head()
    _, body = await service.call("GET", replay_of(number), user=AUDITOR)
    assert body["at"] == head
    _, found = await service.call("GET", f"{EVENTS}?type=history_read.v1", user=AUDITOR)
    assert [event["position"] for event in found] == [head + 1, head + 2]


@pytest.mark.parametrize("path", [EVENTS, replay_of(1)])
async def test_a_reason_can_be_required(demo_url: str, path: str) -> None:
    async with running_service(demo_url, audit_reason="required") as service:
        await service.open()
        head = await service.head()
        for headers in ({}, {"X-Audit-Reason": "  "}):
            status, body = await service.call("GET", path, user=AUDITOR, headers=headers)
            assert status == 400
            assert "X-Audit-Reason" in body["error"]
        assert await service.head() == head
        why = {"X-Audit-Reason": "Complaint"}
        assert (await service.request("GET", path, user=AUDITOR, headers=why)).status == 200
        asked = f"{path}?reason=Complaint"
        assert (await service.request("GET", asked, user=AUDITOR)).status == 200
        recorded = [read.event for read in await reads(service)]
        assert [getattr(event, "reason", None) for event in recorded] == ["Complaint"] * 2


@pytest.mark.parametrize(
    ("reason", "status"), [("x" * 501, 422), ("%00", 400), ("x" * 500, 200), ("%F0%9F%91%A9", 200)]
)
async def test_a_reason_that_cannot_be_stored_is_refused(
    service: Service, reason: str, status: int
) -> None:
    answered = await service.request("GET", f"{EVENTS}?reason={reason}", user=AUDITOR)
    assert answered.status == status
    assert len(await reads(service)) == (1 if status == 200 else 0)


async def test_the_recorded_request_is_cut_to_its_maximum_length(service: Service) -> None:
    long = "&".join(f"type=kind_{n}" for n in range(200))
    assert (await service.request("GET", f"{EVENTS}?{long}", user=AUDITOR)).status == 200
    [read] = await reads(service)
    assert isinstance(read.event, HistoryRead)
    assert len(read.event.what) == 500


@pytest.mark.parametrize("headers", [{}, LINES, {"Accept": "text/event-stream"}])
async def test_nothing_is_read_if_the_read_cannot_be_recorded(
    service: Service, owner: Connection, headers: dict[str, str]
) -> None:
    await service.open()
    await owner.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW"
        " WHEN (NEW.type = 'history_read.v1') EXECUTE FUNCTION refuse()"
    )
    for path in (EVENTS, replay_of(1)):
        response = await service.request("GET", path, user=AUDITOR, headers=headers)
        assert response.status == 503
        assert set(await response.json()) == {"error", "code", "retryable", "reference_id"}


@pytest.mark.parametrize("number", ["77", "x", "0", "99999999999999999999"])
async def test_a_missing_conversation_is_not_found(service: Service, number: str) -> None:
    await service.refused(
        404, {"error": "Resource Not Found"}, "GET", replay_of(number), user=AUDITOR
    )


@pytest.mark.parametrize("at", ["x", "-1", "999999", "", "2031-99-01"])
async def test_an_invalid_time_is_refused(service: Service, at: str) -> None:
    await service.open()
    head = await service.head()
    status, body = await service.call("GET", f"{replay_of(1)}?at={at}", user=AUDITOR)
    assert (status, "at " in body["error"]) == (400, True), body
    assert await service.head() == head


async def test_an_administrator_who_audits_as_somebody_is_named(
    service: Service, owner: Connection
) -> None:
    connection = await connect(service.database_url)
    token = await create_token(connection, 1, 1, ("colloquy:audit",), admin=True)
    await connection.close()
    bearer: dict[str, Any] = {"user": None, "headers": {"Authorization": f"Bearer {token}"}}
    path = f"{EVENTS}?as_user_id={AUDITOR}"
    assert (await service.request("GET", path, **bearer)).status == 200
    [read] = await reads(service)
    assert (read.metadata.actor.id, read.metadata.real_user_id) == (AUDITOR, 1)
