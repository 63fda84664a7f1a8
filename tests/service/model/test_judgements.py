import json
from typing import Any

import msgspec
import pytest
from anthropic.lib._parse._transform import transform_schema
from hypothesis import given
from hypothesis import strategies as st

from service.model.errors import MODEL_INVALID, ModelFailure
from service.model.interface import AssessmentRequest, ChatMessage, EvaluationRequest, Scenario
from service.model.judgements import (
    ASSESSMENT_SCHEMA,
    EVALUATION_SCHEMA,
    Assessment,
    Covered,
    Evaluation,
    Schema,
    read_assessment,
    read_evaluation,
)

SCENARIO = Scenario("Seasons", "", "", ("Explain winter", "Compare", "Sum up"), "")
# 1 is the starting prompt, 2 the opening; 3, 5 and 7 are the learner's.
MESSAGES = tuple(
    ChatMessage("assistant" if place % 2 == 0 else "user", f"Text {place}") for place in range(1, 8)
)
ASSESSMENT = AssessmentRequest(
    scenario=SCENARIO, messages=MESSAGES, open_objectives=(1, 3), max_tokens=300
)
EVALUATION = EvaluationRequest(scenario=SCENARIO, messages=MESSAGES, max_tokens=3000)


def evaluation(**changes: object) -> dict[str, Any]:
    entry = {
        "objective": "in the model's words",
        "met": True,
        "score": 80,
        "explanation": "A reason.",
        "met_at_turn": 3,
    }
    moment = {"learning_objective": "Explain winter", "evidence": "“tilt”", "message_number": 6}
    return {
        "summary": "A summary.",
        "overall_assessment": "Sound.",
        "overall_score": 70,
        "learning_objectives_evaluation": [entry, entry, entry | {"met_at_turn": None}],
        "strengths": ["Reasons"],
        "areas_for_improvement": [],
        "key_moments": [moment],
    } | changes


def entries(**change: object) -> list[dict[str, Any]]:
    first, *others = evaluation()["learning_objectives_evaluation"]
    return [first | change, *others]


def moments(number: object) -> list[dict[str, Any]]:
    return [evaluation()["key_moments"][0] | {"message_number": number}]


def failure_of_evaluation(text: str) -> ModelFailure:
    with pytest.raises(ModelFailure) as caught:
        read_evaluation(text, EVALUATION)
    return caught.value


def assess(*pairs: tuple[int, int]) -> list[tuple[int, int]]:
    """The assessment that is read from these objectives and messages."""
    covered = [{"objective": objective, "message": message} for objective, message in pairs]
    assessment = read_assessment(json.dumps({"covered": covered}), ASSESSMENT)
    return [(entry.objective, entry.message) for entry in assessment.covered]


def test_an_assessment_names_objectives_and_the_messages_that_show_them() -> None:
    assert assess() == []
    assert assess((1, 3), (3, 7)) == [(1, 3), (3, 7)]
    assert assess((3, 5), (1, 5)) == [(1, 5), (3, 5)]


@pytest.mark.parametrize(
    "senseless",
    [(2, 3), (0, 3), (4, 3), (-1, 3), (1, 1), (1, 2), (1, 4), (1, 0), (1, -5), (1, 8), (1, 9)],
)
def test_only_invalid_entries_are_dropped(senseless: tuple[int, int]) -> None:
    assert assess(senseless, (3, 7)) == [(3, 7)]


def test_of_several_messages_for_an_objective_the_earliest_is_kept() -> None:
    assert assess((1, 7), (1, 3), (1, 5)) == [(1, 3)]
    assert assess((1, 1), (1, 5)) == [(1, 5)]


def test_a_message_that_is_the_tutors_in_a_conversation_with_a_gap_is_no_evidence() -> None:
    request = msgspec.structs.replace(ASSESSMENT, messages=(*MESSAGES[:2], *MESSAGES[4:]))
    text = '{"covered": [{"objective": 1, "message": 4}, {"objective": 3, "message": 5}]}'
    assert read_assessment(text, request).covered == (Covered(objective=3, message=5),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nope",
        "null",
        "[]",
        "{}",
        '{"covered": null}',
        '{"covered": [3]}',
        '{"covered": [{"objective": 1}]}',
        '{"covered": [{"objective": "1", "message": 3}]}',
        '{"covered": [{"objective": 1.5, "message": 3}]}',
        '{"covered": [{"objective": 1, "message": null}]}',
        '{"covered": [{"objective": 1, "message": 3, "why": "so"}]}',
        '{"covered": [], "more": 1}',
        '{"covered": []} and more',
        '```json\n{"covered": []}\n```',
        '{"covered": [',
        "[" * 100_000,
        '"\ud800"',
    ],
)
def test_an_answer_that_is_not_of_the_schema_is_invalid_and_never_quoted(text: str) -> None:
    with pytest.raises(ModelFailure) as caught:
        read_assessment(text, ASSESSMENT)
    assert (caught.value.code, caught.value.retryable) == (MODEL_INVALID, True)
    assert caught.value.detail in ("not JSON", "not of the schema")
    assert caught.value.__suppress_context__


@given(st.text())
def test_any_text_is_an_assessment_or_a_failure(text: str) -> None:
    try:
        outcome: object = read_assessment(text, ASSESSMENT)
    except ModelFailure as failure:
        outcome = failure.code
    assert outcome == MODEL_INVALID or isinstance(outcome, Assessment)


@given(st.lists(st.tuples(st.integers(), st.integers(-1, 9))))
def test_a_read_assessment_has_valid_entries_only(pairs: list[tuple[int, int]]) -> None:
    kept = assess(*pairs)
    assert {objective for objective, _ in kept} <= {1, 3}
    assert {message for _, message in kept} <= {3, 5, 7}
    assert len({objective for objective, _ in kept}) == len(kept)
    assert set(kept) <= set(pairs)


def test_an_evaluation_has_the_objectives_in_the_scenarios_words() -> None:
    read = read_evaluation(json.dumps(evaluation()), EVALUATION)
    assert [e.objective for e in read.learning_objectives_evaluation] == [*SCENARIO.objectives]
    assert read.overall_score == 70
    assert read.key_moments[0].message_number == 6


def test_an_evaluation_reads_back_as_it_is_written() -> None:
    read = read_evaluation(json.dumps(evaluation()), EVALUATION)
    written = msgspec.json.encode(read).decode()
    assert read_evaluation(written, EVALUATION) == read
    assert [*json.loads(written)] == [
        "summary",
        "overall_assessment",
        "overall_score",
        "learning_objectives_evaluation",
        "strengths",
        "areas_for_improvement",
        "key_moments",
    ]


@pytest.mark.parametrize("score", [0, 100])
@pytest.mark.parametrize("turn", [1, 3, None])
@pytest.mark.parametrize("number", [1, 6])
def test_numbers_up_to_their_bounds_are_valid(score: int, turn: int | None, number: int) -> None:
    changed = evaluation(
        overall_score=score,
        learning_objectives_evaluation=entries(score=score, met_at_turn=turn),
        key_moments=moments(number),
    )
    read = read_evaluation(json.dumps(changed), EVALUATION)
    first = read.learning_objectives_evaluation[0]
    assert (read.overall_score, first.score, first.met_at_turn) == (score, score, turn)
    assert read.key_moments[0].message_number == number


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"overall_score": -1}, "a score out of range"),
        ({"overall_score": 101}, "a score out of range"),
        ({"learning_objectives_evaluation": entries(score=101)}, "a score out of range"),
        ({"learning_objectives_evaluation": entries(met_at_turn=0)}, "a turn out of range"),
        ({"learning_objectives_evaluation": entries(met_at_turn=4)}, "a turn out of range"),
        ({"key_moments": moments(0)}, "a message number out of range"),
        ({"key_moments": moments(7)}, "a message number out of range"),
        ({"learning_objectives_evaluation": entries()[:2]}, "2 objectives instead of 3"),
        ({"learning_objectives_evaluation": entries() * 2}, "6 objectives instead of 3"),
        ({"learning_objectives_evaluation": entries(met="yes")}, "not of the schema"),
        ({"learning_objectives_evaluation": entries(mood="good")}, "not of the schema"),
        ({"overall_score": 70.5}, "not of the schema"),
        ({"summary": None}, "not of the schema"),
        ({"strengths": "Reasons"}, "not of the schema"),
        ({"note": "one more"}, "not of the schema"),
        ({"summary": "a\0b"}, "a NUL in the text"),
    ],
)
def test_an_impossible_evaluation_is_invalid(changes: dict[str, Any], detail: str) -> None:
    failure = failure_of_evaluation(json.dumps(evaluation(**changes)))
    assert (failure.code, failure.retryable, failure.detail) == (MODEL_INVALID, True, detail)


@pytest.mark.parametrize("missing", [*evaluation()])
def test_an_evaluation_with_a_field_missing_is_invalid(missing: str) -> None:
    whole = evaluation()
    del whole[missing]
    assert failure_of_evaluation(json.dumps(whole)).detail == "not of the schema"


def test_a_conversation_in_which_the_learner_said_nothing_has_no_turns() -> None:
    request = msgspec.structs.replace(EVALUATION, messages=MESSAGES[:2])
    silent = evaluation(
        learning_objectives_evaluation=[entries(met=False, met_at_turn=None)[0]] * 3,
        key_moments=[],
    )
    assert read_evaluation(json.dumps(silent), request).key_moments == ()
    with pytest.raises(ModelFailure, match="a turn out of range"):
        read_evaluation(json.dumps(evaluation(key_moments=[])), request)


@pytest.mark.parametrize("schema", [ASSESSMENT_SCHEMA, EVALUATION_SCHEMA])
def test_the_schemas_keep_to_what_the_provider_supports(schema: Schema) -> None:
    """The SDK's rewriting to the supported subset leaves our schemas unchanged."""
    assert transform_schema(schema) == schema


@pytest.mark.parametrize(
    ("schema", "type_"), [(ASSESSMENT_SCHEMA, Assessment), (EVALUATION_SCHEMA, Evaluation)]
)
def test_the_schemas_describe_the_types_that_are_read(schema: Schema, type_: type) -> None:
    assert shape(schema, {}) == shape(*definitions(type_))


def definitions(type_: type) -> tuple[Schema, dict[str, Schema]]:
    (schema,), components = msgspec.json.schema_components([type_], ref_template="{name}")
    return schema, components


def shape(schema: Schema, components: dict[str, Schema]) -> object:
    """A schema without descriptions and the order of properties."""
    if "$ref" in schema:
        return shape(components[schema["$ref"]], components)
    if "anyOf" in schema:
        return {str(shape(option, components)) for option in schema["anyOf"]}
    if schema["type"] == "array":
        return [shape(schema["items"], components)]
    if schema["type"] == "object":
        assert schema["additionalProperties"] is False
        assert set(schema["required"]) == set(schema["properties"])
        return {name: shape(part, components) for name, part in schema["properties"].items()}
    return schema["type"]
