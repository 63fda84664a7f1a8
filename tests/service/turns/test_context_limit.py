"""Long conversations: what the models are given of one, and what the log says about that."""

from collections.abc import AsyncIterator
from itertools import groupby, pairwise
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from eventstore.dialogue_events import (
    ConversationStarted,
    CoveredObjective,
    ObjectivesAssessed,
    ReplyCompleted,
)
from eventstore.evaluation_events import EvaluationRecorded
from eventstore.reply_records import ContextRecord
from service.model.context_window import STEP
from tests.databases import cloned_database
from tests.fake_anthropic import FakeAnthropic, Received, covering
from tests.running import CONVERSATIONS, LEARNER, TEACHER, Service, running_service
from tests.service.histories import assert_lawful

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = 5_000
TURNS = 36
REPLY = "What do you already know about it?"
LONG = " I have thought about it for as long as anybody can. " * 10


class Played(msgspec.Struct, frozen=True):
    """A long conversation: what the model and the judge got in each turn, and what was recorded."""

    id: int
    shown: list[dict[str, Any]]
    asked: list[list[dict[str, str]]]
    judged: list[Received]
    contexts: list[ContextRecord]
    judged_contexts: list[ContextRecord]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(fake: FakeAnthropic, server_url: str) -> AsyncIterator[Service]:
    """A service that sends little of a long conversation."""
    settings: dict[str, Any] = {"anthropic_base_url": fake.url, "max_context_tokens": LIMIT}
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url, **settings) as running,
    ):
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played(service: Service, fake: FakeAnthropic) -> Played:
    conversation = (await service.open())["id"]
    replies, judgements = len(fake.requests), len(fake.judgements)
    for number in range(TURNS):
        status, body = await service.say(conversation, f"Thought {number}.{LONG}")
        assert status == 200
    return Played(
        id=conversation,
        shown=body["messages"],
        asked=[received.body["messages"] for received in fake.requests[replies:]],
        judged=fake.judgements[judgements:],
        contexts=await contexts_of(service, ReplyCompleted),
        judged_contexts=await contexts_of(service, ObjectivesAssessed),
    )


async def contexts_of(
    service: Service, kind: type[ReplyCompleted | ObjectivesAssessed]
) -> list[ContextRecord]:
    records = []
    for event in (e.event for e in await service.history()):
        if isinstance(event, kind):
            record = event.reply if isinstance(event, ReplyCompleted) else event.judgement
            assert record.context is not None
            records.append(record.context)
    return records


def texts_judged(received: Received) -> list[str]:
    """The blocks of the conversation that a judge reads."""
    (message,) = received.body["messages"]
    return [block["text"] for block in message["content"][:-1]]


async def test_an_opening_is_asked_for_with_the_starting_prompt_alone(
    service: Service, played: Played
) -> None:
    (started,) = [
        e.event for e in await service.history() if isinstance(e.event, ConversationStarted)
    ]
    assert started.reply.context is not None
    assert started.reply.context.messages_sent == 1
    assert started.reply.context.messages_left_out == 0


async def test_the_model_is_given_both_ends_and_the_middle_is_left_out(played: Played) -> None:
    """All of it while it fits; always the starting prompt, the opening and the newest messages."""
    assert len(played.asked) == TURNS
    for turn, (sent, context) in enumerate(zip(played.asked, played.contexts, strict=True)):
        so_far = [message["text"] for message in played.shown[: 3 + 2 * turn]]
        left_out = context.messages_left_out
        assert [message["content"] for message in sent] == [*so_far[:2], *so_far[2 + left_out :]]
        roles = [message["role"] for message in sent]
        assert roles == (["user", "assistant"] * len(sent))[: len(sent)]
    assert played.contexts[0].messages_left_out == 0
    assert played.contexts[-1].messages_left_out > 0


async def test_the_log_says_how_much_was_sent(played: Played) -> None:
    """Of the reply and of the judgement, and both stay within the limit."""
    for sent, context in zip(played.asked, played.contexts, strict=True):
        assert context.messages_sent == len(sent)
        assert context.estimated_tokens <= LIMIT
    assert played.judged_contexts == played.contexts
    judged = [len(texts_judged(received)) for received in played.judged]
    assert judged == [context.messages_sent for context in played.judged_contexts]


async def test_what_is_sent_goes_on_where_the_turn_before_ended_but_for_a_few_steps(
    played: Played,
) -> None:
    """So the provider reads it from its cache; what is left out grows by whole steps."""
    steps = [context.messages_left_out for context in played.contexts]
    assert steps == sorted(steps)
    assert {step % (2 * STEP) for step in steps} == {0}
    runs = [(step, len(list(run))) for step, run in groupby(steps)]
    assert len(runs) >= 3
    assert all(length == STEP for _, length in runs[1:-1])
    for (earlier, before), (later, after) in pairwise(zip(played.asked, steps, strict=True)):
        if before == after:
            assert later[: len(earlier)] == earlier


async def test_the_learner_sees_all_of_it(service: Service, played: Played) -> None:
    assert len(played.shown) == 2 + 2 * TURNS
    said = [m["text"] for m in played.shown if m["role"] == "User"][1:]
    assert said == [f"Thought {number}.{LONG}" for number in range(TURNS)]


async def test_an_evaluation_is_given_all_of_it(
    service: Service, fake: FakeAnthropic, played: Played
) -> None:
    path = f"{CONVERSATIONS}/{played.id}/evaluation"
    status, _ = await service.call("POST", path, user=TEACHER)
    assert status == 200
    shown = (await service.active())["messages"]
    assert len(texts_judged(fake.judgements[-1])) == len(shown)
    (recorded,) = [
        e.event for e in await service.history() if isinstance(e.event, EvaluationRecorded)
    ]
    assert recorded.judgement.context is None


@pytest.mark.parametrize("from_the_end", [1, 3, 5], ids=["the newest", "before", "and before"])
async def test_evidence_is_the_right_message_though_others_were_left_out(
    from_the_end: int, service: Service, fake: FakeAnthropic, played: Played
) -> None:
    """The judge counts what it was given, the log names the message by its id."""
    objective = {1: 1, 3: 2, 5: 3}[from_the_end]

    def judge(received: Received) -> Any:
        return covering((objective, len(texts_judged(received)) + 1 - from_the_end))

    fake.script_judgements(judge)
    status, body = await service.say(played.id, f"Another thought {from_the_end}")
    assert status == 200
    shown = body["messages"][:-1]
    assert len(texts_judged(fake.judgements[-1])) < len(shown)
    evidence = shown[-from_the_end]
    assert f"\n{evidence['text']}\n" in texts_judged(fake.judgements[-1])[-from_the_end]
    assessed = [e.event for e in await service.history() if isinstance(e.event, ObjectivesAssessed)]
    assert assessed[-1].covered == (CoveredObjective(objective, evidence["id"]),)
    assert body["progress"]["objectives"][objective - 1]["status"] == "covered"


async def test_the_practice_tutor_is_always_given_all_of_it(
    service: Service, played: Played
) -> None:
    """It counts the learner's answers, and costs nothing."""
    settings: dict[str, Any] = {"max_context_tokens": LIMIT}
    async with running_service(service.database_url, **settings) as practice:
        before = len(played.shown)
        status, body = await practice.say(played.id, "And now to the practice tutor")
    assert status == 200
    assert len(body["messages"]) > before
    context = (await contexts_of(service, ReplyCompleted))[-1]
    assert (context.messages_sent, context.messages_left_out) == (len(body["messages"]) - 1, 0)
    assert context.estimated_tokens > LIMIT


async def test_the_log_of_all_these_tests_is_lawful(service: Service, played: Played) -> None:
    log = await service.history()
    assert {e.stream for e in log if e.stream.startswith("dialogue")} == {f"dialogue-1-{LEARNER}"}
    assert_lawful(log)
