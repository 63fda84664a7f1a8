"""Evaluations: who gets them, what the model is given, and how they end whatever happens."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio

from eventstore.connections import connect
from eventstore.dialogue_events import MessagePosted
from eventstore.envelope import Actor, Metadata, NewEvent, RecordedEvent
from eventstore.evaluation_events import EvaluationFailed, EvaluationRecorded, EvaluationRequested
from eventstore.notifier import Notifier
from eventstore.reply_records import Usage
from eventstore.running_log import running_log
from service.identity.roster import Role
from service.model.practice_tutor import CANNOT_JUDGE, PRACTICE_TUTOR
from service.model.prompt_templates import EvaluatorPrompt
from service.timing import Timing
from tests.databases import cloned_database
from tests.fake_anthropic import (
    FakeAnthropic,
    Received,
    Speech,
    Stall,
    StreamError,
    evaluation_speech,
)
from tests.running import CONVERSATIONS, TEACHER, Service, eventually, fetch_value, running_service
from tests.service.histories import assert_lawful, types_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVALUATOR = "claude-sonnet-5-5"
OTHER_COURSE = "/api/v1/courses/2/ai_experiences/3/conversations"
OTHER_TEACHER = 2
UNKNOWN = 999_999
ASKED = str(uuid4())
GONE = 1
"""An owner's number that no process has."""

HANG_UP = """
SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
SIGNS_OF_LIFE = """
SELECT count(*) FROM pg_locks
 WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
NOT_FOUND = {"error": "Resource Not Found"}
FORBIDDEN: dict[str, object] = {
    "status": "unauthorized",
    "errors": [{"message": "user not authorized to perform that action"}],
}
EVALUATION = {
    "summary": "The learner thought aloud.",
    "overall_assessment": "Sound thinking.",
    "overall_score": 80,
    "learning_objectives_evaluation": [
        {
            "objective": objective,
            "met": True,
            "score": 80,
            "explanation": "A reason was given.",
            "met_at_turn": None,
        }
        for objective in (
            "Explain why most coasts have two high tides a day",
            "Explain why high tide is later each day",
            "Predict when tides are highest in a month",
        )
    ],
    "strengths": ["Gives reasons."],
    "areas_for_improvement": ["Examples."],
    "key_moments": [
        {
            "learning_objective": "Objective 1",
            "evidence": "The opening.",
            "message_number": 1,
        }
    ],
}
"""What the fake provider says of any conversation, with the objectives in the teacher's words."""

ONE_ATTEMPT = 299
"""Micro-dollars of EVALUATOR for the usage of one speech: 2 and 10 for a token, 0.1 from cache."""


class Talk(msgspec.Struct, frozen=True):
    """A learner's conversation, with one thing said in it."""

    learner: int
    id: int

    @property
    def path(self) -> str:
        """Where its evaluation is."""
        return f"{CONVERSATIONS}/{self.id}/evaluation"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(fake: FakeAnthropic, server_url: str) -> AsyncIterator[Service]:
    """A service that asks the fake provider twice at most, and sweeps without pause."""
    async with (
        cloned_database(server_url) as database_url,
        running_service(
            database_url,
            Timing(assessment=60.0, sweep=0.02, owner_check=0.01),
            anthropic_base_url=fake.url,
            evaluation_model=EVALUATOR,
            max_attempts=2,
            retry_pause=0.005,
        ) as running,
    ):
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def talk(service: Service) -> Talk:
    learner = await service.enroll()
    conversation = await service.open(learner)
    assert (await service.say(conversation["id"], "It is the Moon", learner))[0] == 200
    return Talk(learner, conversation["id"])


async def evaluate(service: Service, path: str, **options: Any) -> Any:
    """An evaluation that must succeed: the whole answer."""
    status, body = await service.call("POST", path, user=TEACHER, **options)
    assert status == 200, body
    return body


async def latest(service: Service, path: str) -> Any:
    status, body = await service.call("GET", path, user=TEACHER)
    assert status == 200, body
    return body


async def events_of(service: Service, conversation: int) -> list[RecordedEvent]:
    """The events of all evaluations of a conversation."""
    kinds = EvaluationRequested | EvaluationRecorded | EvaluationFailed
    return [
        e
        for e in await service.history()
        if isinstance(e.event, kinds) and e.event.conversation_id == conversation
    ]


def transcript(received: Received) -> str:
    """What the evaluator reads of the conversation."""
    (message,) = received.body["messages"]
    return "".join(block["text"] for block in message["content"])


async def test_before_the_first_there_is_none_and_no_model_is_asked(
    service: Service, fake: FakeAnthropic, talk: Talk
) -> None:
    asked, head = len(fake.judgements), await service.head()
    nothing = {"id": talk.id, "evaluation": None, "stale": False}
    assert await latest(service, talk.path) == nothing
    assert (len(fake.judgements), await service.head()) == (asked, head)


async def test_an_evaluation_is_answered_stored_and_shown(service: Service, talk: Talk) -> None:
    """In the contract's shape; the objectives are those of the teacher, word for word."""
    expected = {"id": talk.id, "evaluation": EVALUATION}
    assert await evaluate(service, talk.path) == expected
    assert await latest(service, talk.path) == expected | {"stale": False}
    headers = {"Accept": "application/json+canvas-string-ids"}
    strings = {"id": str(talk.id)}
    for method in ("GET", "POST"):
        _, body = await service.call(method, talk.path, user=TEACHER, headers=headers)
        assert body == expected | strings | ({"stale": False} if method == "GET" else {})


async def test_the_log_has_who_asked_who_judged_and_what_it_took(
    service: Service, talk: Talk
) -> None:
    evaluation = (await evaluate(service, talk.path, headers={"X-Request-Id": ASKED}))["evaluation"]
    asked, recorded = await events_of(service, talk.id)
    assert isinstance(asked.event, EvaluationRequested)
    assert isinstance(recorded.event, EvaluationRecorded)
    assert (asked.metadata.actor, asked.metadata.request_id) == (Actor(TEACHER, "teacher"), ASKED)
    assert asked.event.user_id == talk.learner
    assert recorded.stream == asked.stream == f"evaluation-{asked.event.turn_id}"
    assert recorded.metadata.actor == Actor(None, "model")
    assert recorded.metadata.causation_id == str(asked.event_id)
    assert msgspec.json.decode(recorded.content or "") == evaluation
    subject = "SELECT subject_id FROM event_content WHERE position = $1"
    assert await fetch_value(service.database_url, subject, recorded.position) == talk.learner
    judgement = recorded.event.judgement
    assert (judgement.model_requested, judgement.model) == (EVALUATOR, EVALUATOR)
    assert judgement.prompt == EvaluatorPrompt().version
    assert judgement.usage == Usage(input_tokens=12, output_tokens=7, cache_read_input_tokens=2048)
    assert (judgement.attempts, judgement.cost_microusd) == (1, cost_of(1))


async def test_the_latest_is_shown(service: Service, fake: FakeAnthropic, talk: Talk) -> None:
    await evaluate(service, talk.path)
    fake.script_judgements(evaluation_speech(3, summary='A "second"\nlook: 🌊', overall_score=0))
    second = await evaluate(service, talk.path)
    assert second["evaluation"]["summary"] == 'A "second"\nlook: 🌊'
    assert second["evaluation"]["overall_score"] == 0
    assert await latest(service, talk.path) == second | {"stale": False}


async def test_an_evaluation_is_stale_when_the_experience_was_edited_since(
    service: Service,
) -> None:
    """What an edit writes into the view is written here by hand; a new evaluation is not stale.

    The model is still given the experience that the conversation started with.
    """
    learner = await service.enroll(course=2)
    _, conversation = await service.call("POST", OTHER_COURSE, user=learner)
    path = f"{OTHER_COURSE}/{conversation['id']}/evaluation"
    service_of_course = {"user": OTHER_TEACHER}
    for version in (1, 2):
        status, body = await service.call("POST", path, **service_of_course)
        assert status == 200, body
        assert (await service.call("GET", path, **service_of_course))[1]["stale"] is False
        await edited(service, 3)
        assert (await service.call("GET", path, **service_of_course))[1] == body | {"stale": True}
        events = await events_of(service, conversation["id"])
        assert {e.event.experience_version for e in events[-2:]} == {version}  # type: ignore[union-attr]


async def test_learners_and_observers_are_told_nothing(service: Service, talk: Talk) -> None:
    """Not even whether there is such a conversation; and nothing is recorded."""
    for user in (talk.learner, await service.enroll(), await service.enroll("observer")):
        for path in (talk.path, f"{CONVERSATIONS}/{UNKNOWN}/evaluation"):
            for method in ("GET", "POST"):
                await service.refused(403, FORBIDDEN, method, path, user=user)


@pytest.mark.parametrize("role", ["teacher", "ta", "designer"])
async def test_every_manager_of_the_course_may(role: Role, service: Service, talk: Talk) -> None:
    manager = await service.enroll(role)
    for method in ("POST", "GET"):
        status, body = await service.call(method, talk.path, user=manager)
        assert (status, body["evaluation"]) == (200, EVALUATION)


async def test_a_manager_of_another_course_may_not(service: Service, talk: Talk) -> None:
    """By the course's path it is none of theirs, by their own there is no such conversation."""
    for method in ("GET", "POST"):
        await service.refused(403, FORBIDDEN, method, talk.path, user=OTHER_TEACHER)
        path = f"{OTHER_COURSE}/{talk.id}/evaluation"
        await service.refused(404, NOT_FOUND, method, path, user=OTHER_TEACHER)


@pytest.mark.parametrize(
    "path",
    [
        f"{CONVERSATIONS}/{UNKNOWN}/evaluation",
        f"{CONVERSATIONS}/0/evaluation",
        f"{CONVERSATIONS}/{2**63}/evaluation",
        f"{CONVERSATIONS}/first/evaluation",
        "/api/v1/courses/1/ai_experiences/2/conversations/1/evaluation",
        "/api/v1/courses/1/ai_experiences/99/conversations/1/evaluation",
    ],
)
async def test_what_does_not_exist_is_not_found(path: str, service: Service, talk: Talk) -> None:
    for method in ("GET", "POST"):
        await service.refused(404, NOT_FOUND, method, path, user=TEACHER)


async def test_a_field_that_the_endpoint_does_not_have_is_refused(
    service: Service, talk: Talk
) -> None:
    response = await service.request("POST", talk.path, user=TEACHER, json={"strict": True})
    assert response.status == 400
    assert await events_of(service, talk.id) == []


async def test_a_conversation_that_is_over_is_evaluated_too(service: Service, talk: Talk) -> None:
    """Superseded by another, or deleted; and each has an evaluation of its own."""
    newer = Talk(talk.learner, (await service.open(talk.learner))["id"])
    await service.call("DELETE", f"{CONVERSATIONS}/{newer.id}", user=talk.learner)
    for over in (talk, newer):
        assert (await latest(service, over.path))["evaluation"] is None
        assert (await evaluate(service, over.path))["evaluation"] == EVALUATION


async def test_the_model_is_given_the_whole_conversation(
    service: Service, fake: FakeAnthropic, talk: Talk
) -> None:
    """Every message that the learner sees, one by one, and no part of a reply that failed."""
    fake.script(StreamError(speech=Speech(pieces=("Nobody reads this",))))
    assert (await service.say(talk.id, "Nobody heard this", talk.learner))[0] == 503
    for number in range(15):
        assert (await service.say(talk.id, f"Thought {number}", talk.learner))[0] == 200
    await evaluate(service, talk.path)
    received = fake.judgements[-1]
    assert received.body["model"] == EVALUATOR
    shown = [m["text"] for m in (await service.active(talk.learner))["messages"]]
    told = transcript(received)
    places = [told.find(f"\n{text}\n") for text in shown if text != shown[1]]
    assert -1 not in places
    assert places == sorted(places)
    assert told.count(shown[1]) == sum(text == shown[1] for text in shown)
    assert "Nobody reads this" not in told
    system = "".join(block["text"] for block in received.body["system"])
    assert "Why the tide comes back" in system


async def test_an_answer_that_cannot_be_used_is_asked_for_again(
    service: Service, fake: FakeAnthropic, talk: Talk
) -> None:
    fake.script_judgements(evaluation_speech(2), "valid")
    assert (await evaluate(service, talk.path))["evaluation"] == EVALUATION
    (recorded,) = (await events_of(service, talk.id))[1:]
    assert isinstance(recorded.event, EvaluationRecorded)
    attempts = [attempt.outcome for attempt in recorded.event.judgement.attempt_records]
    assert attempts == ["model_invalid", "completed"]
    assert recorded.event.judgement.cost_microusd == cost_of(2)


@pytest.mark.parametrize(
    "speech",
    [
        Speech(pieces=("The learner ", "did well.")),
        Speech(pieces=('{"summary": "cut',), stop_reason="max_tokens"),
        evaluation_speech(2),
        evaluation_speech(3, overall_score=101),
    ],
    ids=["prose", "cut short", "an objective too few", "an impossible score"],
)
async def test_without_a_usable_answer_there_is_no_evaluation(
    speech: Speech, service: Service, fake: FakeAnthropic, talk: Talk
) -> None:
    """What it has cost is on record, and the words of the model are not."""
    fake.script_judgements(speech, speech)
    await assert_fails(service, talk, "model_invalid", ["model_invalid"] * 2)
    (failed,) = (await events_of(service, talk.id))[1:]
    assert isinstance(failed.event, EvaluationFailed)
    assert failed.event.usage is not None
    assert failed.event.cost_microusd == cost_of(2)
    assert failed.content is None


@pytest.mark.parametrize(
    ("behaviour", "code", "attempts"),
    [
        ("overloaded_529", "model_overloaded", 2),
        ("server_error_500", "model_unavailable", 2),
        ("sse_overloaded", "model_overloaded", 2),
        ("cut", "model_interrupted", 2),
        ("early_end", "model_interrupted", 2),
        ("blank_text", "model_empty", 2),
        ("refusal", "model_refused", 1),
        ("unauthenticated_401", "model_misconfigured", 1),
    ],
)
async def test_a_failure_of_the_provider_is_told_and_recorded(
    behaviour: str, code: str, attempts: int, service: Service, fake: FakeAnthropic, talk: Talk
) -> None:
    """The evaluation before it is still shown, and the next one works."""
    before = await evaluate(service, talk.path)
    fake.script_judgements(*[behaviour] * attempts)
    await assert_fails(service, talk, code, [code] * attempts)
    assert await latest(service, talk.path) == before | {"stale": False}
    await evaluate(service, talk.path)


async def test_a_client_that_goes_away_does_not_stop_it(
    service: Service, fake: FakeAnthropic, talk: Talk
) -> None:
    fake.script_judgements(Stall(after=1, speech=evaluation_speech(3)))
    host, port = service.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    token = service.tokens[str(TEACHER)]
    writer.write(
        f"POST {talk.path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        "Content-Length: 0\r\n\r\n".encode()
    )
    await fake.wait_until(lambda: fake.stalled_judgements == 1)
    writer.transport.abort()
    assert (await latest(service, talk.path))["evaluation"] is None  # the service has noticed
    assert fake.disconnected_judgements == 0
    fake.release()
    await eventually(lambda: is_evaluated(service, talk))


async def test_it_goes_on_when_every_connection_to_the_database_breaks(
    service: Service, fake: FakeAnthropic, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process does not take it for abandoned while its own sign of life is away."""
    monkeypatch.setattr("eventstore.notifier._RETRY", 0.5)
    fake.script_judgements(Stall(after=1, speech=evaluation_speech(3)))
    evaluating = asyncio.create_task(evaluate(service, talk.path))
    await fake.wait_until(lambda: fake.stalled_judgements == 1)
    await fetch_value(service.database_url, HANG_UP)
    await eventually(lambda: is_alive(service))  # sweeps have gone by in between
    fake.release()
    assert (await evaluating)["evaluation"] == EVALUATION


async def test_it_goes_on_beside_the_learners_turn(
    service: Service, fake: FakeAnthropic, talk: Talk
) -> None:
    """Both are under way at once, and each ends as if the other were not there."""
    fake.script_judgements(Stall(after=1, speech=evaluation_speech(3)))
    evaluating = asyncio.create_task(evaluate(service, talk.path))
    await fake.wait_until(lambda: fake.stalled_judgements == 1)
    fake.script(Stall(after=1))
    speaking = asyncio.create_task(service.say(talk.id, "Meanwhile", talk.learner))
    await fake.wait_until(lambda: fake.stalled == 1)
    during = await evaluate(service, talk.path)
    assert "\nMeanwhile\n" in transcript(fake.judgements[-1])
    assert not evaluating.done()
    assert not speaking.done()
    fake.release()
    assert await evaluating == during
    status, body = await speaking
    assert (status, body["messages"][-2]["text"]) == (200, "Meanwhile")
    dialogue = [e for e in await service.history() if e.stream == f"dialogue-1-{talk.learner}"]
    posted = [e.event for e in dialogue if isinstance(e.event, MessagePosted)]
    assert len(posted) == 2
    assert not any("evaluation" in kind for kind in types_of(dialogue))


async def test_no_more_are_under_way_than_may_be(
    service: Service, fake: FakeAnthropic, talk: Talk
) -> None:
    """The next is refused before anything is recorded; learners' replies count for themselves."""
    settings: dict[str, Any] = {"anthropic_base_url": fake.url, "max_replies": 1}
    async with running_service(service.database_url, **settings) as small:
        small.tokens = service.tokens
        fake.script_judgements(Stall(after=1, speech=evaluation_speech(3)))
        evaluating = asyncio.create_task(evaluate(small, talk.path))
        await fake.wait_until(lambda: fake.stalled_judgements == 1)
        busy = {
            "error": "too many replies are under way; try again in a moment",
            "code": "busy",
            "retryable": True,
        }
        response = await small.refused(503, busy, "POST", talk.path, user=TEACHER)
        assert response.headers["Retry-After"] == "2"
        assert (await small.say(talk.id, "And I?", talk.learner))[0] == 200
        fake.release()
        await evaluating
        await evaluate(small, talk.path)


async def test_one_that_nobody_will_end_is_closed_by_the_sweeper(
    service: Service, talk: Talk
) -> None:
    """By the system, as abandoned; whoever asks again by the key of then is told so."""
    await leave_evaluation(service, talk, GONE, key="left")
    status, body = await service.call(
        "POST", talk.path, user=TEACHER, headers={"Idempotency-Key": "left"}
    )
    assert (status, body["code"], body["retryable"]) == (503, "abandoned", True)
    _, failed = await events_of(service, talk.id)
    assert isinstance(failed.event, EvaluationFailed)
    assert (failed.event.code, failed.metadata.actor) == ("abandoned", Actor(None, "system"))
    assert (await latest(service, talk.path))["evaluation"] is None


async def test_that_of_a_living_process_is_left_alone_until_its_deadline(
    service: Service, talk: Talk
) -> None:
    notifier = Notifier(service.database_url)
    await notifier.start()
    try:
        await leave_evaluation(service, talk, notifier.owner)
        late = Talk(talk.learner, (await service.open(talk.learner))["id"])
        await leave_evaluation(service, late, notifier.owner, deadline=timedelta(seconds=-1))
        await eventually(lambda: has_ended(service, late))
        assert not await has_ended(service, talk)
    finally:
        await notifier.close()
    await eventually(lambda: has_ended(service, talk))


async def test_the_practice_tutor_evaluates_by_its_rule(service: Service) -> None:
    """It says that it cannot judge, counts answers, and costs nothing."""
    async with running_service(service.database_url) as practice:
        learner = await practice.enroll()
        conversation = (await practice.open(learner))["id"]
        for number in range(4):
            await practice.say(conversation, f"This is answer {number}", learner)
        talk = Talk(learner, conversation)
        evaluation = (await evaluate(practice, talk.path))["evaluation"]
        assert (await latest(practice, talk.path))["evaluation"] == evaluation
        _, recorded = await events_of(practice, conversation)
    assert evaluation["summary"].startswith(CANNOT_JUDGE)
    assert evaluation["overall_score"] == 33
    entries = evaluation["learning_objectives_evaluation"]
    found = [(entry["met"], entry["score"], entry["met_at_turn"]) for entry in entries]
    assert found == [(True, 100, 3), (False, 33, None), (False, 0, None)]
    assert [moment["message_number"] for moment in evaluation["key_moments"]] == [6]
    assert isinstance(recorded.event, EvaluationRecorded)
    assert recorded.event.judgement.model == PRACTICE_TUTOR
    assert recorded.event.judgement.usage == Usage()


async def test_the_log_of_all_these_tests_is_lawful(service: Service) -> None:
    await service.open(await service.enroll())
    assert_lawful(await service.history())


async def assert_fails(service: Service, talk: Talk, code: str, attempts: list[str]) -> None:
    """An evaluation that must fail so, for the teacher and in the log."""
    headers = {"X-Request-Id": str(uuid4())}
    status, body = await service.call("POST", talk.path, user=TEACHER, headers=headers)
    assert (status, body["code"], body["reference_id"]) == (503, code, headers["X-Request-Id"])
    failed = (await events_of(service, talk.id))[-1]
    assert isinstance(failed.event, EvaluationFailed)
    assert failed.event.code == code
    assert failed.event.retryable == body["retryable"]
    assert failed.event.model == EVALUATOR
    assert [attempt.outcome for attempt in failed.event.attempt_records] == attempts


async def leave_evaluation(
    service: Service,
    talk: Talk,
    owner: int,
    *,
    deadline: timedelta = timedelta(hours=1),
    key: str | None = None,
) -> None:
    """Records that an evaluation was asked for, which nobody of this service will end."""
    asked = EvaluationRequested(
        conversation_id=talk.id,
        turn_id=str(uuid4()),
        course_id=1,
        experience_id=1,
        experience_version=1,
        user_id=talk.learner,
        model="any",
        owner=owner,
        deadline_at=datetime.now(UTC) + deadline,
    )
    metadata = Metadata(actor=Actor(TEACHER, "teacher"), idempotency_key=key)
    async with running_log(service.database_url) as (log, _pool, _notifier):
        stream = f"evaluation-{asked.turn_id}"
        await log.append(1, stream, [NewEvent(event=asked)], expected=0, metadata=metadata)


async def edited(service: Service, experience: int) -> None:
    """The view as it is when an experience has got one more version."""
    connection = await connect(service.database_url)
    try:
        edit = "UPDATE read.experiences SET version = version + 1 WHERE experience_id = $1"
        assert await connection.execute(edit, experience) == "UPDATE 1"
    finally:
        await connection.close()


async def has_ended(service: Service, talk: Talk) -> bool:
    return len(await events_of(service, talk.id)) == 2


async def is_alive(service: Service) -> bool:
    return bool(await fetch_value(service.database_url, SIGNS_OF_LIFE))


async def is_evaluated(service: Service, talk: Talk) -> bool:
    return (await latest(service, talk.path))["evaluation"] is not None


def cost_of(attempts: int) -> int:
    return attempts * ONE_ATTEMPT
