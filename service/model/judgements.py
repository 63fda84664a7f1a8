"""A model's judgements: structs, JSON schemas for requests, and decoding of answers."""

from typing import Any, TypeVar

import msgspec

from service.model.errors import MODEL_INVALID, ModelFailure
from service.model.interface import AssessmentRequest, ChatMessage, EvaluationRequest

Schema = dict[str, Any]


class Judgement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a structured answer, with exactly the declared fields."""


class Covered(Judgement, frozen=True):
    """An objective that the learner has covered.

    `objective` is the number of the scenario's objective, `message` that of the request's message
    that covers it; both count from 1, so the starting prompt is message 1.
    """

    objective: int
    message: int


class Assessment(Judgement, frozen=True):
    """The open objectives that are covered, each once; possibly none."""

    covered: tuple[Covered, ...]


class ObjectiveEvaluation(Judgement, frozen=True):
    """How far the learner got with one objective; `score` is from 0 to 100.

    `met_at_turn` counts the learner's own messages from 1; the starting prompt, which the
    service wrote, does not count.
    """

    objective: str
    met: bool
    score: int
    explanation: str
    met_at_turn: int | None


class KeyMoment(Judgement, frozen=True):
    """A message with evidence for or against an objective.

    `message_number` counts the visible messages from 1; the starting prompt is hidden, so the
    opening is 1.
    """

    learning_objective: str
    evidence: str
    message_number: int


class Evaluation(Judgement, frozen=True):
    """An evaluation for teachers, with one entry for each objective in the scenario's order.

    `overall_score` is from 0 to 100.
    """

    summary: str
    overall_assessment: str
    overall_score: int
    learning_objectives_evaluation: tuple[ObjectiveEvaluation, ...]
    strengths: tuple[str, ...]
    areas_for_improvement: tuple[str, ...]
    key_moments: tuple[KeyMoment, ...]


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_STRING: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer"}
_INTEGER_OR_NULL: Schema = {"anyOf": [_INTEGER, {"type": "null"}]}

# Anthropic's structured outputs accept no bounds of numbers, lengths or counts.
ASSESSMENT_SCHEMA = _object(covered=_array(_object(objective=_INTEGER, message=_INTEGER)))

# A model writes the fields in this order: evidence before verdicts.
EVALUATION_SCHEMA = _object(
    key_moments=_array(
        _object(message_number=_INTEGER, learning_objective=_STRING, evidence=_STRING)
    ),
    learning_objectives_evaluation=_array(
        _object(
            objective=_STRING,
            explanation=_STRING,
            met={"type": "boolean"},
            met_at_turn=_INTEGER_OR_NULL,
            score=_INTEGER,
        )
    ),
    strengths=_array(_STRING),
    areas_for_improvement=_array(_STRING),
    overall_assessment=_STRING,
    overall_score=_INTEGER,
    summary=_STRING,
)

_Answer = TypeVar("_Answer", Assessment, Evaluation)
_assessments = msgspec.json.Decoder(Assessment)
_evaluations = msgspec.json.Decoder(Evaluation)


def read_assessment(text: str, request: AssessmentRequest) -> Assessment:
    """The assessment in a model's answer, with the earliest message for each objective.

    Entries for an objective that is not open, or a message that is not the learner's, are dropped.

    Raises:
        ModelFailure: The answer does not match the schema.
    """
    earliest: dict[int, Covered] = {}
    for entry in sorted(_decoded(_assessments, text).covered, key=lambda entry: entry.message):
        if entry.objective in request.open_objectives and _is_learners(entry, request.messages):
            earliest.setdefault(entry.objective, entry)
    return Assessment(covered=tuple(earliest[objective] for objective in sorted(earliest)))


def read_evaluation(text: str, request: EvaluationRequest) -> Evaluation:
    """The evaluation in a model's answer, with the scenario's texts of the objectives.

    Args:
        request: With the whole conversation, whose turns and messages the answer refers to.

    Raises:
        ModelFailure: The answer does not match the schema, does not have one entry for each
            objective, or has a score, turn or message number out of range.
    """
    evaluation = _decoded(_evaluations, text)
    entries = evaluation.learning_objectives_evaluation
    objectives = request.scenario.objectives
    if len(entries) != len(objectives):
        raise _invalid(f"{len(entries)} objectives instead of {len(objectives)}")
    _check_numbers(evaluation, request.messages)
    return msgspec.structs.replace(
        evaluation,
        learning_objectives_evaluation=tuple(
            msgspec.structs.replace(entry, objective=objective)
            for entry, objective in zip(entries, objectives, strict=True)
        ),
    )


def _decoded(decoder: msgspec.json.Decoder[_Answer], text: str) -> _Answer:
    # msgspec's messages may quote the answer, so they are not passed on.
    try:
        answer = decoder.decode(text)
    except msgspec.ValidationError:
        raise _invalid("not of the schema") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise _invalid("not JSON") from None
    if "\\u0000" in text:
        raise _invalid("a NUL in the text")  # PostgreSQL keeps none
    return answer


def _is_learners(entry: Covered, messages: tuple[ChatMessage, ...]) -> bool:
    return 2 <= entry.message <= len(messages) and messages[entry.message - 1].role == "user"


def _check_numbers(evaluation: Evaluation, messages: tuple[ChatMessage, ...]) -> None:
    entries = evaluation.learning_objectives_evaluation
    scores = [evaluation.overall_score, *(entry.score for entry in entries)]
    turns = [entry.met_at_turn for entry in entries if entry.met_at_turn is not None]
    numbers = [moment.message_number for moment in evaluation.key_moments]
    visible = messages[1:]
    learner_turns = sum(message.role == "user" for message in visible)
    for name, values, possible in (
        ("score", scores, range(101)),
        ("turn", turns, range(1, learner_turns + 1)),
        ("message number", numbers, range(1, len(visible) + 1)),
    ):
        if not all(value in possible for value in values):
            raise _invalid(f"a {name} out of range")


def _invalid(detail: str) -> ModelFailure:
    return ModelFailure(MODEL_INVALID, retryable=True, detail=detail)
