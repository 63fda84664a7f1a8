"""Requests to the provider: cache marks, judgements, and constant parts."""

import json
import re
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import aiohttp
import msgspec
import pytest

from eventstore.reply_records import Usage
from service.model.anthropic_provider import AnthropicModel
from service.model.errors import ModelFailure
from service.model.interface import (
    AssessmentRequest,
    ChatMessage,
    EvaluationRequest,
    ReplyRequest,
    Request,
    Scenario,
)
from service.model.judgements import (
    ASSESSMENT_SCHEMA,
    EVALUATION_SCHEMA,
    Assessment,
    Covered,
    read_assessment,
    read_evaluation,
)
from service.model.prompt_templates import AssessorPrompt, EvaluatorPrompt, TutorPrompt
from service.model.response import StreamedResponse
from tests.fake_anthropic import FakeAnthropic, Speech, Stall, covering, evaluation_speech
from tests.service.model.scripted import LoopTime

HAIKU = "claude-haiku-5-5"
MARKED = {"cache_control": {"type": "ephemeral"}}
SCENARIO = Scenario("Seasons", "An observatory", "Axial tilt", ("Winter", "Compare", "Sum"), "")


def conversation(turns: int) -> tuple[ChatMessage, ...]:
    """The messages of a request, which end with the learner's newest."""
    texts = ["Let us begin"]
    for turn in range(1, turns + 1):
        texts += [f"What about {turn}?", f"I think “{turn}”\n\\ {{é}} 雪"]
    return tuple(
        ChatMessage("assistant" if place % 2 else "user", text) for place, text in enumerate(texts)
    )


def reply_at(turns: int) -> ReplyRequest:
    return ReplyRequest(scenario=SCENARIO, messages=conversation(turns), max_tokens=300)


def assessment_at(turns: int, open_objectives: tuple[int, ...] = (1, 3)) -> AssessmentRequest:
    return AssessmentRequest(
        scenario=SCENARIO,
        messages=conversation(turns),
        open_objectives=open_objectives,
        max_tokens=300,
    )


def evaluation_at(turns: int) -> EvaluationRequest:
    return EvaluationRequest(scenario=SCENARIO, messages=conversation(turns), max_tokens=3000)


@pytest.fixture
async def fake() -> AsyncIterator[FakeAnthropic]:
    async with FakeAnthropic() as server:
        yield server


@pytest.fixture
async def model(fake: FakeAnthropic) -> AsyncIterator[AnthropicModel]:
    provider = AnthropicModel("sk-secret", fake.url, 10.0, max_connections=10)
    await provider.warm_up()
    yield provider
    await provider.close()


async def answer(model: AnthropicModel, request: Request) -> StreamedResponse:
    response = StreamedResponse(HAIKU)
    await model.answer(request, response, 20.0)
    return response


def as_sent(value: object) -> str:
    """The JSON of a part of a request, in the order of its keys."""
    return json.dumps(value)


def without_mark(block: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in block.items() if name != "cache_control"}


async def test_a_replys_instructions_and_earlier_messages_are_the_same_bytes_at_every_turn(
    fake: FakeAnthropic, model: AnthropicModel
) -> None:
    for turns in range(6):
        await answer(model, reply_at(turns))
    bodies = [received.body for received in fake.requests]
    for before, after in pairwise(bodies):
        known = before["messages"]
        assert as_sent(after["system"]) == as_sent(before["system"])
        assert as_sent(after["messages"][: len(known)]) == as_sent(known)
        assert len(after["messages"]) == len(known) + 2
        assert set(before) == set(after)


async def test_a_reply_marks_its_instructions_and_the_last_block_for_the_cache(
    fake: FakeAnthropic, model: AnthropicModel
) -> None:
    await answer(model, reply_at(2))
    body = fake.requests[0].body
    assert [{"type": "text", "text": TutorPrompt().render(SCENARIO)} | MARKED] == body["system"]
    assert body["cache_control"] == MARKED["cache_control"]
    assert "output_config" not in body


async def test_all_learners_of_an_experience_share_the_instructions_of_each_kind(
    fake: FakeAnthropic, model: AnthropicModel
) -> None:
    for turns in (1, 4):
        await answer(model, reply_at(turns))
        await answer(model, assessment_at(turns, (turns,)))
    for received in (fake.requests, fake.judgements):
        assert len({as_sent(one.body["system"]) for one in received}) == 1
    assert fake.requests[0].body["system"] != fake.judgements[0].body["system"]


async def test_the_provider_receives_an_assessment_as_one_message_of_blocks(
    fake: FakeAnthropic, model: AnthropicModel
) -> None:
    request = assessment_at(1)
    await answer(model, request)
    body = fake.judgements[0].body
    *earlier, newest = AssessorPrompt().transcript(request)
    assert body == {
        "model": HAIKU,
        "max_tokens": 300,
        "stream": True,
        "system": [{"type": "text", "text": AssessorPrompt().render(SCENARIO)} | MARKED],
        "messages": [
            {
                "role": "user",
                "content": [
                    *({"type": "text", "text": text} for text in earlier),
                    {"type": "text", "text": newest} | MARKED,
                    {"type": "text", "text": AssessorPrompt().question(request)},
                ],
            }
        ],
        "output_config": {"format": {"type": "json_schema", "schema": ASSESSMENT_SCHEMA}},
    }
    assert fake.requests == []


async def test_an_assessments_transcript_is_the_same_bytes_at_every_turn(
    fake: FakeAnthropic, model: AnthropicModel
) -> None:
    for turns in range(1, 6):
        await answer(model, assessment_at(turns, tuple(range(1, 1 + turns % 3))))
    contents = [received.body["messages"][0]["content"] for received in fake.judgements]
    for before, after in pairwise(contents):
        known = [without_mark(block) for block in before[:-1]]
        assert as_sent([without_mark(block) for block in after[: len(known)]]) == as_sent(known)
        assert [MARKED.items() <= block.items() for block in after] == [
            *(False for _ in after[:-2]),
            True,
            False,
        ]


async def test_the_open_objectives_stand_in_the_last_block_and_nowhere_else(
    fake: FakeAnthropic, model: AnthropicModel
) -> None:
    for open_objectives in ((1, 2, 3), (2,)):
        await answer(model, assessment_at(2, open_objectives))
    first, second = (received.body for received in fake.judgements)
    assert "Open objectives: 1, 2, 3." in first["messages"][0]["content"].pop()["text"]
    assert "Open objectives: 2." in second["messages"][0]["content"].pop()["text"]
    assert as_sent(first) == as_sent(second)


async def test_the_provider_receives_an_evaluation_with_the_numbers_that_clients_count(
    fake: FakeAnthropic, model: AnthropicModel
) -> None:
    await answer(model, evaluation_at(2))
    body = fake.judgements[0].body
    *transcript, question = body["messages"][0]["content"]
    labels = [re.findall(r"^<message-\w+ (.*?)>\n", block["text"])[0] for block in transcript]
    assert labels == [
        'number="0" from="service"',
        'number="1" from="tutor"',
        'number="2" from="learner" turn="1"',
        'number="3" from="tutor"',
        'number="4" from="learner" turn="2"',
    ]
    assert MARKED.items() <= transcript[-1].items()
    assert "cache_control" not in question
    assert "cache_control" not in body
    assert body["system"][0]["text"] == EvaluatorPrompt().render(SCENARIO)
    assert body["output_config"]["format"]["schema"] == EVALUATION_SCHEMA


async def test_each_kind_of_request_has_its_prompt(model: AnthropicModel) -> None:
    assert model.prompt(reply_at(1)) == TutorPrompt().version
    assert model.prompt(assessment_at(1)) == AssessorPrompt().version
    assert model.prompt(evaluation_at(1)) == EvaluatorPrompt().version


async def test_an_assessment_comes_back_whole_with_what_it_cost(
    fake: FakeAnthropic, model: AnthropicModel
) -> None:
    fake.script_judgements(covering((3, 5), (1, 3)))
    request = assessment_at(2)
    reply = (await answer(model, request)).reply()
    covered = (Covered(objective=1, message=3), Covered(objective=3, message=5))
    assert read_assessment(reply.text, request) == Assessment(covered=covered)
    assert (reply.stop_reason, reply.usage) == ("end_turn", Usage(12, 7, 0, 2048))
    assert reply.provider_request_id == "req_judge_000001"


async def test_an_evaluation_comes_back_whole(fake: FakeAnthropic, model: AnthropicModel) -> None:
    fake.script_judgements(evaluation_speech(3, overall_score=55), "valid")
    request = evaluation_at(2)
    scores = []
    for _ in range(2):
        evaluation = read_evaluation((await answer(model, request)).text, request)
        assert [e.objective for e in evaluation.learning_objectives_evaluation] == [
            *SCENARIO.objectives
        ]
        scores.append(evaluation.overall_score)
    assert scores == [55, 80]


async def test_an_evaluation_of_an_exercise_without_objectives_is_valid_too(
    model: AnthropicModel,
) -> None:
    scenario = msgspec.structs.replace(SCENARIO, objectives=())
    request = EvaluationRequest(scenario=scenario, messages=conversation(1), max_tokens=300)
    evaluation = read_evaluation((await answer(model, request)).text, request)
    assert evaluation.learning_objectives_evaluation == ()


@pytest.mark.parametrize(
    "request_", [assessment_at(1), evaluation_at(1)], ids=["assess", "evaluate"]
)
@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        ("overloaded_529", "model_overloaded"),
        ("cut", "model_interrupted"),
        ("early_end", "model_interrupted"),
        ("sse_overloaded", "model_overloaded"),
        ("refusal", "model_refused"),
        ("empty_text", "model_empty"),
    ],
)
async def test_a_judgement_fails_as_a_reply_does(
    fake: FakeAnthropic, model: AnthropicModel, request_: Request, behaviour: str, code: str
) -> None:
    fake.script_judgements(behaviour)
    with pytest.raises(ModelFailure) as caught:
        await answer(model, request_)
    assert caught.value.code == code


async def test_an_answer_that_is_cut_at_its_token_limit_is_read_as_invalid(
    fake: FakeAnthropic, model: AnthropicModel
) -> None:
    fake.script_judgements(Speech(pieces=('{"covered": [{"obj',), stop_reason="max_tokens"))
    request = assessment_at(1)
    response = await answer(model, request)
    with pytest.raises(ModelFailure) as caught:
        read_assessment(response.text, request)
    assert (caught.value.code, caught.value.retryable) == ("model_invalid", True)


async def test_the_fakes_judgements_are_scripted_from_outside_too(
    fake: FakeAnthropic, model: AnthropicModel
) -> None:
    control = {"judgements": ["overloaded_529", "valid"], "judgement_default": "refusal"}
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{fake.url}/control", json=control) as response:
            assert (await response.json())["scripted_judgements"] == 2
        async with session.post(f"{fake.url}/control", json={"judgements": ["x"]}) as response:
            assert response.status == 400
        with pytest.raises(ModelFailure, match="model_overloaded"):
            await answer(model, assessment_at(1))
        assert (await answer(model, assessment_at(1))).text == '{"covered":[]}'
        with pytest.raises(ModelFailure, match="model_refused"):
            await answer(model, assessment_at(1))
        async with session.get(f"{fake.url}/control") as response:
            counts = await response.json()
    assert (counts["requests"], counts["judgements"]) == (0, 3)


async def test_a_stalled_judgement_times_out_and_is_not_counted_with_the_replies(
    fake: FakeAnthropic, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = AnthropicModel("sk-secret", fake.url, 0.4, max_connections=10)
    fake.judgement = Stall(after=1, speech=covering())
    time = LoopTime(monkeypatch)
    response = StreamedResponse(HAIKU, lambda _: time.spend(0.5))
    with pytest.raises(ModelFailure) as caught:
        await model.answer(assessment_at(1), response, 20.0)
    assert (caught.value.code, caught.value.partial_text) == ("model_timeout", '{"cover')
    await fake.wait_until(lambda: fake.disconnected_judgements == 1)
    assert (fake.stalled, fake.stalled_judgements, fake.disconnects) == (0, 0, 0)
    assert (await answer(model, reply_at(1))).text
    await model.close()
