"""Requests to models and their answers, independent of the provider."""

from typing import Literal, Protocol

import msgspec

from eventstore.reply_records import PromptVersion
from service.model.response import StreamedResponse


class ChatMessage(msgspec.Struct, frozen=True):
    """A message of the conversation as a model reads it."""

    role: Literal["user", "assistant"]
    text: str


class Scenario(msgspec.Struct, frozen=True):
    """An experience's texts for a model. Learners do not see `facts` and `pedagogical_guidance`."""

    title: str
    description: str
    facts: str
    objectives: tuple[str, ...]
    pedagogical_guidance: str


class ReplyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Answer the last message in the tutor's part.

    `messages` alternate and begin and end with the user's. `max_tokens` bounds the answer.
    """

    scenario: Scenario
    messages: tuple[ChatMessage, ...]
    max_tokens: int


class AssessmentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Judge which of the open objectives the learner has covered by now.

    `messages` as of a reply, so the last is the learner's newest. `open_objectives` are places
    in the scenario's objectives, counted from 1. The answer is the JSON of an `Assessment`.
    """

    scenario: Scenario
    messages: tuple[ChatMessage, ...]
    open_objectives: tuple[int, ...]
    max_tokens: int


class EvaluationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Evaluate a whole conversation. The answer is the JSON of an `Evaluation`."""

    scenario: Scenario
    messages: tuple[ChatMessage, ...]
    max_tokens: int


Request = ReplyRequest | AssessmentRequest | EvaluationRequest


class Model(Protocol):
    """A provider of replies and judgements."""

    def prompt(self, request: Request) -> PromptVersion:
        """The prompt template for such a request."""

    async def warm_up(self) -> None:
        """Do the slow part of the first request now, off the event loop. May be called again.

        Raises:
            ModelFailure: The model's settings can never work.
        """

    async def answer(self, request: Request, response: StreamedResponse, budget: float) -> None:
        """Put the answer of `response.asked` into `response`, or raise `ModelFailure`.

        One attempt, no retries, within `budget` seconds. Whatever has been learnt of the answer
        by then stands in `response`, also after a failure or when the call is cancelled; a
        cancelled call leaves no connection. What `response.on_delta` raises reaches the caller as
        it is.
        """

    async def close(self) -> None:
        """Release connections. May be called again."""
