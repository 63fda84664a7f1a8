"""The models' instructions: versioned template files, filled in with an experience's texts."""

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

# What stands below this line of a template is put to the model after the conversation.
_QUESTION_LINE = "\n----- after the conversation -----\n"

_encoder = msgspec.json.Encoder()


class PromptTemplate:
    """One template file of `service/model/prompts`, read once, by its name without `.md`.

    `version` covers all that the file holds, the question after the conversation too.
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

        The scenario's texts stand verbatim in blocks that carry a mark which they cannot contain.
        """
        # `substitute` goes over the template once and never over what it has put in.
        return self._system.substitute(
            mark=self.mark(scenario),
            title=one_line(scenario.title),
            description=scenario.description.strip() or NOT_GIVEN,
            facts=scenario.facts.strip() or NOT_GIVEN,
            objectives=_numbered(scenario.objectives),
            pedagogical_guidance=scenario.pedagogical_guidance.strip() or NOT_GIVEN,
        )

    def mark(self, scenario: Scenario) -> str:
        """The mark of the scenario's blocks; another one for each template and scenario."""
        # A hash of the texts is stable, and no text can hold the hash of a whole it is part of.
        whole = self.version.sha256.encode() + _encoder.encode(scenario)
        return hashlib.sha256(whole).hexdigest()[:16]


class TutorPrompt(PromptTemplate):
    """The tutor's instructions; the conversation follows as messages."""

    def __init__(self) -> None:
        super().__init__(SOCRATIC_TUTOR)


class AssessorPrompt(PromptTemplate):
    """Instructions for judging which open objectives are covered."""

    def __init__(self) -> None:
        super().__init__(OBJECTIVES_ASSESSOR)

    def transcript(self, request: AssessmentRequest) -> tuple[str, ...]:
        """One text per message, numbered from 1.

        The same bytes each time as the conversation grows, so that providers cache them.
        """
        mark = self.mark(request.scenario)
        return tuple(
            _message_block(mark, f'number="{number}" from="{_speaker(number, message)}"', message)
            for number, message in enumerate(request.messages, start=1)
        )

    def question(self, request: AssessmentRequest) -> str:
        """The question after the conversation, with the open objectives."""
        numbers = ", ".join(map(str, request.open_objectives))
        return self._question.substitute(open_objectives=numbers)


class EvaluatorPrompt(PromptTemplate):
    """Instructions for evaluating a whole conversation."""

    def __init__(self) -> None:
        super().__init__(CONVERSATION_EVALUATOR)

    def transcript(self, request: EvaluationRequest) -> tuple[str, ...]:
        """One text per message, numbered as clients see them: the starting prompt is 0.

        Learners' messages also tell their turn, which counts them alone, from 1.
        """
        mark = self.mark(request.scenario)
        blocks, turn = [], 0
        for place, message in enumerate(request.messages, start=1):
            label = f'number="{place - 1}" from="{_speaker(place, message)}"'
            if place > 1 and message.role == "user":
                turn += 1
                label += f' turn="{turn}"'
            blocks.append(_message_block(mark, label, message))
        return tuple(blocks)

    def question(self, _request: EvaluationRequest) -> str:
        """The question after the conversation."""
        return self._question.substitute()


def starting_prompt(scenario: Scenario) -> str:
    """The first message, in the learner's name, which clients hide: it tells only the title."""
    return (
        f"Let us begin “{one_line(scenario.title)}”. "
        "Please set the scene in one or two sentences, then ask me your first question."
    )


def one_line(text: str) -> str:
    """`text` with every run of white space made one space, so that it cannot pose as more lines."""
    return " ".join(text.split())


def _numbered(objectives: tuple[str, ...]) -> str:
    lines = [f"{number}. {one_line(text)}" for number, text in enumerate(objectives, start=1)]
    return "\n".join(lines) or NOT_GIVEN


def _speaker(place: int, message: ChatMessage) -> str:
    if message.role == "assistant":
        return "tutor"
    return "service" if place == 1 else "learner"


def _message_block(mark: str, label: str, message: ChatMessage) -> str:
    # Who knows the scenario could work out the mark, so a message that holds it loses it.
    text = message.text.replace(mark, "…")
    return f"<message-{mark} {label}>\n{text}\n</message-{mark}>"
