"""The interface of models: requests, and what a model implements."""

from typing import Literal, Protocol

import msgspec

from eventstore.reply_records import PromptVersion
from service.model.response import StreamedResponse


class ChatMessage(msgspec.Struct, frozen=True):
    """One turn of the conversation as a model reads it."""

    role: Literal["user", "assistant"]
    text: str


class Scenario(msgspec.Struct, frozen=True):
    """An experience's texts for a model; learners do not see `facts` and `pedagogical_guidance`."""

    title: str
    description: str
    facts: str
    objectives: tuple[str, ...]
    pedagogical_guidance: str


class ReplyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to answer the last message as the tutor.

    `messages` begin and end with the user's; those before one that have no answer may precede it.
    `max_tokens` limits the answer.
    """

    scenario: Scenario
    messages: tuple[ChatMessage, ...]
    max_tokens: int


class AssessmentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to judge which open objectives the learner has covered.

    `messages` are as in a `ReplyRequest`. `open_objectives` are numbers of the scenario's
    objectives, counted from 1. The answer is the JSON of an `Assessment`.
    """

    scenario: Scenario
    messages: tuple[ChatMessage, ...]
    open_objectives: tuple[int, ...]
    max_tokens: int


class EvaluationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to evaluate a whole conversation. The answer is the JSON of an `Evaluation`."""

    scenario: Scenario
    messages: tuple[ChatMessage, ...]
    max_tokens: int


Request = ReplyRequest | AssessmentRequest | EvaluationRequest


class Model(Protocol):
    """Replies to learners, and judges conversations."""

    def prompt(self, request: Request) -> PromptVersion:
        """The version of the instructions for this kind of request."""

    async def warm_up(self) -> None:
        """Does the slow part of the first request now, off the event loop. May be called again.

        Raises:
            ModelFailure: The model's settings can never work.
        """

    async def answer(self, request: Request, response: StreamedResponse, budget: float) -> None:
        """Streams the answer of `response.model_requested` into `response`, in one attempt.

        After a failure or cancellation, `response` has what arrived before, and no connection
        stays open. Errors of `response.on_delta` are not caught.

        Args:
            budget: Seconds for the attempt.

        Raises:
            ModelFailure: There is no usable answer.
        """

    async def close(self) -> None:
        """Closes connections. May be called again."""
