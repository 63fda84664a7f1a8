"""A reply that is stopped: by whom, from where, and what is left of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from eventstore.dialogue_events import (
    AssessmentFailed,
    MessagePosted,
    ObjectivesAssessed,
    OpeningFailed,
    OpeningRequested,
    ReplyCancelled,
)
from eventstore.envelope import Actor, RecordedEvent
from eventstore.reply_records import AttemptRecord, Usage
from service.model.client import ModelClient
from service.timing import Timing
from tests.databases import cloned_database
from tests.fake_anthropic import FakeAnthropic, Speech, Stall, covering
from tests.running import (
    CONVERSATIONS,
    TEACHER,
    Service,
    client,
    running_beside,
    running_service,
    service_process,
)
from tests.service.histories import assert_lawful, types_of
from tests.service.kept_messages import assert_kept
from tests.service.reading_streams import (
    Talk,
    bytes_of,
    pieces_of,
    provider_stalls,
    stream_of,
    talk_of,
    turn_path,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

PIECES = ("What do you ", "already know ", "about it?")
SAID = "".join(PIECES[:2])
HALF_SAID = Stall(after=2, speech=Speech(pieces=PIECES))
MODEL = "claude-haiku-5-5"
NOT_FOUND = {"error": "Resource Not Found"}
STOPPED = {"error": "the reply was stopped", "code": "turn_cancelled", "retryable": True}
WHY = "Why?"
COMPLETED = (200, {"message": "Conversation completed successfully"})
either = pytest.mark.parametrize("opening", [False, True], ids=["message", "opening"])
everywhere = pytest.mark.parametrize("far", [False, True], ids=["here", "another process"])


PATIENT = Timing(assessment=60.0, stop=60.0)
"""Owners are waited for, however long it takes them to hear of a stop."""

HASTY = Timing(assessment=60.0, stop=0.1, owner_check=0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(fake: FakeAnthropic, server_url: str) -> AsyncIterator[Service]:
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url, PATIENT, anthropic_base_url=fake.url) as running,
    ):
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other(service: Service, fake: FakeAnthropic) -> AsyncIterator[Service]:
    async with running_beside(service, PATIENT, anthropic_base_url=fake.url) as running:
        yield running


class Turn:
    """A turn under way, and whoever waits for it."""

    def __init__(self, talk: Talk, asked: RecordedEvent, waiter: "asyncio.Task[Any]") -> None:
        assert isinstance(asked.event, OpeningRequested | MessagePosted)
        self.talk = talk
        self.asked = asked
        self.id = asked.event.turn_id
        self.path = turn_path(asked.event.conversation_id, self.id, "cancel")
        self.waiter = waiter

    async def cancel(self, service: Service | None = None, **options: Any) -> tuple[int, Any]:
        """Status and body of the request to stop it, as its learner if nobody else is named."""
        user = options.pop("user", self.talk.learner)
        return await (service or self.talk.service).call("POST", self.path, user=user, **options)

    @property
    def error(self) -> Any:
        """What its asker is told when it was stopped."""
        asked = self.asked.event
        kept = {"turn_id": self.id, "message_id": getattr(asked, "message_id", None)}
        reference = {"reference_id": self.asked.metadata.request_id}
        return STOPPED | reference | ({} if self.talk.opening else kept)

    async def assert_waiter_told(self) -> None:
        """Who waited gets the error, as a status or as the last event after what was said."""
        told = await self.waiter
        if isinstance(told, tuple):
            assert told == (409, self.error)
        else:
            assert [e.name for e in told] == ["accepted", "delta", "delta", "error"]
            assert "".join(pieces_of(told)) == SAID
            assert told[-1].data == self.error

    def assert_stopped(self, answer: tuple[int, Any], partial: str = SAID) -> None:
        """The answer of a stop: the conversation with the message, and what was seen of a reply."""
        status, body = answer
        assert status == 200
        if self.talk.opening:
            assert body == self.talk.conversation
        else:
            assert_kept(self.talk.conversation, body, WHY, partial=partial)

    async def end(self) -> RecordedEvent:
        """The one event that ended it."""
        events = await self.talk.events(self.asked.position)
        (end,) = [e for e in events if e.metadata.causation_id == str(self.asked.event_id)]
        return end


@asynccontextmanager
async def under_way(
    talk: Talk, fake: FakeAnthropic, behaviour: Stall = HALF_SAID, *, streaming: bool = False
) -> AsyncIterator[Turn]:
    """A turn in which the provider stalls."""
    known = await talk.service.head()
    stalled = fake.stalled
    waiting: Awaitable[Any] = (
        talk.read() if streaming else talk.service.call(*talk.question, **talk.options)
    )
    waiter = asyncio.ensure_future(waiting)
    try:
        with provider_stalls(fake, behaviour):
            await fake.wait_until(lambda: fake.stalled == stalled + 1)
            yield Turn(talk, (await talk.events(known))[0], waiter)
    finally:
        await asyncio.gather(waiter, return_exceptions=True)


async def assert_goes_on(talk: Talk, fake: FakeAnthropic, partial: str = SAID) -> None:
    """The next message works, and the model hears what the learner sees."""
    conversation = await talk.service.active(talk.learner)
    status, body = await talk.service.say(conversation["id"], "Another question", talk.learner)
    assert status == 200
    asked = fake.requests[-1].body["messages"]
    if talk.opening:
        assert [m["role"] for m in asked] == ["user", "assistant", "user"]
        assert asked[-1]["content"] == "Another question"
    elif partial:
        assert [m["content"] for m in asked[2:]] == [WHY, partial, "Another question"]
        assert body["messages"][: len(conversation["messages"])] == conversation["messages"]
    else:
        assert [m["content"] for m in asked[2:]] == [f"{WHY}\n\nAnother question"]
        assert "state" not in body["messages"][2], "the reply answers both"


def assert_record_of_what_was_said(event: ReplyCancelled | OpeningFailed) -> None:
    """What has been paid for until then is known."""
    usage = Usage(input_tokens=12, output_tokens=1, cache_read_input_tokens=2048)
    (attempt,) = event.attempt_records
    assert attempt.duration_ms is not None
    assert (event.provider_request_id or "").startswith("req_fake_")
    assert attempt == AttemptRecord(
        model=MODEL,
        outcome="cancelled",
        usage=usage,
        cost_microusd=22,
        provider_request_id=event.provider_request_id,
        duration_ms=attempt.duration_ms,
    )
    assert (event.model, event.usage, event.cost_microusd) == (MODEL, usage, 22)
    assert event.price_version == "2026-11-22"
    assert event.duration_ms is not None


@everywhere
@pytest.mark.parametrize("streaming", [False, True], ids=["plain", "streaming"])
@either
async def test_a_reply_is_stopped_at_once_and_what_was_said_stays_on_record(
    opening: bool, streaming: bool, far: bool, service: Service, other: Service, fake: FakeAnthropic
) -> None:
    """The provider's connection is closed, who waits is told, and the conversation goes on."""
    talk = await talk_of(service, opening)
    left = fake.disconnects
    async with under_way(talk, fake, streaming=streaming) as turn:
        headers = {"X-Request-Id": str(uuid4())}
        answer = await turn.cancel(other if far else service, headers=headers)
        await fake.wait_until(lambda: fake.disconnects == left + 1)
        turn.assert_stopped(answer)
        await turn.assert_waiter_told()
    end = await turn.end()
    assert end.content == SAID
    assert end.metadata.actor == Actor(talk.learner, "learner")
    assert end.metadata.request_id == headers["X-Request-Id"]
    assert end.metadata.correlation_id == turn.id
    assert end.metadata.token_id is not None
    assert isinstance(end.event, ReplyCancelled | OpeningFailed)
    if isinstance(end.event, OpeningFailed):
        assert (end.event.code, end.event.detail) == ("cancelled", "requested")
        assert end.event.retryable
    else:
        assert end.event.reason == "requested"
    assert isinstance(end.event, OpeningFailed) == opening
    assert_record_of_what_was_said(end.event)
    await assert_goes_on(talk, fake)


@everywhere
async def test_a_first_opening_that_is_stopped_leaves_no_conversation(
    far: bool, service: Service, other: Service, fake: FakeAnthropic
) -> None:
    talk = Talk(service, await service.enroll(), {}, True)
    async with under_way(talk, fake) as turn:
        assert await turn.cancel(other if far else service) == (200, {})
        await turn.assert_waiter_told()
    assert await service.active(talk.learner) == {}
    await service.open(talk.learner)


@everywhere
async def test_a_model_that_has_said_nothing_yet_is_stopped_too(
    far: bool, service: Service, other: Service, fake: FakeAnthropic
) -> None:
    """Nothing arrived, so nothing is kept or paid for."""
    talk = await talk_of(service)
    left = fake.disconnects
    async with under_way(talk, fake, Stall()) as turn:
        turn.assert_stopped(await turn.cancel(other if far else service), partial="")
        await fake.wait_until(lambda: fake.disconnects == left + 1)
    end = await turn.end()
    assert isinstance(end.event, ReplyCancelled)
    assert (end.content, end.event.usage, end.event.cost_microusd) == (None, None, 0)
    assert (end.event.kept, end.event.partial_message_id) == (True, None)
    assert [r.outcome for r in end.event.attempt_records] == ["cancelled"]
    await assert_goes_on(talk, fake, partial="")


async def test_a_reply_is_stopped_in_the_pause_before_it_is_asked_for_again(
    service: Service, fake: FakeAnthropic, monkeypatch: pytest.MonkeyPatch
) -> None:
    resting = asyncio.Event()

    async def rest(_seconds: float) -> None:
        resting.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("service.app.ModelClient", partial(ModelClient, sleep=rest))
    async with running_service(service.database_url, anthropic_base_url=fake.url) as patient:
        talk = await talk_of(patient)
        fake.script("overloaded_529")
        waiter = asyncio.create_task(talk.read())
        await asyncio.wait_for(resting.wait(), 20)
        turn = Turn(talk, (await talk.events())[-1], waiter)
        turn.assert_stopped(await turn.cancel(), partial="")
        assert [e.name for e in await waiter] == ["accepted", "error"]
        end = (await turn.end()).event
    assert isinstance(end, ReplyCancelled)
    assert [(r.outcome, r.usage) for r in end.attempt_records] == [("model_overloaded", None)]


async def test_stopping_a_reply_ends_the_judging_beside_it(
    service: Service, fake: FakeAnthropic
) -> None:
    """In the same append: the reply that nobody waits for does not wait for the judge."""
    talk = await talk_of(service)
    fake.script_judgements(HALF_SAID)
    left = fake.disconnected_judgements
    async with under_way(talk, fake) as turn:
        await fake.wait_until(lambda: fake.stalled_judgements == 1)
        assert (await turn.cancel())[0] == 200
        await fake.wait_until(lambda: fake.disconnected_judgements == left + 1)
    _, judging, end = await service.history(turn.asked.position - 1)
    assert isinstance(judging.event, AssessmentFailed)
    assert judging.event.code == "cancelled"
    assert judging.recorded_at == end.recorded_at
    assert judging.metadata.actor == Actor(None, "model"), "nobody but a model judges"
    assert judging.metadata.token_id is None


async def test_a_message_whose_reply_is_stopped_covers_no_objective(
    service: Service, fake: FakeAnthropic
) -> None:
    """Though the judge has found so already, which stays on record with its cost."""
    talk = await talk_of(service)
    fake.script_judgements(covering((1, 3)))
    judged = len(fake.judgements)
    async with under_way(talk, fake) as turn:
        await fake.wait_until(lambda: len(fake.judgements) == judged + 1)
        status, body = await turn.cancel()
    assert (status, body["progress"]["current"]) == (200, 0)
    log = await service.history(turn.asked.position)
    assessed = [e.event for e in log if isinstance(e.event, ObjectivesAssessed)]
    assert [event.covered for event in assessed] in ([()], [])
    assert (await service.active(talk.learner))["progress"]["current"] == 0


@either
async def test_stopping_twice_is_answered_like_the_first_time(
    opening: bool, service: Service, other: Service, fake: FakeAnthropic
) -> None:
    """Also long after, when the conversation has gone on, and by any process."""
    talk = await talk_of(service, opening)
    async with under_way(talk, fake) as turn:
        first = await turn.cancel()
        head = await service.head()
        assert first == await turn.cancel() == await turn.cancel(other)
    turn.assert_stopped(first)
    await service.say(talk.conversation["id"], "Another question", talk.learner)
    assert await turn.cancel() == await turn.cancel(other) == first
    assert types_of(await service.history(head))[0] == "message_posted"
    assert (
        len([e for e in await talk.events() if e.metadata.causation_id == str(turn.asked.event_id)])
        == 1
    )


async def test_many_who_stop_a_reply_at_once_stop_it_once(
    service: Service, other: Service, fake: FakeAnthropic
) -> None:
    talk = await talk_of(service)
    async with under_way(talk, fake) as turn:
        answers = await asyncio.gather(
            *(
                turn.cancel((service, other)[n % 2], user=(talk.learner, TEACHER)[n % 3 == 0])
                for n in range(12)
            )
        )
    turn.assert_stopped(answers[0])
    assert answers == answers[:1] * 12
    assert isinstance((await turn.end()).event, ReplyCancelled)


async def test_a_stop_that_races_with_the_end_is_done_or_is_too_late(
    service: Service, other: Service, fake: FakeAnthropic
) -> None:
    """Whatever the answer says is what the log says and what the other one is told."""
    talk = await talk_of(service)
    for round_ in range(6):
        before = await service.active(talk.learner)
        async with under_way(talk, fake) as turn:
            stopping = asyncio.create_task(turn.cancel((service, other)[round_ % 2]))
            await asyncio.sleep(round_ * 0.002)  # sometimes one is faster, sometimes the other
            fake.release()
            status, body = await stopping
            told, shown = await turn.waiter
        ended = types_of([await turn.end()])
        active = await service.active(talk.learner)
        if status == 200:
            assert (told, shown["code"], ended) == (409, "turn_cancelled", ["reply_cancelled"])
            assert body == active
            assert_kept(before, active, WHY, partial=SAID)
        else:
            assert (status, body["code"]) == (409, "turn_is_over")
            assert (told, shown, ended) == (200, active, ["reply_completed"])


@pytest.mark.parametrize("behaviour", ["good", "spending_cap_429"])
@either
async def test_it_is_too_late_to_stop_a_turn_that_has_ended_otherwise(
    opening: bool, behaviour: str, service: Service, other: Service, fake: FakeAnthropic
) -> None:
    """In a good end or a bad one; nothing is recorded."""
    talk = await talk_of(service, opening)
    fake.script(behaviour)
    known = await service.head()
    await service.call(*talk.question, **talk.options)
    turn = Turn(talk, (await talk.events(known))[0], asyncio.create_task(asyncio.sleep(0)))
    head = await service.head()
    for process in (service, other):
        status, body = await turn.cancel(process)
        assert (status, body["code"], body["retryable"]) == (409, "turn_is_over", False)
    assert await service.head() == head


@everywhere
@either
async def test_a_manager_may_stop_a_reply(
    opening: bool, far: bool, service: Service, other: Service, fake: FakeAnthropic
) -> None:
    """And is who the log names."""
    talk = await talk_of(service, opening)
    async with under_way(talk, fake) as turn:
        answer = await turn.cancel(other if far else service, user=TEACHER)
        turn.assert_stopped(answer)
        await turn.assert_waiter_told()
    assert (await turn.end()).metadata.actor == Actor(TEACHER, "teacher")


@either
async def test_nobody_else_can_stop_a_reply_or_see_that_there_is_one(
    opening: bool, service: Service, fake: FakeAnthropic
) -> None:
    """Nor does a path that is not the turn's."""
    talk = await talk_of(service, opening)
    async with under_way(talk, fake) as turn:
        for stranger in (await service.enroll("learner"), await service.enroll("observer")):
            await service.refused(404, NOT_FOUND, "POST", turn.path, user=stranger)
        for path in (
            turn.path.replace(turn.id, str(uuid4())),
            turn.path.replace(turn.id, "turn"),
            turn.path.replace("ai_experiences/1", "ai_experiences/2"),
            turn_path(10**6, turn.id, "cancel"),
        ):
            await service.refused(404, NOT_FOUND, "POST", path, user=TEACHER)
        fake.release()
        assert (await turn.waiter)[0] == (201 if opening else 200)


@everywhere
async def test_readers_everywhere_are_told_that_the_reply_was_stopped(
    far: bool, service: Service, other: Service, fake: FakeAnthropic
) -> None:
    """And so is who takes up the stream after it."""
    talk = await talk_of(service)
    with provider_stalls(fake, HALF_SAID):
        async with talk.ask() as (_, near):
            accepted, *_ = [await near.next() for _ in range(3)]
            async with talk.at(other).take_up(accepted) as (_, distant):
                await distant.next()
                path = stream_of(accepted).replace("/stream", "/cancel")
                stopping = other if far else service
                assert (await stopping.call("POST", path, user=talk.learner))[0] == 200
                told, far_told = await near.rest(), await distant.rest()
    assert [e.name for e in told] == ["accepted", "delta", "delta", "error"]
    assert told[-1].data["code"] == "turn_cancelled"
    assert [(e.name, e.data) for e in far_told] == [
        ("accepted", accepted.data),
        ("error", told[-1].data),
    ]
    async with talk.take_up(accepted, 2) as (_, again):
        assert bytes_of(await again.rest()) == bytes_of(told[2:])


def keyed(key: str) -> dict[str, Any]:
    return {"headers": {"Idempotency-Key": key}}


@everywhere
@either
async def test_a_stop_that_is_repeated_by_its_key_is_answered_again(
    opening: bool, far: bool, service: Service, other: Service, fake: FakeAnthropic
) -> None:
    """Also while the first is under way, and by another process than the first time."""
    talk = await talk_of(service, opening)
    first, second = (other, service) if far else (service, other)
    async with under_way(talk, fake) as turn:
        answers = await asyncio.gather(*(turn.cancel(first, **keyed("stop")) for _ in range(3)))
        await turn.assert_waiter_told()
    answers += [await turn.cancel(process, **keyed("stop")) for process in (first, second)]
    turn.assert_stopped(answers[0])
    assert answers == answers[:1] * 5
    assert str((await turn.end()).metadata.idempotency_key).startswith("hmac-sha256 ")


@everywhere
async def test_the_key_of_another_request_stops_nothing(
    far: bool, service: Service, other: Service, fake: FakeAnthropic
) -> None:
    """Neither that of another stop nor that of a message."""
    talk = await talk_of(service)
    async with under_way(talk, fake) as stopped:
        assert (await stopped.cancel(**keyed("of-a-stop")))[0] == 200
    talk.options |= keyed("of-a-message")
    async with under_way(talk, fake) as turn:
        reused = {"error": "this Idempotency-Key was used for another request"}
        process = other if far else service
        for key in ("of-a-stop", "of-a-message"):
            await process.refused(422, reused, "POST", turn.path, user=talk.learner, **keyed(key))
        fake.release()
        assert (await turn.waiter)[0] == 200


@pytest.mark.parametrize("streaming", [False, True], ids=["plain", "streaming"])
@either
async def test_a_question_that_is_repeated_by_its_key_is_told_that_its_reply_was_stopped(
    opening: bool, streaming: bool, service: Service, other: Service, fake: FakeAnthropic
) -> None:
    """With the reference of the first time; the model is not asked again."""
    talk = await talk_of(service, opening)
    talk.options |= keyed("question")
    asked = len(fake.requests) + 1
    async with under_way(talk, fake, streaming=streaming) as turn:
        again = asyncio.create_task(service.call(*talk.question, **talk.options))
        await turn.cancel()
        await turn.assert_waiter_told()
        told = (409, turn.error)
        assert await again == told
    for process in (service, other):
        assert await process.call(*talk.question, **talk.options) == told
    assert len(fake.requests) == asked


@pytest.mark.parametrize(
    ("by_teacher", "streaming", "far"),
    [(False, False, False), (False, True, True), (True, True, False), (True, False, True)],
    ids=["by its learner", "from afar", "by a teacher", "by a teacher from afar"],
)
async def test_completing_a_conversation_stops_the_reply_and_keeps_what_was_said(
    by_teacher: bool,
    streaming: bool,
    far: bool,
    service: Service,
    other: Service,
    fake: FakeAnthropic,
) -> None:
    """The provider's connection is closed at once here too; a new conversation can begin."""
    talk = await talk_of(service)
    left = fake.disconnects
    user = TEACHER if by_teacher else talk.learner
    async with under_way(talk, fake, streaming=streaming) as turn:
        path = f"{CONVERSATIONS}/{talk.conversation['id']}"
        assert await (other if far else service).call("DELETE", path, user=user) == COMPLETED
        await fake.wait_until(lambda: fake.disconnects == left + 1)
        await turn.assert_waiter_told()
    _, end, completed = await talk.events(turn.asked.position - 1)
    assert isinstance(end.event, ReplyCancelled)
    assert (end.event.reason, end.content) == ("conversation_completed", SAID)
    assert_record_of_what_was_said(end.event)
    assert types_of([completed]) == ["conversation_completed"]
    assert end.metadata.actor == completed.metadata.actor
    assert end.metadata.actor.id == user
    assert await service.active(talk.learner) == {}
    await service.open(talk.learner)


async def test_completing_an_old_conversation_does_not_stop_the_opening_of_a_new_one(
    service: Service, fake: FakeAnthropic
) -> None:
    talk = await talk_of(service, opening=True)
    async with under_way(talk, fake) as turn:
        path = f"{CONVERSATIONS}/{talk.conversation['id']}"
        assert await service.call("DELETE", path, user=talk.learner) == COMPLETED
        fake.release()
        status, body = await turn.waiter
    assert (status, body) == (201, await service.active(talk.learner))


async def test_completing_a_conversation_in_mid_turn_works_with_a_key_too(
    service: Service, fake: FakeAnthropic
) -> None:
    """Some clients send one with everything."""
    talk = await talk_of(service)
    async with under_way(talk, fake) as turn:
        path = f"{CONVERSATIONS}/{talk.conversation['id']}"
        deleted = await service.call("DELETE", path, user=talk.learner, **keyed("delete"))
        await turn.assert_waiter_told()
    assert deleted == COMPLETED
    assert await service.active(talk.learner) == {}


async def test_an_owner_that_does_not_hear_is_passed_over(
    service: Service, fake: FakeAnthropic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stop gets lost; what the model says after it is nobody's."""
    monkeypatch.setattr("eventstore.notifier.Notifier.send", lambda *_: None)
    talk = await talk_of(service)
    async with (
        running_beside(service, HASTY, anthropic_base_url=fake.url) as other,
        under_way(talk, fake) as turn,
    ):
        stopped = await turn.cancel(other)
        turn.assert_stopped(stopped, partial="")
        assert await service.active(talk.learner) == stopped[1]
        assert not turn.waiter.done()
        fake.release()
        assert await turn.waiter == (409, turn.error)
    kinds = types_of(await talk.events(turn.asked.position))
    assert kinds == ["reply_cancelled"]
    await assert_goes_on(talk, fake, partial="")


async def test_the_turn_of_a_process_that_was_killed_ends_soon(
    service: Service, fake: FakeAnthropic
) -> None:
    """By whoever is faster, the stop or the closing of what was abandoned."""
    learner = await service.enroll()
    environment = {"DATABASE_URL": service.database_url, "ANTHROPIC_BASE_URL": fake.url}
    async with (
        service_process(environment) as doomed,
        client(doomed.url, service.tokens, service.database_url) as before,
        running_beside(service, HASTY, anthropic_base_url=fake.url) as hasty,
    ):
        talk = Talk(before, learner, await service.open(learner), opening=False)
        async with under_way(talk, fake) as turn:
            await doomed.kill()
            with pytest.raises(aiohttp.ClientError):
                await turn.waiter
            status, body = await turn.cancel(hasty)
    (end,) = await talk.at(service).events(turn.asked.position)
    if status == 200:
        turn.assert_stopped((status, body), partial="")
        assert types_of([end]) == ["reply_cancelled"]
    else:
        assert (status, body["code"], types_of([end])) == (409, "turn_is_over", ["reply_failed"])
    await assert_goes_on(talk.at(service), fake, partial="")


async def test_the_log_of_all_these_tests_is_lawful(service: Service) -> None:
    assert_lawful(await service.history())
