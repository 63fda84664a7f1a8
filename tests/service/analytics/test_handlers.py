"""Permissions, days and freshness of the figures."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from eventstore.connections import connect
from eventstore.dialogue_events import ReplyCompleted
from eventstore.envelope import RecordedEvent
from service.analytics import figures, freshness
from service.analytics.endpoints import ANALYTICS, COURSE_FIGURES, EXPERIENCE_FIGURES
from service.http.middleware import scope_of
from service.identity.accounts import create_account
from service.identity.roster import Enrollment, import_roster
from service.identity.tokens import create_token
from tests.databases import cloned_database
from tests.eventstore.waiting import eventually
from tests.running import LEARNER, TEACHER, Service, running_service

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANALYST, AUDITOR, UNKNOWN = 901, 900, "999999"
COURSES, FRESHNESS = f"{ANALYTICS}/courses", f"{ANALYTICS}/freshness"
COURSE = COURSE_FIGURES.format(course_id=1)
EXPERIENCE = EXPERIENCE_FIGURES.format(course_id=1, ai_experience_id=1)
NO_SCOPE = {"errors": [{"message": "Insufficient scopes on access token."}]}
NO_TOKEN: dict[str, Any] = {
    "status": "unauthenticated",
    "errors": [{"message": "user authorization required"}],
}
FORBIDDEN: dict[str, Any] = {
    "status": "unauthorized",
    "errors": [{"message": "user not authorized to perform that action"}],
}
NOT_FOUND = {"error": "Resource Not Found"}
ANSWERS = {
    COURSES: figures.CoursesFigures,
    COURSE: figures.CourseFigures,
    EXPERIENCE: figures.ExperienceFigures,
    FRESHNESS: freshness.AllFreshness,
}
USED = {
    "conversation_facts",
    "daily_course_activity",
    "evaluation_facts",
    "experience_funnel",
    "feedback_facts",
    "model_daily_cost",
    "objective_facts",
    "turn_facts",
}
CALLERS = (
    (COURSES, None, 401, NO_TOKEN),
    (COURSES, LEARNER, 401, NO_SCOPE),
    (COURSES, TEACHER, 401, NO_SCOPE),
    (COURSES, AUDITOR, 401, NO_SCOPE),
    (FRESHNESS, None, 401, NO_TOKEN),
    (FRESHNESS, TEACHER, 401, NO_SCOPE),
    (FRESHNESS, AUDITOR, 401, NO_SCOPE),
    (COURSE, None, 401, NO_TOKEN),
    (COURSE, LEARNER, 403, FORBIDDEN),
    (COURSE, AUDITOR, 401, NO_SCOPE),
    (COURSE, 2, 403, FORBIDDEN),
    (EXPERIENCE, LEARNER, 403, FORBIDDEN),
    (EXPERIENCE, AUDITOR, 401, NO_SCOPE),
    (COURSE_FIGURES.format(course_id=UNKNOWN), ANALYST, 404, NOT_FOUND),
    (COURSE_FIGURES.format(course_id="abc"), ANALYST, 404, NOT_FOUND),
    (EXPERIENCE_FIGURES.format(course_id=2, ai_experience_id=1), ANALYST, 404, NOT_FOUND),
    (EXPERIENCE_FIGURES.format(course_id=1, ai_experience_id=UNKNOWN), ANALYST, 404, NOT_FOUND),
)
TOO_MANY = "from 2030-01-01 to 2031-01-02 must be 1 to 366 days"
BAD_DAYS = (
    ("from=yesterday", 400, "from must be a day such as 2031-03-01"),
    ("to=2031-02-30", 400, "to must be a day such as 2031-03-01"),
    ("to=20310301", 400, "to must be a day such as 2031-03-01"),
    ("from=2031-01-01&from=2031-01-02", 400, "from is given more than once"),
    ("since=2031-01-01", 400, "there is no parameter since"),
    ("from=2030-01-01&to=2031-01-02", 422, TOO_MANY),
    ("to=0001-01-01", 422, "from and to must be of the years 1970 to 9998"),
    ("to=9999-12-31", 422, "from and to must be of the years 1970 to 9998"),
    ("from=2031-01-02&to=2031-01-01", 422, "from 2031-01-02 to 2031-01-01 must be 1 to 366 days"),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(server_url: str) -> AsyncIterator[Service]:
    """The demo, in which a learner had a conversation and voted."""
    async with cloned_database(server_url) as url, running_service(url) as running:
        opened = await running.open()
        await running.say(opened["id"], "The Moon pulls the water, I think.")
        yield running


async def read(service: Service, path: str, user: int = ANALYST, **options: Any) -> Any:
    """An answer after the views have caught up."""

    async def fresh() -> Any:
        status, answer = await service.call("GET", path, user=user, **options)
        assert status == 200, answer
        return answer if answer["freshness"]["lag_events"] == 0 else None

    return await eventually(fresh)


def is_reply(recorded: RecordedEvent) -> bool:
    return isinstance(recorded.event, ReplyCompleted)


@pytest.mark.parametrize(("path", "user", "status", "body"), CALLERS)
async def test_callers_without_permission_are_refused(
    path: str, user: int | None, status: int, body: Any, service: Service
) -> None:
    await service.refused(status, body, "GET", path, user=user)


@pytest.mark.parametrize("path", ANSWERS)
async def test_an_analyst_gets_just_the_described_fields(path: str, service: Service) -> None:
    answer = await read(service, path)
    again = msgspec.json.encode(msgspec.convert(answer, ANSWERS[path]))
    assert msgspec.json.decode(again) == answer


async def test_a_manager_gets_an_analysts_figures_of_their_course(service: Service) -> None:
    """With the same days in both requests."""
    today = datetime.now(UTC).date()
    days = f"from={today - timedelta(days=2)}&to={today + timedelta(days=1)}"
    for path in (f"{COURSE}?{days}", f"{EXPERIENCE}?{days}"):
        managed, analysed = await read(service, path, TEACHER), await read(service, path)
        del managed["freshness"], analysed["freshness"]
        assert managed == analysed


async def test_an_analyst_sees_unpublished_experiences(service: Service) -> None:
    answer = await read(service, EXPERIENCE_FIGURES.format(course_id=1, ai_experience_id=2))
    assert (answer["ai_experience_id"], answer["funnels"]) == (2, [])


async def test_the_endpoints_scope_suffices_for_managers_only(
    service: Service,
) -> None:
    connection = await connect(service.database_url)
    try:
        for user, status in ((TEACHER, 200), (LEARNER, 403)):
            token = await create_token(connection, 1, user, (scope_of("GET", COURSE_FIGURES),))
            headers = {"Authorization": f"Bearer {token}"}
            answer = await service.call("GET", COURSE, user=None, headers=headers)
            assert answer[0] == status
    finally:
        await connection.close()


async def test_a_course_of_another_institution_is_not_found(service: Service) -> None:
    """Its courses and events count for no other institution either."""
    connection = await connect(service.database_url)
    try:
        second = await create_account(connection, "Another institution")
        row = Enrollment(course_id=77, user_id=5, name="T", role="teacher", status="active")
        await import_roster(connection, second, [row])
        token = await create_token(connection, second, 5, ("colloquy:analytics",))
    finally:
        await connection.close()
    headers = {"Authorization": f"Bearer {token}"}
    foreign = COURSE_FIGURES.format(course_id=77)
    await service.refused(404, NOT_FOUND, "GET", foreign, user=ANALYST)
    await service.refused(404, NOT_FOUND, "GET", COURSE, user=None, headers=headers)
    listed = await read(service, COURSES, headers=headers, user=None)  # type: ignore[arg-type]
    assert [one["course_id"] for one in listed["courses"]] == [77]
    assert listed["courses"][0]["conversations"] == 0
    assert listed["freshness"]["head"] == 0


@pytest.mark.parametrize(("asked", "status", "error"), BAD_DAYS)
async def test_invalid_days_are_refused(
    asked: str, status: int, error: str, service: Service
) -> None:
    for path in (COURSES, COURSE, EXPERIENCE):
        await service.refused(status, {"error": error}, "GET", f"{path}?{asked}", user=ANALYST)


@pytest.mark.parametrize("day", ["1970-01-01", "9998-12-31"])
async def test_every_possible_day_is_answered(day: str, service: Service) -> None:
    for path in (COURSES, COURSE, EXPERIENCE):
        answer = await read(service, f"{path}?to={day}&from={day}")
        assert (answer["from"], answer["to"]) == (day, day)


async def test_without_days_the_last_four_weeks_are_answered(service: Service) -> None:
    answer = await read(service, COURSE)
    today = datetime.now(UTC).date()
    assert answer["to"] in (str(today), str(today - timedelta(days=1)))
    assert len(answer["days"]) == 28
    assert (answer["days"][0]["day"], answer["days"][-1]["day"]) == (answer["from"], answer["to"])
    (said,) = {one.recorded_at.date() for one in await service.history() if is_reply(one)}
    assert answer["totals"]["replies"] == 1
    assert [day["day"] for day in answer["days"] if day["replies"]] == [str(said)]


async def test_courses_are_listed_page_by_page(service: Service) -> None:
    response = await service.request("GET", f"{COURSES}?per_page=1", user=ANALYST)
    links = {rel: str(link["url"]) for rel, link in response.links.items()}
    assert set(links) == {"current", "first", "next"}
    first = await response.json()
    second = await read(service, links["next"].removeprefix(service.url))
    assert [c["course_id"] for c in (*first["courses"], *second["courses"])] == [1, 2]
    last = await service.request("GET", links["next"].removeprefix(service.url), user=ANALYST)
    assert set(last.links) == {"current", "first"}


async def test_lagging_paused_and_stopped_projections_are_named(server_url: str) -> None:
    async with cloned_database(server_url) as url, running_service(url) as service:
        await service.open()
        before = await read(service, COURSE)
        owner = await connect(url)
        try:
            await owner.execute(
                "INSERT INTO projection_pauses (name) VALUES ('turn_facts'), ('feedback_facts')"
            )
            await owner.execute(
                "UPDATE projection_checkpoints SET error = 'Ada is no number', error_position = 3,"
                " error_at = now() WHERE name = 'feedback_facts' AND account_id = 1"
            )
            await service.open(102)
            fresh = (await service.call("GET", COURSE, user=ANALYST))[1]["freshness"]
            everything = await service.call("GET", FRESHNESS, user=ANALYST)
        finally:
            await owner.close()
    assert fresh["paused"] == ["feedback_facts", "turn_facts"]
    assert fresh["stopped"] == ["feedback_facts"]
    assert fresh["position"] == before["freshness"]["head"] < fresh["head"]
    assert fresh["lag_events"] == fresh["head"] - fresh["position"]
    assert before["freshness"]["as_of"] <= fresh["as_of"]
    states = {one["projection"]: one for one in everything[1]["projections"]}
    assert set(states) == USED
    assert {name for name in USED if states[name]["paused"]} == {*fresh["paused"]}
    assert states["feedback_facts"]["stopped"]
    assert states["feedback_facts"]["error_position"] == 3
    assert "Ada" not in str(everything)
