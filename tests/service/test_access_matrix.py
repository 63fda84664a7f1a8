"""Every endpoint, asked by everybody: who gets in, and what the others are told."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from eventstore.connections import connect
from eventstore.dialogue_events import ReplyCompleted
from service.analytics.endpoints import COURSE_FIGURES, EXPERIENCE_FIGURES
from service.conversations.endpoints import CONVERSATIONS, FEEDBACK, STUDENTS
from service.experiences.endpoints import EXPERIENCE, EXPERIENCES
from service.http.middleware import scope_of
from service.identity.tokens import create_token, list_tokens, revoke_token
from service.routes import ROUTES
from tests.databases import cloned_database
from tests.running import TEACHER, Service, running_service

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNAUTHENTICATED: dict[str, object] = {
    "status": "unauthenticated",
    "errors": [{"message": "user authorization required"}],
}
INVALID = {"errors": [{"message": "Invalid access token."}]}
NO_SCOPE = {"errors": [{"message": "Insufficient scopes on access token."}]}
FORBIDDEN: dict[str, object] = {
    "status": "unauthorized",
    "errors": [{"message": "user not authorized to perform that action"}],
}
NOT_FOUND = {"error": "Resource Not Found"}
OVER = {
    "error": "the turn is over",
    "code": "turn_is_over",
    "retryable": False,
}
NOTHING = {
    "error": "this turn's message has an answer, or it is not the newest one",
    "code": "nothing_to_retry",
    "retryable": False,
}
REFUSED = (403, 404, 409)
CHALLENGE = 'Bearer realm="canvas-lms"'
UNKNOWN = "999999"
DRAFT = {
    "title": "Seasons",
    "learning_objective": "Explain winter",
    "pedagogical_guidance": "Begin outside.",
    "workflow_state": "published",
}
PEOPLE = ("stranger", "observer", "owner", "manager")


class Endpoint(msgspec.Struct, frozen=True):
    """An endpoint, and the status that each of `PEOPLE` gets.

    `stranger` is another learner of the course, `owner` the one whose conversation it is.
    """

    method: str
    path: str
    statuses: tuple[int, int, int, int]
    body: dict[str, str] | None = None
    conflict: Any = None

    def refusal(self, status: int) -> Any:
        """The body of that status, but for the reference."""
        return {403: FORBIDDEN, 404: NOT_FOUND, 409: self.conflict or OVER}[status]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path.removeprefix(EXPERIENCES) or '/'}"


ALL = (200, 200, 200, 200)
OWNERS_AND_MANAGERS = (404, 404, 200, 200)
MANAGERS = (403, 403, 403, 200)
TURN = CONVERSATIONS + "/{id}/turns/{turn_id}"
EVALUATION = CONVERSATIONS + "/{id}/evaluation"
ENDPOINTS = (
    Endpoint("GET", CONVERSATIONS, ALL),
    Endpoint("POST", CONVERSATIONS, (201, 201, 201, 201)),
    Endpoint("POST", CONVERSATIONS + "/{id}/messages", (404, 404, 200, 404), {"message": "Hello"}),
    Endpoint("DELETE", CONVERSATIONS + "/{id}", OWNERS_AND_MANAGERS),
    Endpoint("GET", CONVERSATIONS + "/{id}", OWNERS_AND_MANAGERS),
    Endpoint("GET", STUDENTS, MANAGERS),
    Endpoint("GET", STUDENTS + "/{conversation_id}", MANAGERS),
    Endpoint("POST", FEEDBACK, OWNERS_AND_MANAGERS, {"vote": "liked"}),
    Endpoint("DELETE", FEEDBACK + "/{feedback_id}", OWNERS_AND_MANAGERS),
    Endpoint("GET", EXPERIENCES, ALL),
    Endpoint("POST", EXPERIENCES, (403, 403, 403, 201), DRAFT),
    Endpoint("GET", EXPERIENCE, ALL),
    Endpoint("PUT", EXPERIENCE, MANAGERS, {"title": "Winter"}),
    Endpoint("DELETE", EXPERIENCE, MANAGERS),
    Endpoint("GET", EVALUATION, MANAGERS),
    Endpoint("POST", EVALUATION, MANAGERS),
    Endpoint("GET", TURN + "/stream", OWNERS_AND_MANAGERS),
    Endpoint("POST", TURN + "/cancel", (404, 404, 409, 409)),
    Endpoint("POST", TURN + "/retry", (404, 404, 409, 404), conflict=NOTHING),
    Endpoint("GET", COURSE_FIGURES, MANAGERS),
    Endpoint("GET", EXPERIENCE_FIGURES, MANAGERS),
)
OF_EXPERIENCES = [e for e in ENDPOINTS if "{ai_experience_id}" in e.path]
OF_DIALOGUES = [e for e in OF_EXPERIENCES if EXPERIENCE in e.path]
OF_CONVERSATIONS = [e for e in OF_DIALOGUES if "id}/" in e.path.removeprefix(EXPERIENCE) + "/"]

each_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.name)
each_of_experience = pytest.mark.parametrize("endpoint", OF_EXPERIENCES, ids=lambda e: e.name)
each_of_conversation = pytest.mark.parametrize("endpoint", OF_CONVERSATIONS, ids=lambda e: e.name)


class World(msgspec.Struct, frozen=True):
    """An experience with a conversation in it, on whose opening its owner has voted."""

    service: Service
    people: dict[str, int]
    ids: dict[str, str]

    async def refused(
        self, endpoint: Endpoint, status: int, body: Any, *, who: str | None = None, **more: Any
    ) -> Any:
        """Asks, and must be answered so; `ids` in `more` stand in place of the world's."""
        path = endpoint.path.format(**self.ids | more.pop("ids", {}))
        user = more.pop("user", self.people[who] if who else None)
        return await self.service.refused(
            status, body, endpoint.method, path, user=user, json=endpoint.body, **more
        )

    async def asked(self, endpoint: Endpoint, who: str, **ids: str) -> Any:
        return await self.service.request(
            endpoint.method,
            endpoint.path.format(**self.ids | ids),
            user=self.people[who],
            json=endpoint.body,
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(server_url: str) -> AsyncIterator[Service]:
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url) as running,
    ):
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(service: Service) -> World:
    """What the tests share that change nothing."""
    return await make_world(service)


async def make_world(service: Service) -> World:
    roles = {"stranger": "learner", "owner": "learner", "observer": "observer", "manager": "ta"}
    people = {name: await service.enroll(role) for name, role in roles.items()}  # type: ignore[arg-type]
    _, made = await service.call("POST", EXPERIENCES.format(course_id=1), user=TEACHER, json=DRAFT)
    ids = {"course_id": "1", "ai_experience_id": str(made["id"])}
    ids |= await add_conversation(service, people["owner"], ids)
    return World(service, people, ids)


async def add_conversation(service: Service, owner: int, ids: dict[str, str]) -> dict[str, str]:
    """The ids of a conversation, its opening, a vote on that, and a turn that is over."""
    conversations = CONVERSATIONS.format(**ids)
    _, opened = await service.call("POST", conversations, user=owner)
    path = f"{conversations}/{opened['id']}/messages"
    assert (await service.call("POST", path, user=owner, json={"message": "Hi"}))[0] == 200
    replies = [e.event for e in await service.history() if isinstance(e.event, ReplyCompleted)]
    (turn_id,) = [e.turn_id for e in replies if e.conversation_id == opened["id"]]
    message_id = opened["messages"][1]["id"]
    _, vote = await service.call(
        "POST", f"{path}/{message_id}/feedback", user=owner, json={"vote": "disliked"}
    )
    return {
        "id": str(opened["id"]),
        "conversation_id": str(opened["id"]),
        "message_id": message_id,
        "feedback_id": vote["feedback"]["id"],
        "turn_id": turn_id,
    }


async def limited_token(service: Service, user: int, *scopes: str) -> dict[str, str]:
    connection = await connect(service.database_url)
    try:
        return {"Authorization": f"Bearer {await create_token(connection, 1, user, scopes)}"}
    finally:
        await connection.close()


async def test_the_matrix_has_every_endpoint_of_courses() -> None:
    routes = {(r.method, r.path) for r in ROUTES if "{course_id}" in r.path}
    assert {(e.method, e.path) for e in ENDPOINTS} == routes


@each_endpoint
async def test_without_a_token(endpoint: Endpoint, world: World) -> None:
    response = await world.refused(endpoint, 401, UNAUTHENTICATED)
    assert response.headers["WWW-Authenticate"] == CHALLENGE


@each_endpoint
async def test_with_a_token_that_nobody_gave_out(endpoint: Endpoint, world: World) -> None:
    headers = {"Authorization": "Bearer made-up"}
    response = await world.refused(endpoint, 401, INVALID, headers=headers)
    assert response.headers["WWW-Authenticate"] == CHALLENGE


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def revoked(world: World) -> dict[str, str]:
    """The header of a manager's token that is no good any more."""
    user = world.people["manager"]
    headers = await limited_token(world.service, user)
    connection = await connect(world.service.database_url)
    try:
        tokens = [t.token_id for t in await list_tokens(connection, 1) if t.user_id == user]
        assert await revoke_token(connection, 1, max(tokens))
    finally:
        await connection.close()
    return headers


@each_endpoint
async def test_with_a_revoked_token(
    endpoint: Endpoint, world: World, revoked: dict[str, str]
) -> None:
    response = await world.refused(endpoint, 401, INVALID, headers=revoked)
    assert response.headers["WWW-Authenticate"] == CHALLENGE


@each_endpoint
async def test_with_a_token_for_all_other_endpoints(endpoint: Endpoint, world: World) -> None:
    """Before anything is told of what the path names."""
    others = [scope_of(e.method, e.path) for e in ENDPOINTS if e != endpoint]
    headers = await limited_token(world.service, world.people["manager"], *others)
    for ids in ({}, {"course_id": UNKNOWN}, {"ai_experience_id": UNKNOWN}):
        response = await world.refused(endpoint, 401, NO_SCOPE, headers=headers, ids=ids)
        assert "WWW-Authenticate" not in response.headers


@each_endpoint
async def test_in_a_course_that_does_not_exist(endpoint: Endpoint, world: World) -> None:
    for course in (UNKNOWN, "abc", "0", "1.5", str(2**63)):
        ids = {"course_id": course}
        await world.refused(endpoint, 404, NOT_FOUND, who="manager", ids=ids)


@each_endpoint
async def test_in_somebody_elses_course(endpoint: Endpoint, world: World) -> None:
    """Whatever the role, and whether or not the rest of the path names anything."""
    for user in (2, 201):
        for ids in ({}, {"ai_experience_id": UNKNOWN}):
            await world.refused(endpoint, 403, FORBIDDEN, user=user, ids=ids)
    await world.refused(endpoint, 403, FORBIDDEN, who="manager", ids={"course_id": "2"})


@each_of_experience
async def test_with_an_experience_of_another_course(endpoint: Endpoint, world: World) -> None:
    for experience in ("3", UNKNOWN, "abc", "-1"):
        ids = {"ai_experience_id": experience}
        for who in PEOPLE:
            await world.refused(endpoint, 404, NOT_FOUND, who=who, ids=ids)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deleted(service: Service) -> World:
    """A world whose experience was deleted."""
    gone = await make_world(service)
    path = EXPERIENCE.format(**gone.ids)
    assert (await service.call("DELETE", path, user=TEACHER))[0] == 200
    return gone


@each_of_experience
async def test_with_a_deleted_experience(endpoint: Endpoint, deleted: World) -> None:
    for who in PEOPLE:
        await deleted.refused(endpoint, 404, NOT_FOUND, who=who)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unpublished(service: Service) -> World:
    """A world whose experience was published and is not any more."""
    hidden = await make_world(service)
    change = {"workflow_state": "unpublished"}
    path = EXPERIENCE.format(**hidden.ids)
    assert (await service.call("PUT", path, user=TEACHER, json=change))[0] == 200
    return hidden


@each_of_experience
async def test_with_an_unpublished_experience(endpoint: Endpoint, unpublished: World) -> None:
    """Learners and observers are not told that there is one, not even the owner."""
    for who in ("stranger", "observer", "owner"):
        await unpublished.refused(endpoint, 404, NOT_FOUND, who=who)


@each_of_conversation
async def test_with_a_conversation_that_is_not_there(endpoint: Endpoint, world: World) -> None:
    """Nor in this experience: alike for all who may ask at all."""
    elsewhere = await other_conversation(world)
    for number in (UNKNOWN, "abc", "0", elsewhere):
        ids = {"id": number, "conversation_id": number}
        for who, status in zip(PEOPLE, endpoint.statuses, strict=True):
            told = 403 if status == 403 else 404
            await world.refused(endpoint, told, endpoint.refusal(told), who=who, ids=ids)


async def other_conversation(world: World) -> str:
    """One of the same owner with another experience."""
    path = CONVERSATIONS.format(**world.ids | {"ai_experience_id": "1"})
    _, active = await world.service.call("GET", path, user=world.people["owner"])
    if not active:
        _, active = await world.service.call("POST", path, user=world.people["owner"])
    return str(active["id"])


@each_endpoint
async def test_members_get_in_as_their_roles_allow(endpoint: Endpoint, service: Service) -> None:
    """Who does not is told so, or is told that there is nothing; then each who does gets in."""
    worlds = await asyncio.gather(*(make_world(service) for _ in PEOPLE))
    for who, status, own in zip(PEOPLE, endpoint.statuses, worlds, strict=True):
        if status in REFUSED:
            await own.refused(endpoint, status, endpoint.refusal(status), who=who)
        else:
            response = await own.asked(endpoint, who)
            assert response.status == status, (who, await response.text())
            assert await response.text()


@each_of_experience
async def test_managers_work_with_what_is_unpublished(
    endpoint: Endpoint, unpublished: World, service: Service
) -> None:
    hidden = await make_world(service)
    change = {"workflow_state": "unpublished"}
    await service.call("PUT", EXPERIENCE.format(**hidden.ids), user=TEACHER, json=change)
    status = endpoint.statuses[-1]
    if status in REFUSED:
        await hidden.refused(endpoint, status, endpoint.refusal(status), who="manager")
    else:
        assert (await hidden.asked(endpoint, "manager")).status == status
