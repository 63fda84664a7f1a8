"""The description of the contract: complete, valid, true to what is answered, and readable."""

import re
from html.parser import HTMLParser
from io import BytesIO
from typing import Any
from uuid import uuid4

import jsonschema_rs
import msgspec
import pytest
import schemathesis

from eventstore.errors import AppendRefused
from service import errors
from service.conversations.answer_types import (
    CompletedAnswer,
    ConversationAnswer,
    ConversationDetail,
    FeedbackGivenAnswer,
    ListedConversation,
    ListedStudent,
    NoConversation,
    StudentConversation,
    StudentConversations,
    SuccessAnswer,
)
from service.evaluations.answers import EvaluationAnswer, LatestEvaluation
from service.experiences.answers import LearnersExperience, ManagersExperience
from service.http.middleware import scope_of
from service.json_values import NUMBER_IDS, read_id
from service.openapi import document as making
from service.openapi import problem_types as problems
from service.openapi.document import document, document_bytes
from service.openapi.page import page_bytes
from service.openapi.schemas import components
from service.routes import ENDPOINTS, ROUTES
from tests.described_refusals import described
from tests.running import (
    API,
    CONVERSATIONS,
    LEARNER,
    OTHER_LEARNER,
    TEACHER,
    Service,
    messages_of,
    running_service,
)

DESCRIPTION = "/api/v1/openapi.json"
PROBES = {"/healthz", "/readyz", "/metrics"}
EXPERIENCES = "/api/v1/courses/1/ai_experiences"
METHODS = {"get", "post", "put", "delete"}
DRAFT = {"title": "T", "learning_objective": "L", "pedagogical_guidance": "P"}


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and operation of all that is described."""
    return [
        (method.upper(), path, operation)
        for path, item in document(ENDPOINTS)["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def validator(schema: Any) -> Any:
    """Judges values by a schema of the document."""
    whole = {**schema, "components": document(ENDPOINTS)["components"]}
    return jsonschema_rs.validator_for(
        {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole}, validate_formats=True
    )


def media_types(part: Any) -> list[dict[str, Any]]:
    """All bodies of requests and answers in a part of the document."""
    if isinstance(part, list):
        return [found for item in part for found in media_types(item)]
    if not isinstance(part, dict):
        return []
    content = part["content"].values() if isinstance(part.get("content"), dict) else []
    own = [one for one in content if isinstance(one, dict)]  # a field can have this name too
    return own + [found for item in part.values() for found in media_types(item)]


def strictly(answer: Any, kind: Any) -> None:
    """An answer has the fields of the type, of their kinds, and no others."""
    again = NUMBER_IDS.encode(msgspec.convert(answer, kind, dec_hook=read_id))
    assert msgspec.json.decode(again) == answer


def test_every_route_but_the_probes_is_described_and_nothing_else() -> None:
    described = {(method, path) for method, path, _ in operations()}
    routed = {(r.method, r.path) for r in ROUTES if r.path not in PROBES}
    assert described == routed


def test_it_is_a_valid_openapi_document() -> None:
    schemathesis.openapi.from_dict(document(ENDPOINTS)).validate()


@pytest.mark.parametrize("name", sorted(components(ENDPOINTS)))
def test_every_schema_is_valid_json_schema(name: str) -> None:
    jsonschema_rs.meta.validate(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **document(ENDPOINTS)["components"]["schemas"][name],
        }
    )


def test_every_reference_leads_somewhere() -> None:
    described = document(ENDPOINTS)
    references = set(re.findall(r'"#(/components/[^"]+)"', document_bytes(ENDPOINTS).decode()))
    assert references
    for reference in references:
        part = described
        for name in reference.split("/")[1:]:
            part = part[name]


def test_every_link_leads_to_an_operation_and_names_its_parameters() -> None:
    found = {o["operationId"]: (path, o) for _, path, o in operations()}
    links = [
        link
        for _, _, operation in operations()
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    assert links
    for link in links:
        path, _ = found[link["operationId"]]
        assert {p["name"] for p in document(ENDPOINTS)["paths"][path]["parameters"]} == {
            *link["parameters"]
        }, link


def test_it_is_the_same_every_time() -> None:
    first = document_bytes(ENDPOINTS)
    making.document_bytes.cache_clear()
    assert document_bytes(ENDPOINTS) == first


def test_every_example_satisfies_its_schema() -> None:
    examples = [
        (media["schema"], example["value"])
        for media in media_types(document(ENDPOINTS))
        for example in media.get("examples", {}).values()
    ]
    assert len(examples) > 40
    for schema, value in examples:
        validator(schema).validate(value)


def test_every_type_has_all_its_fields_in_its_schema() -> None:
    schemas = components(ENDPOINTS)
    taken = {one.body for one in ENDPOINTS} | {kind for one in ENDPOINTS for kind in one.answers}
    assert len(taken) > 20
    for kind in (kind for kind in taken if isinstance(kind, type)):
        fields = {field.encode_name for field in msgspec.structs.fields(kind)}
        assert set(schemas[kind.__name__]["properties"]) == fields, kind


def test_every_operation_but_those_of_the_description_needs_its_scope() -> None:
    for method, path, operation in operations():
        own = path in (DESCRIPTION, "/docs")
        expected = [] if own else [{"bearer": [scope]} for scope in scopes_of(method, path)]
        assert operation["security"] == expected


def scopes_of(method: str, path: str) -> list[str]:
    """Those of which a token needs one."""
    if "/audit/" in path:
        return ["colloquy:audit"]
    if "/analytics/" not in path:
        return [scope_of(method, path)]
    own = [scope_of(method, path)] if "{" in path else []
    return [*own, "colloquy:analytics"]


async def test_the_document_is_served_to_anybody_and_not_twice(demo_url: str) -> None:
    async with running_service(demo_url) as service:
        response = await service.request("GET", DESCRIPTION, user=None)
        assert await response.json() == document(ENDPOINTS)
        assert response.headers["Cache-Control"] == "public, max-age=300"
        tag = {"If-None-Match": response.headers["ETag"]}
        again = await service.request("GET", DESCRIPTION, user=None, headers=tag)
        assert (again.status, await again.text()) == (304, "")


class _Parts(HTMLParser):
    """Elements, ids, links within the page, and whatever would be loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name == "href":
                self.links.append(value or "")
            elif name in ("src", "srcset", "style") or name.startswith("on"):
                self.loaded.append(f"{tag} {name}={value}")


async def test_the_page_needs_no_script_and_nothing_from_elsewhere(demo_url: str) -> None:
    async with running_service(demo_url) as service:
        response = await service.request("GET", "/docs", user=None)
        text = await response.text()
    parts = _Parts()
    parts.feed(text)
    assert not parts.loaded
    assert not {"script", "link", "img", "iframe", "object"} & set(parts.elements)
    assert "@import" not in text
    assert "url(" not in text.partition("</style>")[0]
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert {link for link in parts.links if not link.startswith("#")} == {DESCRIPTION}


def test_the_page_shows_every_operation_and_schema_and_its_links_lead_somewhere() -> None:
    parts = _Parts()
    parts.feed(page_bytes(ENDPOINTS).decode())
    assert len(parts.ids) == len(set(parts.ids))
    assert {operation["operationId"] for _, _, operation in operations()} <= set(parts.ids)
    assert {f"schema-{name}" for name in components(ENDPOINTS)} <= set(parts.ids)
    assert {link[1:] for link in parts.links if link.startswith("#")} <= set(parts.ids)
    assert page_bytes(ENDPOINTS).decode().count("curl") == len(operations())


async def test_answers_about_conversations_have_the_described_fields(demo_url: str) -> None:
    async with running_service(demo_url) as service:
        strictly(await service.active(), NoConversation)
        opened = await service.open()
        strictly(opened, ConversationAnswer)
        _, said = await service.say(opened["id"], "The Moon pulls the water, I think.")
        strictly(said, ConversationAnswer)
        one = f"{CONVERSATIONS}/{opened['id']}"
        vote = f"{one}/messages/{opened['messages'][1]['id']}/feedback"
        _, given = await service.call("POST", vote, json={"vote": "liked"})
        strictly(given, FeedbackGivenAnswer)
        strictly(await service.active(), ConversationAnswer)
        strictly(await _read(service, one), ConversationDetail)
        _, gone = await service.call("DELETE", f"{vote}/{given['feedback']['id']}")
        strictly(gone, SuccessAnswer)
        _, over = await service.call("DELETE", one)
        strictly(over, CompletedAnswer)


async def test_answers_to_teachers_have_the_described_fields(demo_url: str) -> None:
    async with running_service(demo_url) as service:
        number = (await service.open())["id"]
        students = f"{API}/ai_conversations"
        listed = await _read(service, students, TEACHER)
        strictly(listed, StudentConversations)
        kinds = {True: ListedConversation, False: ListedStudent}
        assert {one["has_conversation"] for one in listed["conversations"]} == {True, False}
        for one in listed["conversations"]:
            strictly(one, kinds[one["has_conversation"]])
        shown = await _read(service, f"{students}/{number}", TEACHER)
        strictly(shown, StudentConversation)
        judged = f"{CONVERSATIONS}/{number}/evaluation"
        strictly(await _read(service, judged, TEACHER), LatestEvaluation)
        _, evaluation = await service.call("POST", judged, user=TEACHER)
        strictly(evaluation, EvaluationAnswer)
        strictly(await _read(service, judged, TEACHER), LatestEvaluation)


async def test_experiences_have_the_described_fields(demo_url: str) -> None:
    async with running_service(demo_url) as service:
        status, made = await service.call("POST", EXPERIENCES, user=TEACHER, json=DRAFT)
        assert status == 201
        one = f"{EXPERIENCES}/{made['id']}"
        state = {"workflow_state": "published"}
        changed = await service.call("PUT", one, user=TEACHER, json=state)
        for answer in (made, changed[1], await _read(service, one, TEACHER)):
            strictly(answer, ManagersExperience)
        strictly(await _read(service, one), LearnersExperience)
        strictly(await _read(service, EXPERIENCES), list[LearnersExperience])
        strictly(await _read(service, EXPERIENCES, TEACHER), list[ManagersExperience])
        _, gone = await service.call("DELETE", one, user=TEACHER)
        strictly(gone, ManagersExperience)


def test_no_endpoint_describes_a_status_without_an_example() -> None:
    for endpoint in ENDPOINTS:
        for status, examples in described(endpoint.name).items():
            assert examples, (endpoint.name, status)


def test_examples_of_errors_are_of_classes_that_make_their_own_sentence() -> None:
    """Not of one to which an endpoint could give any sentence, true or not."""
    for endpoint in ENDPOINTS:
        for error in endpoint.refuses:
            free = {errors.BadRequest, errors.NotFound, errors.ServiceError, AppendRefused}
            assert type(error) not in free or str(error) == type(error).__doc__, endpoint.name


CREATE, POST, VOTE = "createConversation", "postMessage", "giveFeedback"
TOO_LONG = "x" * 4001
EXAMPLES_OF: list[tuple[str, int, str, dict[str, Any]]] = [
    (CREATE, 400, "SeveralUsersNamed", {"params": [("as_user_id", "1"), ("as_user_id", "2")]}),
    (CREATE, 400, "KeyMalformed", {"headers": {"Idempotency-Key": "a b"}}),
    (CREATE, 400, "BodyUnreadable", {"data": b"{}", "headers": {"Content-Encoding": "gzip"}}),
    (CREATE, 401, "Unauthenticated", {"user": None}),
    (CREATE, 401, "InvalidToken", {"headers": {"Authorization": "Bearer x"}}),
    (CREATE, 413, "HTTPRequestEntityTooLarge", {"data": BytesIO(b"[" * (2**20 + 1))}),
    (CREATE, 415, "UnsupportedBody", {"data": "text"}),
    (CREATE, 415, "UnsupportedCoding", {"data": b"{}", "headers": {"Content-Encoding": "br"}}),
    (CREATE, 431, "HeadersTooLarge", {"headers": {f"X-{n}": "x" * 6000 for n in range(3)}}),
    (POST, 400, "FieldMissing", {"json": {}}),
    (POST, 422, "TextTooLong", {"json": {"message": TOO_LONG}}),
    (POST, 412, "ConversationMoved", {"json": {"message": "a"}, "headers": {"If-Match": '"0-0"'}}),
    (VOTE, 400, "UnknownVote", {"json": {}}),
    (VOTE, 400, "FeedbackOnLearner", {"json": {"vote": "liked"}}),
    (VOTE, 422, "TextTooLong", {"json": {"vote": "liked", "feedback_message": TOO_LONG}}),
    ("getConversation", 404, "NotFound", {"user": OTHER_LEARNER}),
    ("listStudentConversations", 403, "NotAuthorized", {}),
    ("listStudentConversations", 400, "NumberMalformed", {"user": TEACHER, "params": {"page": 0}}),
    ("createExperience", 400, "FieldErrors", {"user": TEACHER, "json": DRAFT | {"title": ""}}),
    ("updateExperience", 400, "FieldErrors", {"user": TEACHER, "json": {"workflow_state": "x"}}),
    ("getCourseFigures", 400, "UnknownParameter", {"user": TEACHER, "params": {"days": "1"}}),
    (
        *("getCourseFigures", 400, "ParameterRepeated"),
        {"user": TEACHER, "params": [("from", "2031-01-01"), ("from", "2031-01-02")]},
    ),
    ("getCourseFigures", 400, "DayMalformed", {"user": TEACHER, "params": {"from": "today"}}),
    (
        *("getCourseFigures", 422, "DaysTooMany"),
        {"user": TEACHER, "params": {"from": "2031-03-01", "to": "2032-03-01"}},
    ),
    (POST, 200, "", {"json": {"message": "a"}, "headers": {"Idempotency-Key": "k"}}),
    (POST, 422, "KeyReused", {"json": {"message": "b"}, "headers": {"Idempotency-Key": "k"}}),
    (POST, 429, "LimitReached", {"json": {"message": "b"}}),
]
"""The error that each request leads to, in this order."""


async def test_examples_of_errors_are_what_the_service_answers(demo_url: str) -> None:
    paths = {endpoint.name: (endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    async with running_service(demo_url, max_messages=1) as service:
        opened = await service.open()
        ids = {"course_id": 1, "ai_experience_id": 1, "id": opened["id"]}
        asked, opening = (message["id"] for message in opened["messages"])
        for name, status, error, options in EXAMPLES_OF:
            method, path = paths[name]
            ids["message_id"] = asked if error == "FeedbackOnLearner" else opening
            answered, answer = await service.call(method, path.format(**ids), **options)
            assert answered == status, (name, error, answer)
            if error:
                example = described(name)[status][error]
                assert answer | {"reference_id": ""} == example | {"reference_id": ""}


Refused = tuple[int, Any, str, str, dict[str, Any]]

REFUSED: list[Refused] = [
    (401, problems.NoToken, "GET", CONVERSATIONS, {"user": None}),
    (401, problems.BadToken, "GET", CONVERSATIONS, {"headers": {"Authorization": "Bearer x"}}),
    (403, problems.Forbidden, "GET", f"{API}/ai_conversations", {}),
    (404, problems.Problem, "DELETE", f"{CONVERSATIONS}/999", {}),
    (404, problems.Problem, "GET", f"{CONVERSATIONS}/1/turns/{uuid4()}/stream", {}),
    (400, problems.Problem, "POST", CONVERSATIONS, {"json": {"unknown": 1}}),
    (400, problems.FieldProblems, "POST", EXPERIENCES, {"user": TEACHER, "json": {}}),
    (413, problems.Problem, "POST", CONVERSATIONS, {"data": BytesIO(b"[" * (2**20 + 1))}),
    (415, problems.Problem, "POST", CONVERSATIONS, {"data": "text"}),
    (431, problems.Problem, "GET", "/docs", {"headers": {f"X-{n}": "x" * 6000 for n in range(3)}}),
]


@pytest.mark.parametrize("refused", REFUSED, ids=lambda r: f"{r[0]}-{r[1].__name__}")
async def test_refusals_have_the_described_fields(demo_url: str, refused: Refused) -> None:
    status, kind, method, path, options = refused
    async with running_service(demo_url) as service:
        answered, answer = await service.call(method, path, **options)
    assert answered == status
    strictly(answer, kind)


async def test_refusals_of_messages_have_the_described_fields(demo_url: str) -> None:
    async with running_service(demo_url, max_creates=2, max_messages=1) as service:
        number = (await service.open())["id"]
        path = messages_of(number)
        moved = {"headers": {"If-Match": '"0-0"'}, "json": {"message": "Hm"}}
        for status, kind, options in (
            (400, problems.Problem, {"json": {}}),
            (412, problems.Problem, moved),
            (422, problems.Problem, {"json": {"message": "x" * 4001}}),
            (200, ConversationAnswer, {"json": {"message": "Hm"}}),
            (429, problems.CodedProblem, {"json": {"message": "Hm"}}),
        ):
            answered, answer = await service.call("POST", path, **options)
            assert answered == status, answer
            strictly(answer, kind)


async def _read(service: Service, path: str, user: int = LEARNER) -> Any:
    status, answer = await service.call("GET", path, user=user)
    assert status == 200, answer
    return answer
