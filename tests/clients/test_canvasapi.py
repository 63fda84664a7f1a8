"""The Python package `canvasapi` drives the API: forms, its pages, its exceptions."""

import asyncio
from typing import Any

import msgspec
import pytest
from canvasapi import exceptions
from canvasapi.canvas_object import CanvasObject

from tests.clients.canvasapi_clients import Client, Clients
from tests.clients.conftest import LIMIT
from tests.clients.endpoints import undriven
from tests.fake_anthropic import FakeAnthropic
from tests.running import LEARNER, TEACHER, Service

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:Canvas may respond unexpectedly:UserWarning"),
]

COURSE = "courses/1"
EXPERIENCES = f"{COURSE}/ai_experiences"
CONVERSATIONS = f"{EXPERIENCES}/1/conversations"
STUDENTS = f"{EXPERIENCES}/1/ai_conversations"
DRAFT = {
    "title": "Why the stars move",
    "learning_objective": "Find the pole star\nExplain its place",
    "pedagogical_guidance": "Look up & ask = listen.",
}


@pytest.fixture
def clients(service: Service) -> Any:
    made = Clients(service)
    yield made
    made.close()


async def test_every_endpoint_is_driven(
    clients: Clients, service: Service, fake: FakeAnthropic
) -> None:
    learner = await service.enroll()
    opened = await converse(clients.of(learner))
    await stop_a_reply(clients, learner, fake, opened["id"])
    await vote(clients.of(learner), opened)
    await review(clients.of(TEACHER), learner, opened["id"])
    await teach(clients.of(TEACHER))
    ended = await clients.of(learner).call("DELETE", f"{CONVERSATIONS}/{opened['id']}")
    assert ended == {"message": "Conversation completed successfully"}
    assert (await clients.of(learner).call("GET", "openapi.json"))["openapi"].startswith("3.")
    assert undriven(clients.made) == set()


async def converse(learner: Client) -> Any:
    """A conversation with one message; the form keeps what was said as it was."""
    assert await learner.call("GET", CONVERSATIONS) == {}
    opened = await learner.call("POST", CONVERSATIONS)
    assert await learner.call("GET", CONVERSATIONS) == opened
    words = "50 % & more = Ebbe + Flut 🌊\n[sic]"
    said = await learner.call("POST", f"{CONVERSATIONS}/{opened['id']}/messages", message=words)
    assert [(m["role"], m["text"] == words) for m in said["messages"][2:]] == [
        ("User", True),
        ("Assistant", False),
    ]
    whole = CanvasObject(None, await learner.call("GET", f"{CONVERSATIONS}/{opened['id']}"))
    assert whole.created_at_date <= whole.updated_at_date
    assert whole.messages == said["messages"]
    return said


async def stop_a_reply(clients: Clients, learner: int, fake: FakeAnthropic, number: int) -> None:
    """What another request is told of the turn is enough to stop it and to read it again."""
    talking, other = clients.of(learner), clients.of(learner)
    messages = f"{CONVERSATIONS}/{number}/messages"
    first = asyncio.create_task(talking.call("POST", messages, message="Hold on"))
    await fake.wait_until(lambda: fake.stalled == 1)
    with pytest.raises(exceptions.Conflict) as told:
        await other.call("POST", messages, message="And now?")
    turn = f"{CONVERSATIONS}/{number}/turns/{code_of(told.value, 'turn_in_progress')['turn_id']}"
    stopped = await other.call("POST", f"{turn}/cancel")
    assert stopped == await other.call("GET", CONVERSATIONS)
    with pytest.raises(exceptions.Conflict) as told:
        await first
    code_of(told.value, "turn_cancelled")
    events = await other.call("GET", f"{turn}/stream", headers={"Accept": "text/event-stream"})
    assert "event: error\n" in events
    [held] = [m for m in stopped["messages"] if m["text"] == "Hold on"]
    assert held["state"] == "stopped"
    answered = await other.call("POST", f"{turn}/retry")
    assert [m["text"] == "Hold on" for m in answered["messages"][-2:]] == [True, False]


async def vote(learner: Client, conversation: Any) -> None:
    """A vote shows with its message until it is withdrawn."""
    one = f"{CONVERSATIONS}/{conversation['id']}"
    place = len(conversation["messages"]) - 1
    path = f"{one}/messages/{conversation['messages'][place]['id']}/feedback"
    given = await learner.call("POST", path, vote="liked", feedback_message="Good & short")
    shown = await learner.call("GET", one)
    assert shown["messages"][place]["feedback"] == [given["feedback"]]
    assert given["feedback"]["feedback_message"] == "Good & short"
    gone = await learner.call("DELETE", f"{path}/{given['feedback']['id']}")
    assert gone == {"success": True}
    assert (await learner.call("GET", one))["messages"][place]["feedback"] == []


async def review(teacher: Client, learner: int, number: int) -> None:
    """What a teacher sees of a learner, on any page of the roster, and an evaluation."""
    students = await teacher.pages(STUDENTS, _root="conversations", per_page=2)
    assert len({student.user_id for student in students}) == len(students) > 2
    [listed] = [student for student in students if student.user_id == str(learner)]
    assert (listed.id, listed.has_conversation) == (number, True)
    shown = await teacher.call("GET", f"{STUDENTS}/{number}")
    assert shown["student"]["id"] == learner
    evaluation = f"{CONVERSATIONS}/{number}/evaluation"
    none_yet = {"id": number, "evaluation": None, "stale": False}
    assert await teacher.call("GET", evaluation) == none_yet
    made = await teacher.call("POST", evaluation)
    assert 0 <= made["evaluation"]["overall_score"] <= 100
    assert await teacher.call("GET", evaluation) == made | {"stale": False}


async def teach(teacher: Client) -> None:
    """An experience from its creation, in a nested form, to its end."""
    made = await teacher.call("POST", EXPERIENCES, ai_experience=DRAFT)
    assert made.items() >= {**DRAFT, "workflow_state": "unpublished"}.items()
    one = f"{EXPERIENCES}/{made['id']}"
    changes = {"title": "Why they seem to", "workflow_state": "published"}
    edited = await teacher.call("PUT", one, ai_experience=changes)
    assert edited == made | changes
    assert await teacher.call("GET", one) == edited
    assert await teacher.call("DELETE", one) == edited | {"workflow_state": "deleted"}
    assert made["id"] not in [item.id for item in await teacher.pages(EXPERIENCES)]


async def test_a_list_is_followed_over_its_pages(clients: Clients) -> None:
    """Whole, one after another, with what else was asked for kept from page to page."""
    teacher = clients.of(TEACHER)
    made = [
        (await teacher.call("POST", EXPERIENCES, ai_experience=DRAFT | {"title": f"Night {n}"}))
        for n in range(5)
    ]
    requests = len(clients.made)
    listed = await teacher.pages(EXPERIENCES, per_page=2, workflow_state="unpublished")
    assert [item.title for item in listed[-5:]] == [f"Night {n}" for n in range(5)]
    assert {item.workflow_state for item in listed} == {"unpublished"}
    assert len(clients.made) - requests == (len(listed) + 1) // 2 >= 3
    everything = await teacher.pages(EXPERIENCES)
    assert {item.id for item in everything} > {one["id"] for one in made}


@pytest.mark.parametrize(
    ("status", "token", "method", "path", "fields"),
    [
        ("BadRequest", TEACHER, "POST", EXPERIENCES, {"ai_experience": {"title": "x" * 256}}),
        ("InvalidAccessToken", "nobody's", "GET", CONVERSATIONS, {}),
        ("Unauthorized", "reader", "GET", EXPERIENCES, {}),
        ("Forbidden", LEARNER, "POST", EXPERIENCES, {"ai_experience": DRAFT}),
        ("ResourceDoesNotExist", LEARNER, "DELETE", f"{CONVERSATIONS}/987654", {}),
    ],
)
async def test_a_refusal_is_the_exception_that_the_package_has_for_it(
    status: str, token: object, method: str, path: str, fields: Any, clients: Clients
) -> None:
    """Of exactly this class: one stands for a group of others."""
    with pytest.raises(exceptions.CanvasException) as refused:
        await clients.of(token).call(method, path, **fields)
    assert type(refused.value) is getattr(exceptions, status)


async def test_fields_that_are_wrong_are_named_in_the_exception(clients: Clients) -> None:
    with pytest.raises(exceptions.BadRequest) as refused:
        await clients.of(TEACHER).call("POST", EXPERIENCES, ai_experience={"title": "x"})
    named = msgspec.json.decode(refused.value.message)["errors"]
    assert set(named) == {"learning_objective", "pedagogical_guidance"}


async def test_a_learners_mistakes_in_a_conversation_are_exceptions(
    clients: Clients, service: Service
) -> None:
    learner = clients.of(await service.enroll())
    opened = await learner.call("POST", CONVERSATIONS)
    messages = f"{CONVERSATIONS}/{opened['id']}/messages"
    with pytest.raises(exceptions.BadRequest, match="message is required"):
        await learner.call("POST", messages, message=" ")
    with pytest.raises(exceptions.UnprocessableEntity, match="4000 characters or fewer"):
        await learner.call("POST", messages, message="x" * 4001)
    assert await learner.call("GET", CONVERSATIONS) == opened


async def test_a_limit_that_is_reached_is_an_exception(clients: Clients, service: Service) -> None:
    learner = clients.of(await service.enroll())
    for _ in range(LIMIT):
        await learner.call("POST", CONVERSATIONS)
    with pytest.raises(exceptions.RateLimitExceeded):
        await learner.call("POST", CONVERSATIONS)


async def test_an_administrator_acts_as_whom_the_parameter_names(
    clients: Clients, service: Service
) -> None:
    """The package puts it into the query of a GET, and into the form of all others."""
    learner, admin = await service.enroll(), clients.of("admin")
    assert await admin.call("GET", CONVERSATIONS, as_user_id=learner) == {}
    opened = await admin.call("POST", CONVERSATIONS, as_user_id=learner)
    assert await service.active(learner) == opened
    one = f"{CONVERSATIONS}/{opened['id']}"
    said = await admin.call("POST", f"{one}/messages", message="The Moon.", as_user_id=learner)
    assert await service.active(learner) == said
    with pytest.raises(exceptions.Forbidden):
        await admin.call("PUT", f"{EXPERIENCES}/1", as_user_id=learner, ai_experience=DRAFT)
    other = await service.enroll()
    with pytest.raises(exceptions.ResourceDoesNotExist):
        await admin.call("DELETE", one, as_user_id=other)
    await admin.call("DELETE", one, as_user_id=learner)
    assert await service.active(learner) == {}


async def test_nobody_else_may_act_as_others(clients: Clients, service: Service) -> None:
    learner = await service.enroll()
    for method in ("GET", "POST"):
        with pytest.raises(exceptions.Forbidden):
            await clients.of(TEACHER).call(method, CONVERSATIONS, as_user_id=learner)
    assert await service.active(learner) == {}


def code_of(refused: Any, code: str) -> dict[str, Any]:
    """The refusal's body, which must have this code."""
    body: dict[str, Any] = msgspec.json.decode(refused.message)
    assert body["code"] == code
    return body
