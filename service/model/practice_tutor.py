"""The practice tutor, which asks questions when no model is configured."""

import hashlib
import re
from typing import NamedTuple, assert_never

import msgspec

from eventstore.reply_records import PromptVersion, Usage
from service.model.interface import (
    AssessmentRequest,
    ChatMessage,
    EvaluationRequest,
    ReplyRequest,
    Request,
    Scenario,
)
from service.model.judgements import (
    Assessment,
    Covered,
    Evaluation,
    KeyMoment,
    ObjectiveEvaluation,
)
from service.model.prompt_templates import one_line
from service.model.response import StreamedResponse

PRACTICE_TUTOR = "practice-tutor"

OPENING = (
    "Welcome to “{title}”. I am a practice tutor: I ask questions that help you think, "
    "but I cannot judge your answers. "
)
NEXT_GOAL = "Let us turn to this: “{goal}” "
THANKS = "Thank you. "
CANNOT_ANSWER = "I can only ask questions, I cannot answer them. "
KINDS_OF_QUESTION = (
    "What do you already know about this?",
    "What would be an example of it from your own experience?",
    "How would you explain to a friend why it is so?",
)
SUMMARY = (
    "Those were all my questions. What would you now say in two or three sentences about “{title}”?"
)
CLOSING = (
    "That brings us to the end, and you can finish the conversation now. "
    "If you would rather go on: what would you still like to find out about “{title}”?"
)
_SENTENCES = (OPENING, NEXT_GOAL, THANKS, CANNOT_ANSWER, *KINDS_OF_QUESTION, SUMMARY, CLOSING)

ENOUGH_WORDS = 3
RULE = (
    "An objective counts as covered when the learner has answered each of the "
    f"{len(KINDS_OF_QUESTION)} questions about it, with at least {ENOUGH_WORDS} words and not with "
    "a question back. This shows that they took part, not that they are right."
)
CANNOT_JUDGE = "A practice tutor asks questions and cannot judge what is answered. "
RESULT = "By its rule, {met} of {count} objectives are covered. "
NO_OBJECTIVES = "There were no objectives to cover. "
ANSWERED = (
    "{answered} of the {asked} questions about this were answered with a sentence. "
    "Whether the answers are right is for the teacher to judge."
)
STRENGTH = "Answered every question about “{goal}”."
IMPROVEMENT = "Answer every question about “{goal}” with a sentence."
EVIDENCE = "Answered the last question about this: “{quote}”"
_RULE_TEXTS = (RULE, CANNOT_JUDGE, RESULT, NO_OBJECTIVES, ANSWERED, STRENGTH, IMPROVEMENT, EVIDENCE)
_QUOTED = 120  # characters

_WORD = re.compile(r"\S+\s*")
# Thai, Lao, Burmese, Khmer, kana and Han are written without spaces: each sign is a word.
_SIGN = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u9fff]")


def _version(name: str, texts: tuple[str, ...]) -> PromptVersion:
    return PromptVersion(name=name, sha256=hashlib.sha256("\n".join(texts).encode()).hexdigest())


_SPEAKING = _version("practice_tutor.v1", _SENTENCES)
_JUDGING = _version("practice_tutor_rule.v1", _RULE_TEXTS)


class PracticeTutor:
    """Asks three fixed questions about each of the experience's objectives.

    It judges by a simple rule (`RULE`), which its judgements name: an objective is covered when
    the learner has answered its three questions. Its prompt versions are the hashes of its texts,
    joined with line feeds.
    """

    def prompt(self, request: Request) -> PromptVersion:
        """The version of its sentences, or of its rule for judgements."""
        return _SPEAKING if isinstance(request, ReplyRequest) else _JUDGING

    async def warm_up(self) -> None:
        """Nothing is slow here."""

    async def answer(self, request: Request, response: StreamedResponse, budget: float) -> None:
        """Adds the next question, or a judgement as JSON. Never fails; uses no tokens."""
        response.model = PRACTICE_TUTOR
        match request:
            case ReplyRequest():
                for word in _WORD.findall(_next_turn(request.scenario, request.messages)):
                    response.add(word)
            case AssessmentRequest():
                response.add(msgspec.json.encode(_assessed(request)).decode())
            case EvaluationRequest():
                response.add(msgspec.json.encode(_evaluated(request)).decode())
            case _:
                assert_never(request)
        response.usage = Usage()
        response.stop_reason = "end_turn"

    async def close(self) -> None:
        """Nothing is open here."""


def _next_turn(scenario: Scenario, messages: tuple[ChatMessage, ...]) -> str:
    title = one_line(scenario.title)
    goals = [goal for goal in map(one_line, scenario.objectives) if goal] or [title]
    turn = sum(message.role == "assistant" for message in messages)
    step = _step(goals, turn, title)
    if turn == 0:
        return OPENING.format(title=title) + step
    return (CANNOT_ANSWER if _asks(messages[-1]) else THANKS) + step


def _step(goals: list[str], turn: int, title: str) -> str:
    number, kind = divmod(turn, len(KINDS_OF_QUESTION))
    if number < len(goals):
        lead = NEXT_GOAL.format(goal=goals[number]) if kind == 0 else ""
        return lead + KINDS_OF_QUESTION[kind]
    asked_for_summary = turn > len(goals) * len(KINDS_OF_QUESTION)
    return (CLOSING if asked_for_summary else SUMMARY).format(title=title)


def _asks(message: ChatMessage) -> bool:
    # U+FF1F and U+061F are the question marks of Chinese or Japanese, and of Arabic.
    return message.text.rstrip().endswith(("?", "\uff1f", "\u061f"))


class _Progress(NamedTuple):
    """A learner's progress with one objective.

    `answered` counts its answered questions; `last_answer` is the number, from 1, of the message
    that answered the last one.
    """

    objective: str
    answered: int
    last_answer: int

    @property
    def covered(self) -> bool:
        return self.answered == len(KINDS_OF_QUESTION)


def _progress(scenario: Scenario, messages: tuple[ChatMessage, ...]) -> list[_Progress]:
    """The progress with each objective, in order; blank objectives have no questions."""
    # The first message is the service's; the learner's first message answers the first question.
    remaining = [
        (number, message)
        for number, message in enumerate(messages, start=1)
        if number > 1 and message.role == "user"
    ]
    progress = []
    for objective in scenario.objectives:
        answers = remaining[: len(KINDS_OF_QUESTION)] if objective.strip() else []
        remaining = remaining[len(answers) :]
        answered = sum(_is_answer(message) for _, message in answers)
        progress.append(_Progress(objective, answered, answers[-1][0] if answers else 0))
    return progress


def _is_answer(message: ChatMessage) -> bool:
    return _count_words(message.text) >= ENOUGH_WORDS and not _asks(message)


def _count_words(text: str) -> int:
    pieces = (piece for piece in text.split() if any(map(str.isalnum, piece)))
    return sum(max(1, len(_SIGN.findall(piece))) for piece in pieces)


def _assessed(request: AssessmentRequest) -> Assessment:
    progress = enumerate(_progress(request.scenario, request.messages), start=1)
    return Assessment(
        covered=tuple(
            Covered(objective=number, message=one.last_answer)
            for number, one in progress
            if one.covered and number in request.open_objectives
        )
    )


def _evaluated(request: EvaluationRequest) -> Evaluation:
    progress = _progress(request.scenario, request.messages)
    covered = [one for one in progress if one.covered]
    lacking = [one for one in progress if not one.covered]
    counts = {"met": len(covered), "count": len(progress)}
    result = RESULT.format(**counts) if progress else NO_OBJECTIVES
    return Evaluation(
        summary=CANNOT_JUDGE + result.rstrip(),
        overall_assessment=CANNOT_JUDGE + result + RULE,
        overall_score=_percentage(len(covered), len(progress)),
        learning_objectives_evaluation=tuple(_entry(one, request.messages) for one in progress),
        strengths=tuple(STRENGTH.format(goal=one_line(one.objective)) for one in covered),
        areas_for_improvement=tuple(
            IMPROVEMENT.format(goal=one_line(one.objective)) for one in lacking
        ),
        key_moments=tuple(_key_moment(one, request.messages) for one in covered),
    )


def _entry(one: _Progress, messages: tuple[ChatMessage, ...]) -> ObjectiveEvaluation:
    turns = sum(message.role == "user" for message in messages[1 : one.last_answer])
    return ObjectiveEvaluation(
        objective=one.objective,
        met=one.covered,
        score=_percentage(one.answered, len(KINDS_OF_QUESTION)),
        explanation=ANSWERED.format(answered=one.answered, asked=len(KINDS_OF_QUESTION)),
        met_at_turn=turns if one.covered else None,
    )


def _key_moment(one: _Progress, messages: tuple[ChatMessage, ...]) -> KeyMoment:
    words = one_line(messages[one.last_answer - 1].text)
    quote = words if len(words) <= _QUOTED else words[: _QUOTED - 1] + "…"
    return KeyMoment(
        learning_objective=one.objective,
        evidence=EVIDENCE.format(quote=quote),
        message_number=one.last_answer - 1,  # without the starting prompt
    )


def _percentage(part: int, whole: int) -> int:
    return round(100 * part / whole) if whole else 0
