"""What a model is asked and what it answers, whoever stands behind it."""

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from eventstore.events import PromptVersion, Usage

OnDelta = Callable[[str], None]
"""Takes each piece of text as it arrives; all of them joined are the reply. Must not block."""


class ChatMessage(msgspec.Struct, frozen=True):
    """One turn of the conversation as a model reads it."""

    role: Literal["user", "assistant"]
    text: str


class Scenario(msgspec.Struct, frozen=True):
    """What an experience gives a model. `facts` and `pedagogical_guidance` stay with the model."""

    title: str
    description: str
    facts: str
    objectives: tuple[str, ...]
    pedagogical_guidance: str


class ReplyRequest(msgspec.Struct, frozen=True):
    """One question to a model.

    `messages` alternate and begin with the user's. `max_tokens` bounds the reply, `budget` (in
    seconds) everything from the call of `Model.reply` to the last byte.
    """

    model: str
    scenario: Scenario
    messages: tuple[ChatMessage, ...]
    max_tokens: int
    budget: float


class Reply(msgspec.Struct, frozen=True):
    """A whole reply with what an auditor needs to judge it.

    `model` is the one that answered, which may be a dated version of the one asked for.
    `first_token_ms` and `duration_ms` count milliseconds from the call of `Model.reply`.
    """

    text: str
    model: str
    stop_reason: str
    usage: Usage
    provider_request_id: str | None
    first_token_ms: int | None
    duration_ms: int


class Model(Protocol):
    """Something that replies to learners."""

    @property
    def name(self) -> str:
        """The model that is asked for."""

    @property
    def prompt(self) -> PromptVersion:
        """The instructions that it is given."""

    async def warm_up(self) -> None:
        """Do the slow part of the first reply now, off the event loop. May be called again.

        Raises `ModelFailure` where the model's settings can never work.
        """

    async def reply(self, request: ReplyRequest, on_delta: OnDelta | None = None) -> Reply:
        """Answer the last message, or raise `ModelFailure`; one attempt, no retries.

        What `on_delta` raises reaches the caller as it is. A cancelled call leaves no connection.
        """

    async def close(self) -> None:
        """Release connections. May be called again."""
