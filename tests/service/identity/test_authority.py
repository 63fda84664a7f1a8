"""Permissions are checked when an action is recorded, not only when the request begins."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest

from eventstore.connections import Connection, connect
from eventstore.dialogue_events import MessagePosted, ReplyFailed
from eventstore.envelope import RecordedEvent
from eventstore.errors import GuardBroken
from service.access_log import AccessLog
from service.identity.roster import Enrollment, import_roster
from service.identity.tokens import create_token, list_tokens, revoke_token
from tests.eventstore.waiting import eventually
from tests.fake_anthropic import FakeAnthropic, Speech, Stall, evaluation_speech
from tests.running import CONVERSATIONS, TEACHER, Service, fetch_value, messages_of
from tests.service.privacy.erasing import REASON, create_admin, erasing
from tests.service.raw_http import connected
from tests.service.reading_streams import provider_stalls, turn_path

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXPERIENCES = "/api/v1/courses/1/ai_experiences"
EXPERIENCE = f"{EXPERIENCES}/1"
DRAFT = {
    "title": "x",
    "learning_objective": "x",
    "pedagogical_guidance": "x",
    "workflow_state": "published",
}
ERASE = "SELECT outcome FROM erase_learner_v2(1, $1, 'asked', $2, NULL)"
EXPIRE = "SELECT outcome, texts FROM expire_texts_v1(1, $1, $2)"
HOLD = """
SELECT append_facts_v1(1, ARRAY[$1], ARRAY[jsonb_build_object(
    'type', 'hold_placed.v1', 'hold_id', 10000 + $2::bigint, 'user_id', $2::bigint,
    'reason', 'asked')], $3)
"""
BY_OPERATOR = '{"actor": {"id": null, "role": "operator"}}'
BEFORE_A_LOCK = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock'
   AND query ~ 'append_events|erase_learner'
"""
HALF_SAID = Stall(after=1, speech=Speech(pieces=("What do you ", "know?")))


class Scene(NamedTuple):
    """A test's own users, and the objects of their actions."""

    service: Service
    learner: int
    teacher: int
    conversation: Any
    feedback: str
    own_experience: str

    @property
    def path(self) -> str:
        return f"{CONVERSATIONS}/{self.conversation['id']}"

    @property
    def message(self) -> str:
        return f"{self.path}/messages/{self.conversation['messages'][1]['id']}/feedback"


class Action(NamedTuple):
    """A request that writes."""

    actor: str
    method: str
    path: Callable[[Scene], str]
    body: Any = {}  # noqa: RUF012 -- only read


ACTIONS = {
    "an opening": Action("learner", "POST", lambda _: CONVERSATIONS),
    "a message": Action(
        "learner", "POST", lambda s: messages_of(s.conversation["id"]), {"message": "x"}
    ),
    "a completion": Action("learner", "DELETE", lambda s: s.path),
    "a teacher's completion": Action("teacher", "DELETE", lambda s: s.path),
    "a vote": Action(
        "learner", "POST", lambda s: s.message, {"vote": "liked", "feedback_message": "words"}
    ),
    "a teacher's vote": Action(
        "teacher", "POST", lambda s: s.message, {"vote": "liked", "feedback_message": "words"}
    ),
    "a vote's withdrawal": Action("learner", "DELETE", lambda s: f"{s.message}/{s.feedback}"),
    "an evaluation": Action("teacher", "POST", lambda s: f"{s.path}/evaluation"),
    "a new experience": Action("teacher", "POST", lambda _: EXPERIENCES, DRAFT),
    "an edit": Action("teacher", "PUT", lambda s: s.own_experience, {"title": "y"}),
    "an experience's deletion": Action("teacher", "DELETE", lambda s: s.own_experience),
    "an erasure": Action("admin", "DELETE", lambda s: erasing(s.learner), REASON),
    "an erasure of who has said nothing": Action(
        "admin", "DELETE", lambda s: erasing(s.teacher), REASON
    ),
}
every_deed = pytest.mark.parametrize("name", ACTIONS)


async def scene(service: Service) -> Scene:
    learner, teacher = await service.enroll(), await service.enroll("teacher")
    conversation = await service.open(learner)
    vote = f"{CONVERSATIONS}/{conversation['id']}/messages/{conversation['messages'][1]['id']}"
    given = await service.call("POST", f"{vote}/feedback", user=learner, json={"vote": "liked"})
    made = await service.call("POST", EXPERIENCES, user=teacher, json=DRAFT)
    return Scene(
        service,
        learner,
        teacher,
        conversation,
        given[1]["feedback"]["id"],
        f"{EXPERIENCES}/{made[1]['id']}",
    )


async def actor_of(scene: Scene, action: Action) -> int:
    """The user who does it; each test gets a new administrator."""
    if action.actor != "admin":
        return int(getattr(scene, action.actor))
    admin = await scene.service.enroll("teacher")
    connection = await connect(scene.service.database_url)
    scene.service.tokens[str(admin)] = await create_token(connection, 1, admin, admin=True)
    await connection.close()
    return admin


async def recorded_by(scene: Scene, actor: int, after: int) -> list[RecordedEvent]:
    events = await scene.service.history(after)
    return [e for e in events if actor in (e.metadata.actor.id, e.metadata.real_user_id)]


@asynccontextmanager
async def held_appends(service: Service) -> AsyncIterator[Connection]:
    """Holds up all appends with a transaction until the context ends."""
    connection = await connect(service.database_url)
    try:
        async with connection.transaction():
            await connection.enter(1)
            await connection.execute("SELECT FROM log_heads WHERE account_id = 1 FOR UPDATE")
            yield connection
    finally:
        await connection.close()


async def wait_for_appends(service: Service, *requests: "asyncio.Task[Any]") -> None:
    """Waits until requests have passed the checks and their appends wait."""

    async def look() -> bool:
        for request in requests:
            assert not request.done(), request.result()
        return int(await fetch_value(service.database_url, BEFORE_A_LOCK)) == len(requests)

    await eventually(look)


Change = Callable[[Connection, Scene, int], Awaitable[Any]]


async def token_revoked(connection: Connection, _: Scene, actor: int) -> None:
    await connection.execute(
        "UPDATE tokens SET revoked_at = clock_timestamp() WHERE user_id = $1", actor
    )


async def token_expired(connection: Connection, _: Scene, actor: int) -> None:
    await connection.execute(
        "UPDATE tokens SET expires_at = clock_timestamp() WHERE user_id = $1", actor
    )


async def role_lost(connection: Connection, _: Scene, actor: int) -> None:
    await connection.execute("UPDATE enrollments SET role = 'observer' WHERE user_id = $1", actor)


async def membership_ended(connection: Connection, _: Scene, actor: int) -> None:
    await connection.execute(
        "UPDATE enrollments SET status = 'completed' WHERE user_id = $1", actor
    )


async def learner_erased(connection: Connection, scene: Scene, _: int) -> None:
    assert await connection.fetchval(ERASE, scene.learner, BY_OPERATOR) == "erased"


async def hold_placed(connection: Connection, scene: Scene, _: int) -> None:
    await connection.execute(HOLD, f"learner-{scene.learner}", scene.learner, BY_OPERATOR)


async def administrator_no_more(connection: Connection, _: Scene, actor: int) -> None:
    await connection.execute("UPDATE tokens SET admin = false WHERE user_id = $1", actor)


async def refused(scene: Scene, name: str, change: Change, status: int) -> None:
    """Makes a change after the check of an action, which must then be refused and not recorded."""
    action = ACTIONS[name]
    actor = await actor_of(scene, action)
    head = await scene.service.head()
    async with held_appends(scene.service) as connection:
        request = asyncio.create_task(
            scene.service.call(action.method, action.path(scene), user=actor, json=action.body)
        )
        await wait_for_appends(scene.service, request)
        await change(connection, scene, actor)
    answer = await request
    assert answer[0] == status, answer
    assert await recorded_by(scene, actor, head) == []


@every_deed
@pytest.mark.parametrize("change", [token_revoked, token_expired])
async def test_a_token_must_be_valid_when_the_action_is_recorded(
    service: Service, name: str, change: Change
) -> None:
    await refused(await scene(service), name, change, 401)


@pytest.mark.parametrize("name", [name for name in ACTIONS if "erasure" not in name])
@pytest.mark.parametrize("change", [role_lost, membership_ended])
async def test_the_role_must_hold_when_the_action_is_recorded(
    service: Service, name: str, change: Change
) -> None:
    await refused(await scene(service), name, change, 403)


@pytest.mark.parametrize("name", [name for name in ACTIONS if "erasure" in name])
async def test_a_former_administrator_cannot_erase(service: Service, name: str) -> None:
    await refused(await scene(service), name, administrator_no_more, 401)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        *((name, 401) for name, action in ACTIONS.items() if action.actor == "learner"),
        *((name, 409) for name in ("a teacher's vote", "an evaluation")),
    ],
)
async def test_nothing_of_a_learner_is_recorded_after_their_erasure(
    service: Service, name: str, status: int
) -> None:
    """Nor texts of others about them."""
    one = await scene(service)
    await refused(one, name, learner_erased, status)
    events = [e for e in await service.history() if e.stream == f"dialogue-1-{one.learner}"]
    assert not any(e.content for e in events)


async def expire(connection: Connection, one: Scene) -> None:
    rules = json.dumps({str(one.conversation["id"]): {"rule": "account", "days": 1}})
    done = await connection.fetchrow(EXPIRE, rules, BY_OPERATOR)
    assert done is not None
    assert (done["outcome"], done["texts"] > 0) == ("expired", True)


async def texts_of(one: Scene) -> list[str]:
    number = one.conversation["id"]
    events = [e for e in await one.service.history() if e.content]
    return [str(e.content) for e in events if getattr(e.event, "conversation_id", None) == number]


async def test_no_text_about_a_conversation_is_recorded_after_its_texts_expired(
    service: Service, fake: FakeAnthropic
) -> None:
    """Neither with a vote that was checked before, nor by a running evaluation."""
    one = await scene(service)
    assert (await service.call("DELETE", one.path, user=one.learner))[0] == 200
    fake.script_judgements(Stall(after=1, speech=evaluation_speech(3)))
    evaluation = asyncio.create_task(
        service.call("POST", f"{one.path}/evaluation", user=one.teacher)
    )
    await fake.wait_until(lambda: fake.stalled_judgements == 1)
    async with held_appends(service) as connection:
        vote = asyncio.create_task(
            service.call(
                "POST",
                one.message,
                user=one.teacher,
                json={"vote": "liked", "feedback_message": "late words"},
            )
        )
        fake.release()
        await wait_for_appends(service, evaluation, vote)
        await expire(connection, one)
    assert ((await vote)[0], (await vote)[1].get("code")) == (409, "text_removed")
    assert (await evaluation)[0] == 503
    assert (await evaluation)[1]["retryable"] is False
    assert await texts_of(one) == []


async def test_an_evaluation_is_answered_although_the_learners_stream_changes(
    service: Service, fake: FakeAnthropic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a repeated request would ask the model, and cost, again."""
    one, asked, broken = await scene(service), len(fake.judgements), [True] * 6
    record = AccessLog.record_hourly

    async def recorded(*given: Any) -> None:
        if broken and broken.pop():
            raise GuardBroken("stream")
        await record(*given)

    monkeypatch.setattr(AccessLog, "record_hourly", recorded)
    status, body = await service.call("POST", f"{one.path}/evaluation", user=one.teacher)
    assert (status, broken) == (200, [])
    assert body["evaluation"]["overall_score"] is not None
    assert len(fake.judgements) == asked + 1


async def test_an_administrators_token_must_be_valid_when_the_action_is_recorded(
    service: Service,
) -> None:
    one = await scene(service)
    admin = await actor_of(one, ACTIONS["an erasure"])
    head = await service.head()
    async with held_appends(service) as connection:
        path = f"{messages_of(one.conversation['id'])}?as_user_id={one.learner}"
        request = asyncio.create_task(service.call("POST", path, user=admin, json={"message": "x"}))
        await wait_for_appends(service, request)
        await token_revoked(connection, one, admin)
    assert (await request)[0] == 401
    assert await recorded_by(one, admin, head) == []


@pytest.mark.parametrize("method", ["DELETE", "PUT"], ids=["deleted", "unpublished"])
async def test_an_experience_must_be_published_when_its_conversation_begins(
    service: Service, method: str
) -> None:
    one = await scene(service)
    head = await service.head()
    async with held_appends(service):
        teacher = asyncio.create_task(
            service.call(
                method,
                one.own_experience,
                user=one.teacher,
                json={"workflow_state": "unpublished"},
            )
        )
        await wait_for_appends(service, teacher)
        learner = asyncio.create_task(
            service.call("POST", f"{one.own_experience}/conversations", user=one.learner)
        )
        await wait_for_appends(service, teacher, learner)
    assert (await teacher)[0] == 200
    assert (await learner)[0] == 404  # as the checks say of it now
    assert await recorded_by(one, one.learner, head) == []


async def test_a_reply_is_not_stopped_by_a_caller_who_lost_the_permission(
    service: Service, fake: FakeAnthropic
) -> None:
    """It ends, but the log names nobody who stopped it."""
    one = await scene(service)
    head, stalled = await service.head(), fake.stalled
    with provider_stalls(fake, HALF_SAID):
        asked = asyncio.create_task(service.say(one.conversation["id"], "Hello", one.learner))
        await fake.wait_until(lambda: fake.stalled == stalled + 1)
        posted = (await service.history(head))[0].event
        assert isinstance(posted, MessagePosted)
        path = turn_path(one.conversation["id"], posted.turn_id, "cancel")
        async with held_appends(service) as connection:
            request = asyncio.create_task(service.call("POST", path, user=one.teacher))
            await wait_for_appends(service, request)
            await token_revoked(connection, one, one.teacher)
        assert (await request)[0] == 409
        assert (await asked)[0] == 503
    assert await recorded_by(one, one.teacher, head) == []
    end = (await service.history(head))[-1]
    assert isinstance(end.event, ReplyFailed)
    assert end.metadata.actor.role == "model"


@pytest.mark.parametrize("change", [token_revoked, token_expired])
async def test_the_body_of_a_request_with_an_invalid_token_is_not_awaited(
    service: Service, change: Change
) -> None:
    """Whether or not this process has cached the token."""
    one = await scene(service)
    admin = await actor_of(one, ACTIONS["an erasure"])
    connection = await connect(service.database_url)
    for actor in (one.teacher, admin):
        await change(connection, one, actor)
        async with connected(service) as raw:
            await raw.ask("POST", EXPERIENCES, service.tokens[str(actor)], length=1000)
            assert (await raw.answer()).status == 401
    await connection.close()


@every_deed
async def test_a_request_is_checked_when_its_body_has_arrived(service: Service, name: str) -> None:
    """Even if its last byte arrives after the revocation."""
    one, action = await scene(service), ACTIONS[name]
    actor = await actor_of(one, action)
    body = json.dumps(action.body).encode()
    async with connected(service) as raw:
        token = service.tokens[str(actor)]
        await raw.ask(action.method, action.path(one), token, length=len(body), expect=True)
        await raw.send(body[:-1])
        head = await service.head()
        connection = await connect(service.database_url)
        for known in await list_tokens(connection, 1):
            if known.user_id == actor:
                await revoke_token(connection, 1, known.token_id)
        await connection.close()
        await raw.send(body[-1:])
        assert (await raw.answer()).status == 401
    assert await recorded_by(one, actor, head) == []


async def test_a_role_is_checked_when_the_body_has_arrived(service: Service) -> None:
    one = await scene(service)
    body = json.dumps(DRAFT).encode()
    async with connected(service) as raw:
        token = service.tokens[str(one.teacher)]
        await raw.ask("POST", EXPERIENCES, token, length=len(body), expect=True)
        row = Enrollment(
            course_id=1, user_id=one.teacher, name="New", role="learner", status="active"
        )
        connection = await connect(service.database_url)
        await import_roster(connection, 1, [row])
        await connection.close()
        await raw.send(body)
        assert (await raw.answer()).status == 403


async def test_texts_that_arrive_after_an_erasure_are_not_stored(service: Service) -> None:
    """Texts by the learner and about them."""
    one = await scene(service)
    await create_admin(service)
    body = json.dumps(ACTIONS["a vote"].body).encode()
    async with connected(service) as learner, connected(service) as teacher:
        for raw, user in ((learner, one.learner), (teacher, one.teacher)):
            token = service.tokens[str(user)]
            await raw.ask("POST", one.message, token, length=len(body), expect=True)
        options = {"headers": {"Authorization": f"Bearer {service.tokens['admin']}"}}
        path = erasing(one.learner)
        assert (await service.call("DELETE", path, user=None, json=REASON, **options))[0] == 200
        await learner.send(body)
        assert (await learner.answer()).status == 401
        await teacher.send(body)
        status = (await teacher.answer()).status
    assert status == 409  # as for any request that comes now: the words are gone


@pytest.mark.parametrize("token", ["colloquy_nobodys", ""])
async def test_the_body_of_a_request_with_an_unknown_token_is_not_awaited(
    service: Service, token: str
) -> None:
    async with connected(service) as raw:
        await raw.ask("POST", CONVERSATIONS, token, length=1000)
        assert (await raw.answer()).status == 401


HARMLESS = [name for name in ACTIONS if name != "an erasure"]  # which a hold forbids


@pytest.mark.parametrize("name", HARMLESS)
async def test_an_action_succeeds_if_a_change_does_not_forbid_it(
    service: Service, name: str
) -> None:
    """An edit of the experience and a hold on the learner are checked and permit it."""
    one, action = await scene(service), ACTIONS[name]
    actor, head = await actor_of(one, action), await service.head()
    async with held_appends(service) as connection:
        edit = asyncio.create_task(
            service.call("PUT", EXPERIENCE, user=TEACHER, json={"facts": name})
        )
        await wait_for_appends(service, edit)
        request = asyncio.create_task(
            service.call(action.method, action.path(one), user=actor, json=action.body)
        )
        await wait_for_appends(service, edit, request)
        await hold_placed(connection, one, actor)
    assert (await edit)[0] == 200
    answer = await request
    assert answer[0] in (200, 201), answer
    done = [e.event.__struct_config__.tag for e in await recorded_by(one, actor, head)]
    assert done
    assert len(done) == len(set(done)), done


@every_deed
async def test_each_action_succeeds_without_a_change(service: Service, name: str) -> None:
    one, action = await scene(service), ACTIONS[name]
    actor, head = await actor_of(one, action), await service.head()
    answer = await service.call(action.method, action.path(one), user=actor, json=action.body)
    assert answer[0] in (200, 201), answer
    assert await recorded_by(one, actor, head) != []
