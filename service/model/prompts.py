"""The tutor's instructions: versioned template files, filled in with an experience's texts."""

import hashlib
from importlib import resources
from string import Template

import msgspec

from eventstore.events import PromptVersion
from service.model.interface import Scenario

SOCRATIC_TUTOR = "socratic_tutor.v1"
NOT_GIVEN = "(none given)"

_encoder = msgspec.json.Encoder()


class TutorPrompt:
    """One template file of `service/prompts`, read once, by its name without `.md`."""

    def __init__(self, name: str = SOCRATIC_TUTOR) -> None:
        file = resources.files("service").joinpath("prompts", f"{name}.md")
        content = file.read_bytes()
        self.version = PromptVersion(name=name, sha256=hashlib.sha256(content).hexdigest())
        self._template = Template(content.decode())

    def render(self, scenario: Scenario) -> str:
        """The system prompt: the same bytes for the same scenario, so that providers cache it.

        The scenario's texts stand verbatim in blocks that carry a mark which they cannot contain.
        """
        # `substitute` goes over the template once and never over what it has put in.
        return self._template.substitute(
            mark=_mark(scenario),
            title=one_line(scenario.title),
            description=scenario.description.strip() or NOT_GIVEN,
            facts=scenario.facts.strip() or NOT_GIVEN,
            objectives=_numbered(scenario.objectives),
            pedagogical_guidance=scenario.pedagogical_guidance.strip() or NOT_GIVEN,
        )


def starting_prompt(scenario: Scenario) -> str:
    """The first message, in the learner's name, which clients hide: it tells only the title."""
    return (
        f"Let us begin “{one_line(scenario.title)}”. "
        "Please set the scene in one or two sentences, then ask me your first question."
    )


def one_line(text: str) -> str:
    """`text` with every run of white space made one space, so that it cannot pose as more lines."""
    return " ".join(text.split())


def _mark(scenario: Scenario) -> str:
    # A hash of the texts is stable, and no text can hold the hash of a whole that it is part of.
    return hashlib.sha256(_encoder.encode(scenario)).hexdigest()[:16]


def _numbered(objectives: tuple[str, ...]) -> str:
    lines = [f"{number}. {one_line(text)}" for number, text in enumerate(objectives, start=1)]
    return "\n".join(lines) or NOT_GIVEN
