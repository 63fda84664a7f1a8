"""Whole conversations, as managers of a course read them, and learners their own."""

from typing import Any

import pytest

from tests.fake_anthropic import FakeAnthropic, covering
from tests.running import API, CONVERSATIONS, TEACHER, Service
from tests.service.conversations.test_handlers import MOMENT

pytestmark = pytest.mark.asyncio(loop_scope="module")

STUDENTS = f"{API}/ai_conversations"
NOT_FOUND = {"error": "Resource Not Found"}
STRING_IDS = {"Accept": "application/json+canvas-string-ids"}


async def read(
    service: Service, conversation_id: int, user: int = TEACHER, within: str = CONVERSATIONS
) -> Any:
    status, body = await service.call("GET", f"{within}/{conversation_id}", user=user)
    assert status == 200, body
    return body


async def students(service: Service, headers: dict[str, str] | None = None) -> dict[int, Any]:
    """All entries of the students' list by user id."""
    status, body = await service.call(
        "GET", f"{STUDENTS}?per_page=100", user=TEACHER, headers=headers or {}
    )
    assert status == 200, body
    assert set(body) == {"conversations"}
    return {int(one["user_id"]): one for one in body["conversations"]}


async def test_a_conversation_has_the_contracts_fields(service: Service, learner: int) -> None:
    opened = await service.open(learner)
    _, said = await service.say(opened["id"], "The Moon", learner)
    body = await read(service, opened["id"])
    times = {name: body.pop(name) for name in ("created_at", "updated_at")}
    assert all(MOMENT.fullmatch(moment) for moment in times.values())
    assert times["created_at"] == said["messages"][0]["created_at"]
    assert times["updated_at"] == said["messages"][-1]["created_at"]
    assert body == said | {
        "user_id": str(learner),
        "workflow_state": "active",
        "all_objectives_met": False,
    }


async def test_the_owner_reads_what_the_manager_reads(service: Service, learner: int) -> None:
    opened = await service.open(learner)
    assert await read(service, opened["id"], learner) == await read(service, opened["id"])


async def test_nobody_else_learns_that_there_is_one(service: Service, learner: int) -> None:
    """Nor is it found under another experience; the students' view is for managers only."""
    opened = await service.open(learner)
    path = f"{CONVERSATIONS}/{opened['id']}"
    for user in (await service.enroll(), await service.enroll("observer")):
        await service.refused(404, NOT_FOUND, "GET", path, user=user)
        await service.refused(404, NOT_FOUND, "GET", f"{CONVERSATIONS}/999999", user=user)
    for number in (999_999, "abc", 0):
        for within in (CONVERSATIONS, STUDENTS):
            await service.refused(404, NOT_FOUND, "GET", f"{within}/{number}", user=TEACHER)
    misplaced = path.replace("ai_experiences/1", "ai_experiences/2")
    await service.refused(404, NOT_FOUND, "GET", misplaced, user=TEACHER)
    for where in (STUDENTS, f"{STUDENTS}/{opened['id']}"):
        assert (await service.call("GET", where, user=learner))[0] == 403


async def test_the_students_view_adds_the_student(service: Service, learner: int) -> None:
    opened = await service.open(learner)
    plain = await read(service, opened["id"])
    body = await read(service, opened["id"], within=STUDENTS)
    assert body == plain | {"student": {"id": learner, "name": "New"}}


async def test_every_student_is_listed_with_or_without_a_conversation(service: Service) -> None:
    """Without messages; those of who left the course or never was a learner are not there."""
    talks, silent = await service.enroll(), await service.enroll()
    gone, ta = await service.enroll(status="inactive"), await service.enroll("ta")
    opened = await service.open(talks)
    found = await students(service)
    assert found[silent] == {
        "id": None,
        "user_id": str(silent),
        "student": {"id": silent, "name": "New"},
        "has_conversation": False,
    }
    whole = await read(service, opened["id"], within=STUDENTS)
    del whole["messages"]
    assert found[talks] == whole | {"has_conversation": True}
    assert not {gone, ta, TEACHER, 201} & set(found)
    assert list(found) == sorted(found)


async def test_the_latest_conversation_is_listed_also_when_it_is_over(
    service: Service, learner: int
) -> None:
    first, second = await service.open(learner), await service.open(learner)
    assert (await students(service))[learner]["id"] == second["id"]
    await service.call("DELETE", f"{CONVERSATIONS}/{second['id']}", user=learner)
    entry = (await students(service))[learner]
    assert (entry["id"], entry["workflow_state"]) == (second["id"], "completed")
    superseded = await read(service, first["id"])
    assert (superseded["workflow_state"], superseded["messages"]) == (
        "completed",
        first["messages"],
    )


async def test_a_conversation_with_another_experience_is_not_listed(
    service: Service, learner: int
) -> None:
    await service.open(learner)
    _, body = await service.call(
        "GET", f"{STUDENTS}?per_page=100".replace("experiences/1", "experiences/2"), user=TEACHER
    )
    (entry,) = [e for e in body["conversations"] if e["user_id"] == str(learner)]
    assert entry["has_conversation"] is False


async def test_the_list_shows_who_has_met_all_objectives(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    opened = await service.open(learner)
    fake.script_judgements(covering((1, 3), (2, 3), (3, 3)))
    _, said = await service.say(opened["id"], "All of it", learner)
    entry = (await students(service))[learner]
    assert entry["all_objectives_met"] is True
    assert entry["progress"] == said["progress"]
    assert entry["progress"]["percentage"] == 100


async def test_ids_are_strings_for_those_who_ask(service: Service, learner: int) -> None:
    """The user's is always one."""
    opened = await service.open(learner)
    plain = await read(service, opened["id"], within=STUDENTS)
    path = f"{STUDENTS}/{opened['id']}"
    _, body = await service.call("GET", path, user=TEACHER, headers=STRING_IDS)
    strings = {"id": str(opened["id"]), "student": {"id": str(learner), "name": "New"}}
    assert body == plain | strings
    entry = (await students(service, STRING_IDS))[learner]
    assert {k: entry[k] for k in strings} == strings


async def test_what_a_client_has_already_is_not_sent_again(service: Service, learner: int) -> None:
    """Until the conversation moves on; its end is seen, too."""
    opened = await service.open(learner)
    for path in (f"{CONVERSATIONS}/{opened['id']}", f"{STUDENTS}/{opened['id']}"):
        tags: list[str] = []

        async def tag(path: str = path, tags: list[str] = tags) -> str:
            """The new tag, after checking that no old one is taken for it."""
            response = await service.request("GET", path, user=TEACHER)
            assert response.status == 200
            now = response.headers["ETag"]
            known = {"If-None-Match": now}
            again = await service.request("GET", path, user=TEACHER, headers=known)
            assert (again.status, await again.text(), again.headers["ETag"]) == (304, "", now)
            for old in tags:
                stale = {"If-None-Match": old}
                assert (await service.request("GET", path, user=TEACHER, headers=stale)).status == (
                    200
                )
            return now

        tags.append(await tag())
        await service.say(opened["id"], "Hello", learner)
        tags.append(await tag())
        assert len(set(tags)) == 2


async def test_the_end_of_a_conversation_changes_its_tag(service: Service, learner: int) -> None:
    opened = await service.open(learner)
    path = f"{CONVERSATIONS}/{opened['id']}"
    before = await service.request("GET", path, user=TEACHER)
    await service.call("DELETE", path, user=learner)
    known = {"If-None-Match": before.headers["ETag"]}
    after = await service.request("GET", path, user=TEACHER, headers=known)
    assert after.status == 200
    assert (await after.json())["workflow_state"] == "completed"


async def test_each_of_the_two_forms_of_ids_has_a_tag_of_its_own(
    service: Service, learner: int
) -> None:
    opened = await service.open(learner)
    path = f"{CONVERSATIONS}/{opened['id']}"
    plain = await service.request("GET", path, user=TEACHER)
    known = {"If-None-Match": plain.headers["ETag"], **STRING_IDS}
    assert (await service.request("GET", path, user=TEACHER, headers=known)).status == 200
