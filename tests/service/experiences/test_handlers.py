"""The endpoints of AI experiences, end to end, with a provider that shows what it was told."""

import asyncio
from typing import Any

import pytest

from eventstore.experience_events import ExperienceCreated, ExperienceDeleted, ExperienceEdited
from tests.fake_anthropic import FakeAnthropic
from tests.running import LEARNER, TEACHER, Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXPERIENCES = "/api/v1/courses/1/ai_experiences"
NOT_FOUND = {"error": "Resource Not Found"}
FORBIDDEN: dict[str, object] = {
    "status": "unauthorized",
    "errors": [{"message": "user not authorized to perform that action"}],
}
WHOLE = {
    "title": "Why the stars move",
    "description": "A night on a roof.",
    "facts": "The Earth turns.",
    "learning_objective": "Find the pole star\nExplain its place",
    "pedagogical_guidance": "Look up first.",
    "workflow_state": "published",
}
REQUIRED = ("title", "learning_objective", "pedagogical_guidance")


def at(experience_id: int, more: str = "") -> str:
    return f"{EXPERIENCES}/{experience_id}{more}"


def grouped(fields: dict[str, str]) -> dict[str, str]:
    """The fields as the form of a Canvas client has them."""
    return {f"ai_experience[{name}]": value for name, value in fields.items()}


def wrong(**fields: str) -> dict[str, object]:
    """The answer that names what is wrong with which field."""
    return {"errors": {name: [{"message": reason}] for name, reason in fields.items()}}


async def create(service: Service, **changes: str) -> dict[str, Any]:
    status, body = await service.call("POST", EXPERIENCES, user=TEACHER, json=WHOLE | changes)
    assert status == 201, body
    return dict(body)


async def get(service: Service, experience_id: int, user: int = TEACHER) -> Any:
    status, body = await service.call("GET", at(experience_id), user=user)
    assert status == 200, body
    return body


async def listed(service: Service, user: int, wanted: str = "") -> dict[int, Any]:
    """All experiences that a user sees, by id."""
    path = f"{EXPERIENCES}?per_page=100{wanted}"
    status, body = await service.call("GET", path, user=user)
    assert status == 200, body
    return {one["id"]: one for one in body}


@pytest.mark.parametrize(
    "options",
    [
        {"json": WHOLE},
        {"json": {"ai_experience": WHOLE}},
        {"data": WHOLE},
        {"data": grouped(WHOLE)},
        {"json": WHOLE | {"title": "Overruled", "ai_experience": {"title": WHOLE["title"]}}},
    ],
    ids=["flat JSON", "grouped JSON", "flat form", "grouped form", "both"],
)
async def test_a_manager_creates_an_experience(options: dict[str, Any], service: Service) -> None:
    """Its fields flat or below `ai_experience`; where both are given, the group counts."""
    status, body = await service.call("POST", EXPERIENCES, user=TEACHER, **options)
    assert status == 201
    assert type(body["id"]) is int
    assert body == WHOLE | {"id": body["id"], "course_id": 1}
    assert await get(service, body["id"]) == body
    assert (await listed(service, TEACHER))[body["id"]] == body
    created = (await service.history())[-1]
    assert isinstance(created.event, ExperienceCreated)
    assert (created.metadata.actor.id, created.metadata.actor.role) == (TEACHER, "teacher")


async def test_what_need_not_be_given_has_a_default(service: Service) -> None:
    given = {name: WHOLE[name] for name in REQUIRED}
    status, body = await service.call("POST", EXPERIENCES, user=TEACHER, json=given)
    assert status == 201
    rest = {"description": "", "facts": "", "workflow_state": "unpublished"}
    assert body == given | rest | {"id": body["id"], "course_id": 1}


@pytest.mark.parametrize("given", [{}, {"ai_experience": {}}, dict.fromkeys(REQUIRED, " \n")])
async def test_every_field_that_is_missing_is_named(
    given: dict[str, Any], service: Service
) -> None:
    answer = wrong(**dict.fromkeys(REQUIRED, "is required"))
    await service.refused(400, answer, "POST", EXPERIENCES, user=TEACHER, json=given)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("title", "x" * 256, "must be 255 characters or fewer"),
        ("title", 7, "must be text"),
        ("title", "", "is required"),
        ("facts", ["a"], "must be text"),
        ("facts", "a\0b", "must not contain the NUL character"),
        ("workflow_state", "deleted", "must be published or unpublished"),
        ("workflow_state", "active", "must be published or unpublished"),
    ],
)
async def test_a_field_with_a_wrong_value_is_named(
    field: str, value: object, reason: str, service: Service
) -> None:
    """Alike when an experience is created and when it is changed."""
    answer, body = wrong(**{field: reason}), WHOLE | {field: value}
    await service.refused(400, answer, "POST", EXPERIENCES, user=TEACHER, json=body)
    group = {"ai_experience": {field: value}}
    await service.refused(400, answer, "PUT", at(1), user=TEACHER, json=group)


async def test_a_title_may_have_255_characters(service: Service) -> None:
    """Characters, not bytes."""
    assert (await create(service, title="🌊" * 255))["title"] == "🌊" * 255


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"name": "x"}, "Object contains unknown field name"),
        (
            {"ai_experience": {"id": 7}},
            "ai_experience: Object contains unknown field id",
        ),
        ({"ai_experience": "x"}, "ai_experience: Expected object | null, got str"),
    ],
)
async def test_unknown_fields_are_refused(
    body: dict[str, Any], error: str, service: Service
) -> None:
    for method, path in (("POST", EXPERIENCES), ("PUT", at(1))):
        await service.refused(400, {"error": error}, method, path, user=TEACHER, json=body)


async def test_only_managers_create_change_and_delete(service: Service) -> None:
    members = (LEARNER, await service.enroll("observer"))
    for user in members:
        for method, path in (("POST", EXPERIENCES), ("PUT", at(1)), ("DELETE", at(1))):
            await service.refused(403, FORBIDDEN, method, path, user=user, json=WHOLE)
    for role in ("ta", "designer"):
        status, body = await service.call(
            "POST", EXPERIENCES, user=await service.enroll(role), json=WHOLE
        )
        assert (status, body["title"]) == (201, WHOLE["title"])


async def test_learners_see_neither_facts_nor_guidance(service: Service) -> None:
    made = await create(service)
    seen = {k: v for k, v in made.items() if k not in ("facts", "pedagogical_guidance")}
    seen["submission_status"] = "not_started"
    for user in (LEARNER, await service.enroll("observer")):
        assert await get(service, made["id"], user) == seen
        assert (await listed(service, user))[made["id"]] == seen


async def test_learners_do_not_see_what_is_unpublished(service: Service) -> None:
    """From the moment on at which it is taken back, and until it is published."""
    made = await create(service, workflow_state="unpublished")
    for user in (LEARNER, await service.enroll("observer")):
        await service.refused(404, NOT_FOUND, "GET", at(made["id"]), user=user)
        assert made["id"] not in await listed(service, user)
    for state, visible in (("published", True), ("unpublished", False)):
        await service.call("PUT", at(made["id"]), user=TEACHER, json={"workflow_state": state})
        assert (made["id"] in await listed(service, LEARNER)) is visible


async def test_the_list_is_filtered_by_state(service: Service) -> None:
    public, hidden = await create(service), await create(service, workflow_state="unpublished")
    for state, ours in (("published", public), ("unpublished", hidden)):
        found = await listed(service, TEACHER, f"&workflow_state={state}")
        assert {one["workflow_state"] for one in found.values()} == {state}
        assert {public["id"], hidden["id"]} & set(found) == {ours["id"]}
    assert await listed(service, TEACHER, "&workflow_state=deleted") == {}
    assert await listed(service, LEARNER, "&workflow_state=unpublished") == {}
    assert public["id"] in await listed(service, LEARNER, "&workflow_state=published")


async def test_a_course_lists_its_own_experiences_only(service: Service) -> None:
    ours = set(await listed(service, TEACHER))
    status, theirs = await service.call("GET", "/api/v1/courses/2/ai_experiences", user=2)
    assert (status, len(theirs)) == (200, 1)
    assert theirs[0]["course_id"] == 2
    assert theirs[0]["id"] not in ours


async def test_learners_see_how_far_they_have_come(service: Service) -> None:
    made, learner = await create(service), await service.enroll()
    conversations = at(made["id"], "/conversations")

    async def status_seen() -> str:
        one = await get(service, made["id"], learner)
        assert one == (await listed(service, learner))[made["id"]]
        return str(one["submission_status"])

    assert await status_seen() == "not_started"
    _, conversation = await service.call("POST", conversations, user=learner)
    assert await status_seen() == "in_progress"
    await service.call("DELETE", f"{conversations}/{conversation['id']}", user=learner)
    assert await status_seen() == "submitted"
    assert (await get(service, made["id"], LEARNER))["submission_status"] == "not_started"


@pytest.mark.parametrize("form", [False, True], ids=["JSON", "form"])
async def test_a_change_touches_only_what_is_given(form: bool, service: Service) -> None:
    made = await create(service)
    change = {"title": "Why the stars stand still", "description": ""}
    options: dict[str, Any] = {"data": grouped(change)} if form else {"json": change}
    status, body = await service.call("PUT", at(made["id"]), user=TEACHER, **options)
    assert (status, body) == (200, made | change)
    assert await get(service, made["id"]) == made | change


@pytest.mark.parametrize("change", [{}, {"title": WHOLE["title"]}, {"title": None}])
async def test_what_changes_nothing_is_not_recorded(
    change: dict[str, str | None], service: Service
) -> None:
    made = await create(service)
    head = await service.head()
    answer = await service.call("PUT", at(made["id"]), user=TEACHER, json=change)
    assert answer == (200, made)
    assert await service.head() == head


async def test_a_running_conversation_keeps_the_version_that_it_started_with(
    service: Service, fake: FakeAnthropic
) -> None:
    """The model is told the old facts in it, and the new ones in the next."""
    made = await create(service, facts="OLD-FACT", learning_objective="Old aim")
    learner = await service.enroll()
    path = at(made["id"], "/conversations")
    _, old = await service.call("POST", path, user=learner)
    change = {"facts": "NEW-FACT", "learning_objective": "New aim\nAnother"}
    await service.call("PUT", at(made["id"]), user=TEACHER, json=change)
    _, said = await service.call(
        "POST", f"{path}/{old['id']}/messages", user=learner, json={"message": "Hello"}
    )
    told = str(fake.requests[-1].body)
    assert "OLD-FACT" in told
    assert "NEW-FACT" not in told
    assert [o["objective"] for o in said["progress"]["objectives"]] == ["Old aim"]
    _, new = await service.call("POST", path, user=learner)
    told = str(fake.requests[-1].body)
    assert "NEW-FACT" in told
    assert "OLD-FACT" not in told
    assert [o["objective"] for o in new["progress"]["objectives"]] == ["New aim", "Another"]


async def test_a_deleted_experience_is_answered_once_more_and_then_gone(service: Service) -> None:
    """For managers and learners alike, with all that is below it; the log keeps it."""
    made, learner = await create(service), await service.enroll()
    path = at(made["id"], "/conversations")
    _, conversation = await service.call("POST", path, user=learner)
    answer = await service.call("DELETE", at(made["id"]), user=TEACHER)
    assert answer == (200, made | {"workflow_state": "deleted"})
    assert isinstance((await service.history())[-1].event, ExperienceDeleted)
    below = f"{path}/{conversation['id']}"
    for user in (TEACHER, learner):
        for method, where in (
            *(("GET", at(made["id"])), ("PUT", at(made["id"])), ("DELETE", at(made["id"]))),
            *(("GET", path), ("POST", path), ("POST", f"{below}/messages"), ("GET", below)),
            *(("DELETE", below), ("GET", at(made["id"], "/ai_conversations"))),
        ):
            await service.refused(404, NOT_FOUND, method, where, user=user, json={"message": "x"})
        assert made["id"] not in await listed(service, user)


async def test_a_repeated_key_creates_once(service: Service) -> None:
    """Also when the repetitions come at once, and after the experience was changed."""
    headers = {"Idempotency-Key": "create-the-stars"}
    known = await service.head()
    options: dict[str, Any] = {"user": TEACHER, "headers": headers}
    calls = (service.call("POST", EXPERIENCES, json=WHOLE, **options) for _ in range(6))
    answers = await asyncio.gather(*calls)
    assert all(answer == answers[0] for answer in answers), answers
    status, made = answers[0]
    assert status == 201
    assert len(await service.history(known)) == 1
    await service.call("PUT", at(made["id"]), user=TEACHER, json={"title": "Changed"})
    form = grouped(WHOLE)
    assert await service.call("POST", EXPERIENCES, data=form, **options) == (201, made)
    refusal = {"error": "this Idempotency-Key was used for another request"}
    other = WHOLE | {"title": "Other"}
    await service.refused(422, refusal, "POST", EXPERIENCES, json=other, **options)


async def test_a_refused_creation_leaves_its_key_free(service: Service) -> None:
    headers = {"Idempotency-Key": "second-try"}
    options: dict[str, Any] = {"user": TEACHER, "headers": headers}
    answer = wrong(title="is required")
    body = WHOLE | {"title": ""}
    await service.refused(400, answer, "POST", EXPERIENCES, json=body, **options)
    assert (await service.call("POST", EXPERIENCES, json=WHOLE, **options))[0] == 201


async def test_changes_made_at_once_all_count(service: Service) -> None:
    """Each of them keeps what the others have changed."""
    made = await create(service)
    names = ("title", "description", "facts", "learning_objective", "pedagogical_guidance")
    changes = {name: f"New {name}" for name in names}
    answers = await asyncio.gather(
        *(
            service.call("PUT", at(made["id"]), user=TEACHER, json={name: value})
            for name, value in changes.items()
        )
    )
    assert [status for status, _ in answers] == [200] * 5
    assert await get(service, made["id"]) == made | changes
    stream = [e for e in await service.history() if e.stream == f"experience-{made['id']}"]
    assert [e.revision for e in stream] == [1, 2, 3, 4, 5, 6]
    assert all(isinstance(e.event, ExperienceEdited) for e in stream[1:])


async def test_of_deletions_made_at_once_one_counts(service: Service) -> None:
    made = await create(service)
    calls = (service.call("DELETE", at(made["id"]), user=TEACHER) for _ in range(4))
    answers = await asyncio.gather(*calls)
    assert sorted(status for status, _ in answers) == [200, 404, 404, 404]


async def test_ids_are_strings_for_those_who_ask(service: Service) -> None:
    headers = {"Accept": "application/json+canvas-string-ids"}
    options: dict[str, Any] = {"user": TEACHER, "headers": headers}
    _, made = await service.call("POST", EXPERIENCES, json=WHOLE, **options)
    assert made == WHOLE | {"id": str(int(made["id"])), "course_id": "1"}
    assert await service.call("GET", at(int(made["id"])), **options) == (200, made)
    _, every = await service.call("GET", f"{EXPERIENCES}?per_page=100", **options)
    assert made in every
