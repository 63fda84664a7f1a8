"""A learner is erased during their turns, and none of their texts remains."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from eventstore.connections import Connection, connect
from eventstore.dialogue_events import ReplyCancelled
from eventstore.evaluation_events import EvaluationFailed
from eventstore.privacy_events import LearnerErased, TextExpired
from projections.definitions import definition, definitions
from projections.generations import create
from projections.rebuild import rebuild_all
from service.identity.tokens import create_token
from service.timing import Timing
from sql.loader import query
from tests.fake_anthropic import FakeAnthropic, Stall, evaluation_speech
from tests.projections.viewing import all_rows
from tests.running import (
    CONVERSATIONS,
    LEARNER,
    OTHER_LEARNER,
    TEACHER,
    Service,
    messages_of,
    running_beside,
    running_service,
)
from tests.service.privacy.erasing import (
    MARKER,
    REASON,
    by,
    create_admin,
    erase,
    erasing,
    followed_views_are_fresh,
    speak_everywhere,
    tables_with,
    talk,
    turn_of,
)


@pytest.fixture
async def service(demo_url: str) -> AsyncIterator[Service]:
    async with running_service(demo_url) as running:
        await create_admin(running)
        yield running


async def test_no_text_of_an_erased_learner_remains_in_any_table(
    service: Service, owner: Connection
) -> None:
    await owner.execute("UPDATE users SET name = $1 WHERE user_id = $2", MARKER, LEARNER)
    await owner.execute("INSERT INTO identities VALUES (1, $1, $2)", MARKER, LEARNER)
    first = await talk(service, LEARNER, f"An earlier {MARKER}")
    shown = await speak_everywhere(service)
    others = await talk(service, OTHER_LEARNER, "Words that stay")
    assert set(await tables_with(owner, MARKER)) >= {"event_content", "users", "identities"}
    await owner.execute("ANALYZE")
    status, report = await erase(service)
    assert await tables_with(owner, MARKER) == []
    assert status == 200
    assert report["erased"] | {"texts": 0} == {
        "user_id": LEARNER,
        "texts": 0,
        "conversations": 2,
        "names": 1,
        "identities": 1,
        "tokens": 1,
    }
    assert await owner.fetchval("SELECT name FROM users WHERE user_id = $1", LEARNER) == "[erased]"
    assert (await service.active(OTHER_LEARNER)) == others
    log = await service.history()
    events = [e.event for e in log]
    (erased,) = [event for event in events if isinstance(event, LearnerErased)]
    expired = [event for event in events if isinstance(event, TextExpired)]
    assert [event.conversation_id for event in expired] == [first["id"], shown["id"]]
    assert sum(e.texts for e in expired) == erased.texts == report["erased"]["texts"]
    assert (erased.reason, log[-1].metadata.actor.id) == ("letter of 3 May", 900)
    assert [e for e in log if e.erased and e.stream.endswith(f"-{OTHER_LEARNER}")] == []


def said_by_client(number: int) -> dict[str, str]:
    """A text in each header that a client may choose."""
    names = ("X-Request-Id", "User-Agent", "Referer", "Cookie", "From", "Traceparent", "Baggage")
    words = dict.fromkeys((*names, "X-Audit-Reason", "X-Forwarded-For", "Last-Event-ID"), MARKER)
    return words | {"Idempotency-Key": f"{MARKER}-{number}"}


async def test_no_value_from_a_learners_client_remains(service: Service, owner: Connection) -> None:
    """Keys, ids and other values in the headers and queries of all requests of a learner."""
    experience = "/api/v1/courses/1/ai_experiences"
    shown = await talk(service, LEARNER, "Hello")
    path = f"{CONVERSATIONS}/{shown['id']}"
    vote = f"{path}/messages/{shown['messages'][-1]['id']}/feedback"
    turn = turn_of(await service.history(), "Hello")
    liked = {"vote": "liked", "feedback_message": f"Very {MARKER}"}
    asked: list[tuple[str, str, object, int]] = [
        ("POST", messages_of(shown["id"]), {"message": f"It is {MARKER}"}, 200),
        ("POST", vote, liked, 200),
        ("POST", f"{path}/turns/{turn}/cancel", None, 409),
        ("POST", f"{path}/evaluation", None, 403),
        ("POST", experience, {"title": MARKER}, 403),
        ("GET", path, None, 200),
        ("GET", f"{path}/turns/{turn}/stream", None, 200),
        ("GET", experience, None, 400),
        ("GET", f"{experience}/1", None, 200),
        ("GET", "/api/v1/users/self/learner_record", None, 200),
        ("GET", "/api/v1/audit/events", None, 401),
        ("GET", f"/{MARKER}", None, 404),
        ("POST", CONVERSATIONS, None, 201),
        ("DELETE", path, None, 404),
    ]
    chosen = {"note": MARKER, "page": MARKER, "reason": MARKER}
    for number, (method, where, body, status) in enumerate(asked):
        response = await service.request(
            method, where, params=chosen, headers=said_by_client(number), json=body
        )
        assert response.status == status, (method, where, await response.text())
    await owner.execute("ANALYZE")
    assert set(await tables_with(owner, f"{MARKER}-")) == set(), "keys, which nobody may read"
    assert (await erase(service))[0] == 200
    assert await tables_with(owner, MARKER) == []


async def test_a_conversation_without_its_texts_is_not_evaluated(
    service: Service, owner: Connection
) -> None:
    """A model would grade an empty conversation, with new text about the learner."""
    shown = await speak_everywhere(service)
    assert (await erase(service))[0] == 200
    head = await service.head()
    path = f"{CONVERSATIONS}/{shown['id']}/evaluation"
    status, refused = await service.call("POST", path, user=TEACHER)
    assert (status, refused["code"]) == (409, "text_removed")
    assert await owner.fetchval("SELECT count(*) FROM event_content") == 0
    assert await service.head() == head


async def test_a_rebuild_afterwards_makes_the_same_rows(
    service: Service, owner: Connection
) -> None:
    await speak_everywhere(service)
    await talk(service, OTHER_LEARNER, "Words that stay")
    assert (await erase(service))[0] == 200
    await followed_views_are_fresh(service, owner)
    before = await all_rows(owner)
    assert [n async for n, _ in rebuild_all(service.database_url, definitions().values())]
    assert await all_rows(owner) == before
    assert await tables_with(owner, MARKER) == []


async def test_the_rest_of_the_course_is_unchanged_row_by_row(
    service: Service, owner: Connection
) -> None:
    await speak_everywhere(service)
    kept = await talk(service, OTHER_LEARNER, "Words that stay")
    await followed_views_are_fresh(service, owner)
    of_others = "SELECT * FROM {} WHERE {} ORDER BY 1, 2, 3"
    rows = {
        "events": f"stream NOT LIKE '%-{LEARNER}' AND position <= {await service.head()}",
        "event_content": f"subject_id <> {LEARNER}",
        "users": f"user_id <> {LEARNER}",
        "tokens": f"user_id <> {LEARNER}",
        "enrollments": "true",
        "read.conversations": f"user_id <> {LEARNER}",
        "read.conversation_messages": f"conversation_id = {kept['id']}",
        "analytics.turn_facts": "true",
    }
    statements = [of_others.format(table, condition) for table, condition in rows.items()]
    before = [await owner.fetch(statement) for statement in statements]
    assert all(before)
    assert (await erase(service))[0] == 200
    await followed_views_are_fresh(service, owner)
    assert [await owner.fetch(statement) for statement in statements] == before


async def test_a_teacher_sees_no_texts_afterwards(service: Service) -> None:
    shown = await speak_everywhere(service)
    path = f"{CONVERSATIONS}/{shown['id']}"
    tag = (await service.request("GET", path, user=TEACHER)).headers["ETag"]
    await erase(service)
    again = await service.request("GET", path, user=TEACHER, headers={"If-None-Match": tag})
    assert again.status == 200, "what changed is not said to be unchanged"
    seen = await again.json()
    assert seen["workflow_state"] == "completed"
    assert [m["text"] for m in seen["messages"][1:]] == [None] * (len(shown["messages"]) - 1)
    student = await service.call(
        "GET", path.replace("conversations", "ai_conversations"), user=TEACHER
    )
    assert student[1]["student"] == {"id": LEARNER, "name": "[erased]"}
    judged = await service.call("GET", f"{path}/evaluation", user=TEACHER)
    assert judged == (200, {"id": shown["id"], "evaluation": None, "stale": False})


async def test_an_erased_learner_cannot_log_in_and_a_roster_does_not_restore_them(
    service: Service, owner: Connection
) -> None:
    await service.open()
    await erase(service)
    assert (await service.call("GET", CONVERSATIONS))[0] == 401
    await service.enroll(user=LEARNER)
    assert await owner.fetchval("SELECT name FROM users WHERE user_id = $1", LEARNER) == "[erased]"


async def test_erasing_again_removes_nothing_and_records_nothing(service: Service) -> None:
    await talk(service, LEARNER, "Once")
    await erase(service)
    head = await service.head()
    status, report = await erase(service)
    assert (status, await service.head()) == (200, head)
    nothing = dict.fromkeys(("texts", "conversations", "names", "identities", "tokens"), 0)
    assert report["erased"] == {"user_id": LEARNER} | nothing


async def test_a_learner_may_return_after_an_erasure_and_be_erased_again(
    service: Service, owner: Connection
) -> None:
    await talk(service, LEARNER, "Before")
    await erase(service)
    await service.enroll(user=LEARNER)
    said = await talk(service, LEARNER, f"After {MARKER}")
    assert said["messages"][2]["text"] == f"After {MARKER}"
    assert [n async for n, _ in rebuild_all(service.database_url, definitions().values())]
    assert await service.active() == said
    assert (await erase(service))[0] == 200
    assert await tables_with(owner, MARKER) == []


async def erase_behind_its_back(owner: Connection) -> None:
    """Erases like another process whose message gets lost: this service receives none."""
    actor = '{"actor": {"id": null, "role": "operator"}}'
    await owner.execute("SET colloquy.account = '1'")
    outcome = await owner.fetchval(
        "SELECT outcome FROM erase_learner_v1(1, $1, 'asked', $2)", LEARNER, actor
    )
    assert outcome == "erased"


async def test_a_process_without_the_message_returns_no_text(
    service: Service, owner: Connection
) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    opened = await service.open()
    post = (messages_of(opened["id"]), f"It is {MARKER}")
    answer = await service.call("POST", post[0], json={"message": post[1]}, headers=key)
    assert answer[0] == 200
    turn = turn_of(await service.history(), post[1])
    await erase_behind_its_back(owner)
    await service.enroll(user=LEARNER)
    stream = await service.request("GET", f"{CONVERSATIONS}/{opened['id']}/turns/{turn}/stream")
    texts = [stream.status, await stream.text()]
    new = {"message": "Something new"}
    status, said = await service.call("POST", post[0], json=new, headers=key)
    assert status == 200, "the key went, too: it leads to no other request"
    assert [m["text"] for m in said["messages"][1:5]] == [None] * 3 + ["Something new"]
    for seen in (texts, said, await service.active()):
        assert MARKER not in str(seen)
        assert answer[1]["messages"][-1]["text"] not in str(seen)


async def test_a_running_reply_is_stopped_and_not_stored(demo_url: str, owner: Connection) -> None:
    async with (
        FakeAnthropic() as fake,
        running_service(demo_url, anthropic_base_url=fake.url) as service,
    ):
        await create_admin(service)
        opened = await service.open()
        fake.script(Stall(after=1))
        waiting = asyncio.create_task(service.say(opened["id"], f"It is {MARKER}"))
        await fake.wait_until(lambda: fake.stalled == 1)
        assert (await erase(service))[0] == 200
        status, body = await waiting
        log = await service.history()
    assert (status, body["code"]) == (409, "turn_cancelled")
    (cancelled,) = [e for e in log if isinstance(e.event, ReplyCancelled)]
    assert cancelled.metadata.actor.id == 900
    assert await tables_with(owner, MARKER) == []
    assert [e for e in log if e.content is not None] == []


@pytest.mark.parametrize("user", [LEARNER, TEACHER])
async def test_only_an_administrator_erases(service: Service, user: int) -> None:
    forbidden = {
        "status": "unauthorized",
        "errors": [{"message": "user not authorized to perform that action"}],
    }
    await service.refused(403, forbidden, "DELETE", erasing(LEARNER), user=user, json=REASON)
    acting = {"as_user_id": str(user)}
    options = {"json": REASON, "params": acting, **by(service, "admin")}
    await service.refused(403, forbidden, "DELETE", erasing(LEARNER), **options)


async def test_an_erasure_names_a_user_and_a_reason(service: Service) -> None:
    admin = by(service, "admin")
    missing = {"error": "Resource Not Found"}
    for user in ("404", "0", "x"):
        path = erasing(0).replace("/0/", f"/{user}/")
        await service.refused(404, missing, "DELETE", path, json=REASON, **admin)
    for body in ({}, {"reason": " "}):
        wrong = {"error": "reason is required"}
        await service.refused(400, wrong, "DELETE", erasing(LEARNER), json=body, **admin)
    long = {"error": "reason must be 500 characters or fewer"}
    body = {"reason": "x" * 501}
    await service.refused(422, long, "DELETE", erasing(LEARNER), json=body, **admin)
    form = await service.call("DELETE", erasing(LEARNER), data=REASON, **admin)
    assert form[0] == 200


async def test_another_institutions_administrator_finds_no_learner(service: Service) -> None:
    from service.identity.accounts import create_account
    from service.identity.roster import Enrollment, import_roster

    connection = await connect(service.database_url)
    account = await create_account(connection, "Elsewhere")
    row = Enrollment(course_id=1, user_id=5, name="Eve", role="teacher", status="active")
    await import_roster(connection, account, [row])
    token = await create_token(connection, account, 5, admin=True)
    await connection.close()
    there = {"user": None, "headers": {"Authorization": f"Bearer {token}"}}
    missing = {"error": "Resource Not Found"}
    await service.refused(404, missing, "DELETE", erasing(LEARNER), json=REASON, **there)


async def test_a_running_evaluation_is_ended_and_not_recorded(
    demo_url: str, owner: Connection
) -> None:
    async with (
        FakeAnthropic() as fake,
        running_service(demo_url, anthropic_base_url=fake.url) as service,
    ):
        await create_admin(service)
        opened = await service.open()
        fake.script_judgements(Stall(after=1, speech=evaluation_speech(1)))
        path = f"{CONVERSATIONS}/{opened['id']}/evaluation"
        waiting = asyncio.create_task(service.call("POST", path, user=TEACHER))
        await fake.wait_until(lambda: fake.stalled_judgements == 1)
        assert (await erase(service))[0] == 200
        log = await service.history()
        (ended,) = [e for e in log if isinstance(e.event, EvaluationFailed)]
        fake.release()
        status, body = await waiting
    assert ended.metadata.actor.id == 900
    assert (status, body["code"]) == (503, "cancelled")
    assert await owner.fetchval("SELECT count(*) FROM event_content") == 0


async def test_an_erasure_drops_the_tables_of_a_rebuild_that_died(
    service: Service, owner: Connection
) -> None:
    """It may have copied texts into tables that nobody reads."""
    await talk(service, LEARNER, f"It is {MARKER}")
    name = "conversation_messages"
    generation = await create(owner, definition(name))
    await owner.execute(query("advance_projection"), name, generation, 1, 50_000)
    assert len([t for t in await tables_with(owner, MARKER) if name in t]) == 2
    assert (await erase(service))[0] == 200
    assert await tables_with(owner, MARKER) == []


async def test_an_erasure_is_refused_while_a_view_of_texts_is_being_rebuilt(
    service: Service, owner: Connection
) -> None:
    await talk(service, LEARNER, f"It is {MARKER}")
    name = "conversation_messages"
    await owner.fetchval(query("lock_rebuild"), name)
    await create(owner, definition(name))
    async with running_beside(service, Timing(erasure=0.4)) as hasty:
        status, body = await erase(hasty)
    assert (status, body["code"], body["retryable"]) == (503, "busy", True)
    assert "event_content" in await tables_with(owner, MARKER)
    await owner.execute(query("unlock_rebuild"), name)
    assert (await erase(service))[0] == 200
    assert await tables_with(owner, MARKER) == []
