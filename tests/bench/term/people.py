"""Who and what an institution has while its term goes on."""

from collections import deque
from itertools import accumulate
from typing import Literal

from service.model.interface import Scenario
from tests.bench.term.plan import Window


class Learner:
    """A learner. `diligence` is 1 for the usual one; `busy` counts what is under way."""

    __slots__ = ("busy", "dialogues", "diligence", "doomed", "gone", "held", "token_id", "user_id")

    def __init__(self, user_id: int, token_id: int, diligence: float) -> None:
        self.user_id = user_id
        self.token_id = token_id
        self.diligence = diligence
        self.busy = 0
        self.doomed = False
        self.gone = False
        self.held = False
        self.dialogues: dict[int, Dialogue] = {}

    def dialogue(self, experience: "Experience") -> "Dialogue":
        """What the learner has with an experience."""
        if experience.id not in self.dialogues:
            self.dialogues[experience.id] = Dialogue(self, experience)
        return self.dialogues[experience.id]


class Experience:
    """An experience; `version` is 0 before it is created."""

    __slots__ = ("course", "id", "published", "scenario", "version", "window")

    def __init__(self, number: int, course: "Course", scenario: Scenario, window: Window) -> None:
        self.id = number
        self.course = course
        self.scenario = scenario
        self.window = window
        self.version = 0
        self.published = False


class Course:
    """A course with its teacher. `keeps` are the days that its texts are kept, if not for ever."""

    def __init__(self, number: int, teacher: int, token_id: int, learners: list[Learner]) -> None:
        self.id = number
        self.teacher = teacher
        self.token_id = token_id
        self.learners = learners
        self.diligence = list(accumulate(learner.diligence for learner in learners))
        self.experiences: list[Experience] = []
        self.keeps: int | None = None
        self.recent: deque[Conversation] = deque(maxlen=8)
        self.expiring: list[Conversation] = []
        self.reads: set[str] = set()


class Dialogue:
    """A learner's dialogue with an experience."""

    __slots__ = ("active", "experience", "learner", "past", "stream")

    def __init__(self, learner: Learner, experience: Experience) -> None:
        self.learner = learner
        self.experience = experience
        self.stream = f"dialogue-{experience.id}-{learner.user_id}"
        self.active: Conversation | None = None
        self.past: list[Conversation] = []


class Conversation:
    """A conversation. `texts` are the positions of those that are kept; `tokens` its length.

    `unanswered` are the messages since the model spoke last, `unanswered_before` those before the
    last one where the model was stopped in the middle.
    """

    __slots__ = (
        "asked_at",
        "completed_at",
        "covered",
        "dialogue",
        "expired",
        "id",
        "last_reply",
        "messages",
        "objectives",
        "replies",
        "texts",
        "tokens",
        "unanswered",
        "unanswered_before",
        "votes",
    )

    def __init__(self, number: int, dialogue: Dialogue, objectives: tuple[str, ...]) -> None:
        self.id = number
        self.dialogue = dialogue
        self.objectives = objectives
        self.covered: set[int] = set()
        self.texts: list[int] = []
        self.tokens = 0
        self.messages = 2
        self.unanswered: tuple[str, ...] = ()
        self.unanswered_before: tuple[str, ...] = ()
        self.replies = 0
        self.last_reply = ""
        self.asked_at = 0.0
        self.votes: dict[str, str] = {}
        self.completed_at: float | None = None
        self.expired = False

    @property
    def open_objectives(self) -> list[int]:
        """Places, from 1, of what is not covered yet."""
        return [n for n in range(1, len(self.objectives) + 1) if n not in self.covered]


Vote = Literal["liked", "disliked"]
