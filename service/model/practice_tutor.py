"""The tutor that answers where no model is configured: it asks, and says that it cannot judge."""

import hashlib
import re

from eventstore.events import PromptVersion, Usage
from service.model.interface import (
    ChatMessage,
    OnDelta,
    Reply,
    ReplyRequest,
    Scenario,
)
from service.model.prompts import one_line

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
_WORD = re.compile(r"\S+\s*")


class PracticeTutor:
    """A deterministic question-asker made from the experience's objectives.

    Its prompt version is the hash of the sentences that it speaks in, joined with line feeds.
    """

    name = PRACTICE_TUTOR
    prompt = PromptVersion(
        name="practice_tutor.v1", sha256=hashlib.sha256("\n".join(_SENTENCES).encode()).hexdigest()
    )

    async def warm_up(self) -> None:
        """Nothing is slow here."""

    async def reply(self, request: ReplyRequest, on_delta: OnDelta | None = None) -> Reply:
        """The next question. Never fails; costs no tokens and no time."""
        text = _next_turn(request.scenario, request.messages)
        if on_delta is not None:
            for word in _WORD.findall(text):
                on_delta(word)
        return Reply(
            text=text,
            model=PRACTICE_TUTOR,
            stop_reason="end_turn",
            usage=Usage(),
            provider_request_id=None,
            first_token_ms=0,
            duration_ms=0,
        )

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
