"""Learning objectives: judged beside the reply, shown as progress, never at the reply's expense."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from eventstore.dialogue_events import (
    AssessmentFailed,
    CoveredObjective,
    MessagePosted,
    ObjectivesAssessed,
    ReplyCancelled,
    ReplyFailed,
)
from eventstore.envelope import Actor, Metadata, RecordedEvent
from eventstore.reply_records import Usage
from eventstore.running_log import running_log
from service.dialogue.commands import RecordReply
from service.dialogue.repository import DialogueRepository
from service.experiences.experiences import ExperienceDraft, Experiences
from service.model.judgements import Assessment, read_assessment
from service.model.practice_tutor import PRACTICE_TUTOR
from service.model.prompt_templates import AssessorPrompt
from service.timing import Timing
from tests.databases import cloned_database
from tests.fake_anthropic import FakeAnthropic, Received, Speech, Stall, StreamError, covering
from tests.running import (
    CONVERSATIONS,
    TEACHER,
    Service,
    eventually,
    fetch_value,
    messages_of,
    running_beside,
    running_service,
)
from tests.service.histories import assert_lawful, types_of
from tests.service.reading_streams import read_stream, turn_path

pytestmark = pytest.mark.asyncio(loop_scope="module")

JUDGE = "claude-sonnet-5-5"
OBJECTIVES = 3
REFUSAL = Speech(stop_reason="refusal")
REPLY = "What do you already know about it?"
COST = 299
"""Micro-dollars of one answer of JUDGE: 12 tokens at 2, 7 at 10, 2048 from the cache at 0.1."""

BEGUN_COST = 239
"""The same with one token of the answer."""

WHOLE = Usage(input_tokens=12, output_tokens=7, cache_read_input_tokens=2048)
SAID = "It is the Moon"
NUMBER_OF_SAID = 3
"""The first thing that a learner says is the model's third message."""


class Talk(msgspec.Struct, frozen=True):
    """A learner and their conversation."""

    service: Service
    learner: int
    id: int

    async def say(self, text: str = SAID) -> Any:
        """A message that must get its reply: the answer."""
        status, body = await self.service.say(self.id, text, self.learner)
        assert status == 200, body
        return body

    async def active(self) -> Any:
        return await self.service.active(self.learner)

    async def covered(self) -> list[int]:
        """Places of the objectives that GET shows as covered."""
        return covered_in(await self.active())

    async def events(self) -> list[RecordedEvent]:
        """The learner's dialogue."""
        log = await self.service.history()
        return [event for event in log if event.stream == f"dialogue-1-{self.learner}"]

    async def assessments(self) -> list[ObjectivesAssessed | AssessmentFailed]:
        """What became of judging, turn by turn."""
        kinds = ObjectivesAssessed | AssessmentFailed
        return [e.event for e in await self.events() if isinstance(e.event, kinds)]

    async def assessed(self) -> ObjectivesAssessed:
        """The last judgement, which must have succeeded."""
        event = (await self.assessments())[-1]
        assert isinstance(event, ObjectivesAssessed)
        return event


SETTINGS: dict[str, Any] = {"assessment_model": JUDGE, "max_attempts": 2, "retry_pause": 0.005}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(fake: FakeAnthropic, server_url: str) -> AsyncIterator[Service]:
    """A service with another model as judge; every test brings a learner of its own."""
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url, anthropic_base_url=fake.url, **SETTINGS) as running,
    ):
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def talk(service: Service) -> Talk:
    learner = await service.enroll()
    return Talk(service, learner, (await service.open(learner))["id"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty(service: Service, fake: FakeAnthropic) -> AsyncIterator[Service]:
    """A service whose replies wait for no judgement."""
    async with running_beside(
        service, Timing(assessment=0.01), anthropic_base_url=fake.url, **SETTINGS
    ) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def hasty_talk(hasty: Service) -> Talk:
    learner = await hasty.enroll()
    return Talk(hasty, learner, (await hasty.open(learner))["id"])


def covered_in(body: Any) -> list[int]:
    """Places of the covered objectives; the counts must agree with them."""
    progress = body["progress"]
    places = [n for n, o in enumerate(progress["objectives"], 1) if o["status"] == "covered"]
    assert all(o["status"] in {"", "covered"} for o in progress["objectives"])
    assert (progress["current"], progress["total"]) == (len(places), OBJECTIVES)
    assert progress["percentage"] == {0: 0, 1: 33, 2: 67, 3: 100}[len(places)]
    return places


def question_of(received: Received) -> str:
    """What the judge is asked after the conversation."""
    (message,) = received.body["messages"]
    text: str = message["content"][-1]["text"]
    return text


def transcript_of(received: Received) -> list[str]:
    (message,) = received.body["messages"]
    return [block["text"] for block in message["content"][:-1]]


async def test_the_judge_is_asked_while_the_model_talks(
    service: Service, fake: FakeAnthropic, talk: Talk
) -> None:
    """Both requests are at the provider at the same time, each of its own model."""
    fake.script(Stall(after=1))
    fake.script_judgements(Stall(after=1, speech=covering((1, NUMBER_OF_SAID))))
    saying = asyncio.create_task(talk.say())
    await fake.wait_until(lambda: (fake.stalled, fake.stalled_judgements) == (1, 1))
    assert (fake.requests[-1].body["model"], fake.judgements[-1].body["model"]) == (
        "claude-haiku-5-5",
        JUDGE,
    )
    assert await talk.covered() == []
    fake.release()
    assert covered_in(await saying) == [1]


async def test_the_judge_reads_the_conversation_up_to_the_new_message(
    fake: FakeAnthropic, talk: Talk
) -> None:
    """And is told which objectives are open."""
    for number in (1, 2):
        fake.script_judgements(covering((2 * number - 1, 1 + 2 * number)))
        body = await talk.say(f"Thought {number}")
        read = transcript_of(fake.judgements[-1])
        shown = [m["text"] for m in body["messages"][:-1]]
        assert [f"\n{text}\n" in block for text, block in zip(shown, read, strict=True)] == [
            True
        ] * len(shown)
        expected = "Open objectives: 1, 2, 3." if number == 1 else "Open objectives: 2, 3."
        assert question_of(fake.judgements[-1]).startswith(expected)


async def test_progress_is_the_same_in_every_answer(
    service: Service, fake: FakeAnthropic, talk: Talk
) -> None:
    """In that of POST, in the next GET, in the stream's `done`, and it stays."""
    fake.script_judgements(covering((3, NUMBER_OF_SAID)))
    said = await talk.say()
    assert covered_in(said) == [3]
    assert await talk.active() == said
    fake.script_judgements(covering((1, 5)))
    path, message = messages_of(talk.id), {"message": "And the Sun"}
    *_, done = await read_stream(service, "POST", path, user=talk.learner, json=message)
    assert covered_in(done.data) == [1, 3]
    assert await talk.active() == done.data
    assert covered_in(await talk.say()) == [1, 3]


async def test_the_log_has_the_evidence_and_what_judging_took(
    fake: FakeAnthropic, talk: Talk
) -> None:
    """The learner's message by its id; model, prompt, tokens and cost of the judge."""
    fake.script_judgements(covering((2, NUMBER_OF_SAID)))
    body = await talk.say()
    *_, posted, recorded, _reply = await talk.events()
    assert isinstance(recorded.event, ObjectivesAssessed)
    assert recorded.event.covered == (CoveredObjective(2, body["messages"][2]["id"]),)
    assert recorded.metadata.actor == Actor(None, "model")
    assert recorded.metadata.causation_id == str(posted.event_id)
    assert recorded.content is None
    judgement = recorded.event.judgement
    assert (judgement.model_requested, judgement.model) == (JUDGE, JUDGE)
    assert judgement.prompt == AssessorPrompt().version
    assert judgement.usage == WHOLE
    assert judgement.cost_microusd == COST
    assert [attempt.outcome for attempt in judgement.attempt_records] == ["completed"]


async def test_evidence_is_the_message_that_the_judge_names(
    fake: FakeAnthropic, talk: Talk
) -> None:
    """An earlier one too; not the tutor's, not the starting prompt, nor one that is not there."""
    await talk.say("The first")
    fake.script_judgements(covering((1, 3), (2, 4), (3, 1)))
    body = await talk.say("The second")
    assert covered_in(body) == [1]
    assert (await talk.assessed()).covered == (CoveredObjective(1, body["messages"][2]["id"]),)
    fake.script_judgements(covering((2, 7), (3, 8), (4, 7), (0, 7)))
    body = await talk.say("The third")
    assert covered_in(body) == [1, 2]
    assert (await talk.assessed()).covered == (CoveredObjective(2, body["messages"][6]["id"]),)


async def test_progress_never_falls_back(fake: FakeAnthropic, talk: Talk) -> None:
    """Whatever is said, whoever judges, and however it ends."""
    fake.script_judgements(covering((1, NUMBER_OF_SAID)))
    await talk.say()
    fake.script_judgements(covering(), covering((1, NUMBER_OF_SAID)), "refusal")
    for _ in range(3):
        assert covered_in(await talk.say("I take it all back")) == [1]
    fake.script(StreamError())
    assert (await talk.service.say(talk.id, "Hello?", talk.learner))[0] == 503
    assert await talk.covered() == [1]
    fake.script_judgements(covering((2, 7)))
    assert covered_in(await talk.say()) == [1, 2]


async def test_when_all_are_covered_it_is_noted_and_nobody_judges_any_more(
    service: Service, fake: FakeAnthropic, talk: Talk
) -> None:
    met = "SELECT all_objectives_met FROM read.conversations WHERE conversation_id = $1"
    for number in range(1, OBJECTIVES + 1):
        assert await fetch_value(service.database_url, met, talk.id) is False
        fake.script_judgements(covering((number, 1 + 2 * number)))
        await talk.say()
    assert await fetch_value(service.database_url, met, talk.id) is True
    asked, assessed = len(fake.judgements), await talk.assessments()
    assert covered_in(await talk.say()) == [1, 2, 3]
    assert (len(fake.judgements), await talk.assessments()) == (asked, assessed)
    assert await fetch_value(service.database_url, met, talk.id) is True
    fresh = await service.open(talk.learner)
    assert covered_in(fresh) == []


async def test_an_opening_is_not_judged(service: Service, fake: FakeAnthropic) -> None:
    asked = len(fake.judgements)
    await service.open(await service.enroll())
    assert len(fake.judgements) == asked


async def test_without_objectives_there_is_no_progress_and_no_judge(
    service: Service, fake: FakeAnthropic
) -> None:
    """Blank lines are no objectives."""
    draft = ExperienceDraft(
        title="Free talk",
        learning_objective=" \n ",
        pedagogical_guidance="Listen.",
        workflow_state="published",
    )
    async with running_log(service.database_url) as (log, pool, _notifier):
        teaching = Metadata(actor=Actor(TEACHER, "teacher"))
        experience = (await Experiences(log, pool).create(1, 1, draft, teaching)).id
    learner, asked = await service.enroll(), len(fake.judgements)
    path = f"/api/v1/courses/1/ai_experiences/{experience}/conversations"
    _, opened = await service.call("POST", path, user=learner)
    _, said = await service.call(
        "POST", f"{path}/{opened['id']}/messages", user=learner, json={"message": SAID}
    )
    assert (opened["progress"], said["progress"]) == (None, None)
    assert said["messages"][-1]["text"] == REPLY
    assert len(fake.judgements) == asked
    met = "SELECT all_objectives_met FROM read.conversations WHERE conversation_id = $1"
    assert await fetch_value(service.database_url, met, opened["id"]) is False


@pytest.mark.parametrize(
    ("behaviour", "code", "attempts", "cost"),
    [
        (Speech(pieces=("All of ", "them.")), "model_invalid", 2, 2 * COST),
        ("refusal", "model_refused", 1, COST),
        ("cut", "model_interrupted", 2, 2 * BEGUN_COST),
        ("overloaded_529", "model_overloaded", 2, 0),
        ("unauthenticated_401", "model_misconfigured", 1, 0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_where_judging_fails_it_costs_the_progress_and_not_the_reply(
    behaviour: Speech | str,
    code: str,
    attempts: int,
    cost: int,
    fake: FakeAnthropic,
    talk: Talk,
) -> None:
    """What it took is on record; the next message is judged as ever, and all that was said."""
    fake.script_judgements(*[behaviour] * attempts)
    body = await talk.say()
    assert body["messages"][-1]["text"] == REPLY
    assert covered_in(body) == []
    (failed,) = await talk.assessments()
    assert isinstance(failed, AssessmentFailed)
    assert (failed.code, failed.model) == (code, JUDGE)
    assert [attempt.outcome for attempt in failed.attempt_records] == [code] * attempts
    assert failed.cost_microusd == cost
    fake.script_judgements(covering((1, NUMBER_OF_SAID)))
    assert covered_in(await talk.say()) == [1]


async def test_a_judgement_that_takes_longer_than_the_reply_comes_by_itself(
    service: Service, fake: FakeAnthropic, hasty_talk: Talk
) -> None:
    """The reply does not wait for it; the next GET after it shows it."""
    fake.script_judgements(Stall(after=1, speech=covering((1, NUMBER_OF_SAID))))
    assert covered_in(await hasty_talk.say()) == []
    assert types_of(await hasty_talk.events())[-1] == "reply_completed"
    await fake.wait_until(lambda: fake.stalled_judgements == 1)
    fake.release()
    await eventually(lambda: has_covered(hasty_talk, [1]))
    *_, posted, _reply, late = await hasty_talk.events()
    assert isinstance(posted.event, MessagePosted)
    assert isinstance(late.event, ObjectivesAssessed)
    assert late.event.covered == (CoveredObjective(1, posted.event.message_id),)
    assert late.event.turn_id == posted.event.turn_id
    assert late.metadata.causation_id == str(posted.event_id)
    assert late.event.judgement.cost_microusd == COST


async def test_a_judgement_that_comes_while_the_reply_is_being_recorded_is_not_lost(
    fake: FakeAnthropic, hasty_talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reply waits for it no more, and is not on disk yet."""
    judged = judging_seen(monkeypatch)
    execute = DialogueRepository.execute

    async def slow(
        self: DialogueRepository, key: Any, command: Any, *more: Any, **known: Any
    ) -> Any:
        if isinstance(command, RecordReply):
            await fake.wait_until(lambda: fake.stalled_judgements == 1)
            fake.release()
            await judged.wait()
        return await execute(self, key, command, *more, **known)

    monkeypatch.setattr(DialogueRepository, "execute", slow)
    fake.script_judgements(Stall(after=1, speech=covering((1, NUMBER_OF_SAID))))
    await hasty_talk.say()
    await eventually(lambda: has_covered(hasty_talk, [1]))


async def test_a_late_failure_of_the_judge_is_on_record_too(
    fake: FakeAnthropic, hasty_talk: Talk
) -> None:
    fake.script_judgements(Stall(after=1, speech=Speech(pieces=("No ", "idea"))), "refusal")
    await hasty_talk.say()
    await fake.wait_until(lambda: fake.stalled_judgements == 1)
    fake.release()
    await eventually(lambda: is_last(hasty_talk, "assessment_failed"))
    (failed,) = await hasty_talk.assessments()
    assert isinstance(failed, AssessmentFailed)
    outcomes = [attempt.outcome for attempt in failed.attempt_records]
    assert (failed.code, outcomes) == ("model_refused", ["model_invalid", "model_refused"])


async def test_a_late_judgement_may_come_in_the_middle_of_the_next_turn(
    fake: FakeAnthropic, hasty_talk: Talk
) -> None:
    """It disturbs nobody; what both judgements have found counts once."""
    fake.script_judgements(
        Stall(after=1, speech=covering((1, 3), (2, 3))),
        Stall(after=1, speech=covering((2, 5), (3, 5))),
    )
    first = await hasty_talk.say("The first")
    fake.script(Stall(after=1))
    saying = asyncio.create_task(hasty_talk.say("The second"))
    await fake.wait_until(lambda: (fake.stalled, fake.stalled_judgements) == (1, 2))
    fake.release()
    second = await saying
    await eventually(lambda: has_covered(hasty_talk, [1, 2, 3]))
    ids = {m["text"]: m["id"] for m in second["messages"]}
    assert first["messages"][2]["id"] == ids["The first"]
    covered = [entry for event in await hasty_talk.assessments() for entry in event.covered]  # type: ignore[union-attr]
    assert sorted(entry.objective for entry in covered) == [1, 2, 3]
    found = {entry.objective: entry.message_id for entry in covered}
    assert (found[1], found[3]) == (ids["The first"], ids["The second"])


@pytest.mark.parametrize("how", ["deleted", "superseded"])
async def test_a_judgement_of_a_conversation_that_is_over_is_not_recorded(
    how: str, service: Service, fake: FakeAnthropic, hasty_talk: Talk
) -> None:
    """Nor does it end up in the one after it."""
    fake.script_judgements(Stall(after=1, speech=covering((1, NUMBER_OF_SAID))))
    await hasty_talk.say()
    if how == "deleted":
        await service.call("DELETE", f"{CONVERSATIONS}/{hasty_talk.id}", user=hasty_talk.learner)
    newer = Talk(service, hasty_talk.learner, (await service.open(hasty_talk.learner))["id"])
    with capture_logs() as logged:
        fake.release()
        await eventually(lambda: "assessment_not_recorded" in [line["event"] for line in logged])
    assert await hasty_talk.assessments() == []
    assert await newer.covered() == []


async def test_a_turn_that_fails_covers_nothing_but_the_cost_of_judging_is_kept(
    fake: FakeAnthropic, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The judge was done before the model failed."""
    judged = judging_seen(monkeypatch)
    fake.script(Stall(after=1, speech=REFUSAL))
    fake.script_judgements(covering((1, NUMBER_OF_SAID)))
    saying = asyncio.create_task(talk.service.say(talk.id, SAID, talk.learner))
    await fake.wait_until(lambda: fake.stalled == 1)
    await judged.wait()
    fake.release()
    status, body = await saying
    assert (status, body["code"]) == (503, "model_refused")
    assert await talk.covered() == []
    *_, assessed, failed = [e.event for e in await talk.events()]
    assert isinstance(failed, ReplyFailed)
    assert isinstance(assessed, ObjectivesAssessed)
    assert (assessed.covered, assessed.judgement.cost_microusd) == ((), COST)
    fake.script_judgements(covering((1, NUMBER_OF_SAID)))
    assert covered_in(await talk.say()) == [1]


@pytest.mark.parametrize(
    ("stopped", "status", "ended"), [(True, 409, ReplyCancelled), (False, 503, ReplyFailed)]
)
async def test_a_judgement_under_way_ends_with_a_turn_that_gets_no_reply(
    stopped: bool,
    status: int,
    ended: type,
    service: Service,
    fake: FakeAnthropic,
    talk: Talk,
) -> None:
    """It would judge a message that is taken back; what had come of it is paid for."""
    asked, gone = len(fake.judgements), fake.disconnected_judgements
    fake.script(Stall(after=1, speech=REFUSAL))
    fake.script_judgements(Speech(first_delay=60.0))
    saying = asyncio.create_task(service.say(talk.id, SAID, talk.learner))
    await fake.wait_until(lambda: fake.stalled == 1 and len(fake.judgements) == asked + 1)
    posted = (await talk.events())[-1].event
    assert isinstance(posted, MessagePosted)
    if stopped:
        path = turn_path(talk.id, posted.turn_id, "cancel")
        assert (await service.call("POST", path, user=talk.learner))[0] == 200
    fake.release()
    assert (await saying)[0] == status
    await fake.wait_until(lambda: fake.disconnected_judgements == gone + 1)
    *_, assessed, last = [e.event for e in await talk.events()]
    assert isinstance(last, ended)
    assert isinstance(assessed, AssessmentFailed)
    assert (assessed.code, assessed.cost_microusd) == ("cancelled", BEGUN_COST)
    assert [attempt.outcome for attempt in assessed.attempt_records] == ["cancelled"]
    assert await talk.covered() == []


async def test_the_practice_tutor_covers_an_objective_by_three_answers(service: Service) -> None:
    """A question back is no answer. Its judgements cost nothing and name their rule."""
    async with running_service(service.database_url) as practice:
        learner = await practice.enroll()
        talk = Talk(practice, learner, (await practice.open(learner))["id"])
        progress = []
        for number in range(1, 10):
            text = "What do you mean?" if number == 5 else f"This is answer {number}"
            progress.append(covered_in(await talk.say(text)))
        assert progress == [[], [], [1], [1], [1], [1], [1], [1], [1, 3]]
        assert await talk.covered() == [1, 3]
        shown = (await talk.active())["messages"]
        evidence = [entry for event in await talk.assessments() for entry in event.covered]  # type: ignore[union-attr]
        assert evidence == [CoveredObjective(n, shown[2 * 3 * n]["id"]) for n in (1, 3)]
        judgement = (await talk.assessed()).judgement
    assert judgement.model == PRACTICE_TUTOR
    assert judgement.prompt.name == "practice_tutor_rule.v1"
    assert (judgement.usage, judgement.cost_microusd) == (Usage(), 0)


async def test_the_log_of_all_these_tests_is_lawful(service: Service) -> None:
    await service.open(await service.enroll())
    assert_lawful(await service.history())


def judging_seen(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when an answer of the judge has been read."""
    judged = asyncio.Event()

    def read(*arguments: Any) -> Assessment:
        judged.set()
        return read_assessment(*arguments)

    monkeypatch.setattr("service.turns.tutor.read_assessment", read)
    return judged


async def has_covered(talk: Talk, objectives: list[int]) -> bool:
    return await talk.covered() == objectives


async def is_last(talk: Talk, kind: str) -> bool:
    return types_of(await talk.events())[-1] == kind
