"""Institutions cannot read, guess or count each other's data."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from eventstore.connections import Connection, connect
from service.errors import UnknownUser
from service.identity.accounts import create_account, link_identity, list_accounts
from service.identity.roster import Enrollment, Role, import_roster
from service.identity.tokens import create_token
from sql.loader import query
from tests.databases import cloned_database
from tests.running import (
    API,
    CONVERSATIONS,
    LEARNER,
    TEACHER,
    Service,
    fetch_value,
    messages_of,
    running_service,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

FOREIGN_COURSE = CONVERSATIONS.replace("courses/1/", "courses/2/")
NOWHERE = 987_654
OWN = 9
"""Id of the second institution's last experience, which the first one does not have."""
UUID = "0198c0de-0000-7000-8000-000000000001"


class Two:
    """Two institutions in one service; the second one also has these user ids and course 1."""

    def __init__(self, service: Service, second: int, conversation: Any, own: Any) -> None:
        self.service = service
        self.second = second
        self.conversation = conversation
        self.own = own

    async def heads(self) -> list[int]:
        """The lengths of both logs."""
        url = self.service.database_url
        return [await fetch_value(url, query("get_log_head"), n) for n in (1, self.second)]

    async def ask(self, method: str, path: str, user: str, **more: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.service.tokens[user]}"}
        status, body = await self.service.call(method, path, user=None, headers=headers, **more)
        body.pop("reference_id", None) if isinstance(body, dict) else None
        return status, body


async def _second(connection: Connection, service: Service) -> int:
    account = await create_account(connection, "Another institution")
    members: tuple[tuple[int, Role], ...] = ((LEARNER, "learner"), (TEACHER, "teacher"))
    rows = [
        Enrollment(course_id=1, user_id=user, name="X", role=role, status="active")
        for user, role in members
    ]
    await import_roster(connection, account, rows)
    for user in (LEARNER, TEACHER):
        service.tokens[f"second {user}"] = await create_token(connection, account, user)
    return account


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two(server_url: str) -> AsyncIterator[Two]:
    async with cloned_database(server_url) as url, running_service(url) as service:
        connection = await connect(url)
        second = await _second(connection, service)
        await connection.close()
        for _ in range(5):  # its id is not one of the second institution's
            conversation = await service.open(LEARNER)
        headers = {"Authorization": f"Bearer {service.tokens[f'second {TEACHER}']}"}
        draft = {"title": "T", "learning_objective": "O", "pedagogical_guidance": "G"}
        for _ in range(OWN):
            status, own = await service.call(
                "POST",
                "/api/v1/courses/1/ai_experiences",
                user=None,
                headers=headers,
                json={**draft, "workflow_state": "published"},
            )
            assert status == 201, own
        yield Two(service, second, conversation, own)


async def test_ids_are_counted_for_each_institution_alone(two: Two) -> None:
    assert two.second == 2
    assert two.own["id"] == OWN


async def test_institutions_see_their_own_objects_under_the_same_ids(two: Two) -> None:
    """Both have an experience 1, with different content."""
    _, ours = await two.ask("GET", API, str(TEACHER))
    _, theirs = await two.ask("GET", API, f"second {TEACHER}")
    assert (ours["id"], theirs["id"]) == (1, 1)
    assert ours["title"] != theirs["title"] == "T"
    assert await two.ask("GET", CONVERSATIONS, f"second {LEARNER}") == (200, {})


PATHS = [
    ("GET", "{c}/{id}", None),
    ("POST", "{c}/{id}/messages", {"message": "Hello"}),
    ("DELETE", "{c}/{id}", None),
    ("GET", "{c}/{id}/evaluation", None),
    ("POST", "{c}/{id}/evaluation", None),
    ("POST", "{c}/{id}/messages/{message}/feedback", {"vote": "liked"}),
    ("DELETE", "{c}/{id}/messages/{message}/feedback/" + UUID, None),
    ("POST", "{c}/{id}/turns/" + UUID + "/cancel", None),
    ("GET", "{c}/{id}/turns/" + UUID + "/stream", None),
    ("GET", "{s}/{id}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), PATHS)
@pytest.mark.parametrize("user", [LEARNER, TEACHER])
async def test_a_foreign_conversation_answers_as_one_that_does_not_exist(
    user: int, method: str, path: str, body: Any, two: Two
) -> None:
    """The answers are equal, under both experiences' paths, and nothing is appended."""
    heads = await two.heads()
    message = two.conversation["messages"][1]["id"]
    students = CONVERSATIONS.replace("conversations", "ai_conversations")
    answers = []
    for number in (two.conversation["id"], NOWHERE):
        where = path.format(c=CONVERSATIONS, s=students, id=number, message=message)
        answers.append(await two.ask(method, where, f"second {user}", json=body))
    foreign, missing = answers
    assert foreign == missing
    assert foreign[0] in (403, 404)
    assert await two.heads() == heads


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PUT", ""),
        ("DELETE", ""),
        ("GET", "/conversations"),
        ("POST", "/conversations"),
        ("GET", "/ai_conversations"),
    ],
)
async def test_a_foreign_experience_answers_as_one_that_does_not_exist(
    method: str, path: str, two: Two
) -> None:
    """The first institution asks for an experience of the second."""
    base = "/api/v1/courses/1/ai_experiences"
    body = {"title": "Mine"} if method == "PUT" else None
    foreign, missing = [
        await two.ask(method, f"{base}/{number}{path}", str(TEACHER), json=body)
        for number in (two.own["id"], NOWHERE)
    ]
    assert foreign == missing == (404, {"error": "Resource Not Found"})


async def test_a_foreign_course_answers_as_one_that_does_not_exist(two: Two) -> None:
    """The first institution has a course with that id, the second one does not."""
    await two.service.enroll(course=2)
    foreign, missing = [
        await two.ask("GET", path, f"second {TEACHER}")
        for path in (FOREIGN_COURSE, FOREIGN_COURSE.replace("courses/2/", f"courses/{NOWHERE}/"))
    ]
    assert foreign == missing == (404, {"error": "Resource Not Found"})


async def test_lists_have_nothing_of_another_institution(two: Two) -> None:
    _, experiences = await two.ask("GET", "/api/v1/courses/1/ai_experiences", f"second {TEACHER}")
    assert {e["title"] for e in experiences} == {"T"}
    _, students = await two.ask("GET", f"{API}/ai_conversations", f"second {TEACHER}")
    assert [s["has_conversation"] for s in students["conversations"]] == [False]


async def test_an_idempotency_key_of_another_institution_is_a_new_one(two: Two) -> None:
    """The same user id, key and request: two conversations, each in its own log."""
    headers = {"Idempotency-Key": "the-same"}
    answers = []
    for user in (str(LEARNER), f"second {LEARNER}"):
        bearer = {"Authorization": f"Bearer {two.service.tokens[user]}"}
        answers.append(
            await two.service.call("POST", CONVERSATIONS, user=None, headers=headers | bearer)
        )
    (first, ours), (second, theirs) = answers
    assert (first, second) == (201, 201)
    assert ours["messages"][1]["id"] != theirs["messages"][1]["id"]


async def test_one_institutions_events_are_not_in_the_others_log(two: Two) -> None:
    head = await two.service.head()
    status, opened = await two.ask("POST", CONVERSATIONS, f"second {LEARNER}")
    assert status == 201
    status, _ = await two.ask(
        "POST", messages_of(opened["id"]), f"second {LEARNER}", json={"message": "Hello there"}
    )
    assert status == 200
    assert await two.service.head() == head


async def test_an_identity_is_a_user_of_its_own_institution(two: Two) -> None:
    connection = await connect(two.service.database_url)
    try:
        assert [number for number, _ in await list_accounts(connection)] == [1, 2]
        with pytest.raises(UnknownUser):
            await link_identity(connection, 2, "ada", 102)
        await link_identity(connection, 2, "ada", LEARNER)
        await link_identity(connection, 1, "ada", 102)
    finally:
        await connection.close()
