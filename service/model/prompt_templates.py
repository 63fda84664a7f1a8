"""The models' instructions: versioned templates, filled with an experience's texts."""

import hashlib
from importlib import resources
from string import Template

import msgspec

from eventstore.reply_records import PromptVersion
from service.model.interface import AssessmentRequest, ChatMessage, EvaluationRequest, Scenario

SOCRATIC_TUTOR = "socratic_tutor.v1"
OBJECTIVES_ASSESSOR = "objectives_assessor.v1"
CONVERSATION_EVALUATOR = "conversation_evaluator.v1"
NOT_GIVEN = "(none given)"

# The text below this line of a template is sent after the conversation.
_QUESTION_LINE = "\n----- after the conversation -----\n"

_encoder = msgspec.json.Encoder()


class PromptTemplate:
    """A template file of `service/model/prompts`.

    Args:
        name: Of the file, without `.md`.

    Attributes:
        version: Covers the whole file, including the question after the conversation.
    """

    def __init__(self, name: str) -> None:
        file = resources.files("service.model").joinpath("prompts", f"{name}.md")
        content = file.read_bytes()
        self.version = PromptVersion(name=name, sha256=hashlib.sha256(content).hexdigest())
        system, _, question = content.decode().partition(_QUESTION_LINE)
        self._system = Template(system)
        self._question = Template(question.strip())

    def render(self, scenario: Scenario) -> str:
        """The system prompt: the same bytes for the same scenario, so that providers cache it.

        The scenario's texts are verbatim in blocks whose mark they cannot contain.
        """
        # `substitute` does not substitute in the texts that it inserts.
        return self._system.substitute(
            mark=self.mark(scenario),
            title=one_line(scenario.title),
            description=scenario.description.strip() or NOT_GIVEN,
            facts=scenario.facts.strip() or NOT_GIVEN,
            objectives=_numbered(scenario.objectives),
            pedagogical_guidance=scenario.pedagogical_guidance.strip() or NOT_GIVEN,
        )

    def mark(self, scenario: Scenario) -> str:
        """The mark of the scenario's blocks, which differs for each template and scenario."""
        # A hash of the texts is stable, and no text can contain a hash of itself.
        whole = self.version.sha256.encode() + _encoder.encode(scenario)
        return hashlib.sha256(whole).hexdigest()[:16]


class TutorPrompt(PromptTemplate):
    """Instructions for the tutor."""

    def __init__(self) -> None:
        super().__init__(SOCRATIC_TUTOR)


class AssessorPrompt(PromptTemplate):
    """Instructions to judge which open objectives are covered."""

    def __init__(self) -> None:
        super().__init__(OBJECTIVES_ASSESSOR)

    def transcript(self, request: AssessmentRequest) -> tuple[str, ...]:
        """One text for each message, numbered from 1.

        The texts stay the same bytes as the conversation grows, so that providers cache them.
        """
        mark = self.mark(request.scenario)
        return tuple(
            _message_block(mark, f'number="{number}" from="{_speaker(number, message)}"', message)
            for number, message in enumerate(request.messages, start=1)
        )

    def question(self, request: AssessmentRequest) -> str:
        """The question after the conversation, with the numbers of the open objectives."""
        numbers = ", ".join(map(str, request.open_objectives))
        return self._question.substitute(open_objectives=numbers)


class EvaluatorPrompt(PromptTemplate):
    """Instructions to evaluate a whole conversation for the teacher."""

    def __init__(self) -> None:
        super().__init__(CONVERSATION_EVALUATOR)

    def transcript(self, request: EvaluationRequest) -> tuple[str, ...]:
        """One text for each message, numbered as clients see them: the starting prompt is 0.

        Learners' messages also have their turn, which counts only these messages, from 1.
        """
        mark = self.mark(request.scenario)
        blocks, turn = [], 0
        for number, message in enumerate(request.messages):
            label = f'number="{number}" from="{_speaker(number + 1, message)}"'
            if number > 0 and message.role == "user":
                turn += 1
                label += f' turn="{turn}"'
            blocks.append(_message_block(mark, label, message))
        return tuple(blocks)

    def question(self, _request: EvaluationRequest) -> str:
        """The question after the conversation."""
        return self._question.substitute()


def starting_prompt(scenario: Scenario) -> str:
    """The first message, in the learner's name, which clients hide; it contains only the title."""
    return (
        f"Let us begin “{one_line(scenario.title)}”. "
        "Please set the scene in one or two sentences, then ask me your first question."
    )


def one_line(text: str) -> str:
    """`text` with each run of white space replaced by one space, so that it stays one line."""
    return " ".join(text.split())


def _numbered(objectives: tuple[str, ...]) -> str:
    lines = [f"{number}. {one_line(text)}" for number, text in enumerate(objectives, start=1)]
    return "\n".join(lines) or NOT_GIVEN


def _speaker(number: int, message: ChatMessage) -> str:
    if message.role == "assistant":
        return "tutor"
    return "service" if number == 1 else "learner"


def _message_block(mark: str, label: str, message: ChatMessage) -> str:
    # The mark can be computed from the scenario, so it is removed from messages.
    text = message.text.replace(mark, "…")
    return f"<message-{mark} {label}>\n{text}\n</message-{mark}>"
