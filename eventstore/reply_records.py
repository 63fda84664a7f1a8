"""Records of a model's answer in the log: tokens, prompt, attempts, cost and context."""

import msgspec

from eventstore.provider_values import Count

_COMPLETE = frozenset({"end_turn", "stop_sequence"})
_INCOMPLETE = {
    "max_tokens": "reply_too_long",
    "model_context_window_exceeded": "conversation_too_long",
}
"""By the stop reason, as Anthropic's API names it."""


class Usage(msgspec.Struct, frozen=True):
    """Tokens of a reply; its input is the sum of the three input counts."""

    input_tokens: Count = 0
    output_tokens: Count = 0
    cache_creation_input_tokens: Count = 0
    cache_read_input_tokens: Count = 0


class PromptVersion(msgspec.Struct, frozen=True):
    """The prompt template of a reply: its name and the SHA-256 of its bytes in hex."""

    name: str
    sha256: str


class AttemptRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One request to a model. `outcome` is "completed" or a failure code.

    `cost_microusd` is in millionths of a US dollar, None if the price or the tokens are unknown.
    `waited_ms` is the pause before the request.
    """

    model: str
    outcome: str
    detail: str = ""
    usage: Usage | None = None
    cost_microusd: int | None = None
    provider_request_id: str | None = None
    duration_ms: int | None = None
    waited_ms: int = 0


class ContextRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a long conversation was sent to the model.

    `messages_left_out` counts the messages left out between the opening and the newest ones.
    """

    messages_sent: int
    messages_left_out: int
    estimated_tokens: int


class ReplyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How a model's answer came about, for auditors.

    `cost_microusd` sums up all attempts, in millionths of a US dollar; None if the price of one is
    unknown. `price_version` names the price table.
    """

    model_requested: str
    model: str
    max_tokens: int
    prompt: PromptVersion
    stop_reason: str
    usage: Usage
    provider_request_id: str | None
    first_token_ms: int | None
    duration_ms: int
    attempts: int = 1
    attempt_records: tuple[AttemptRecord, ...] = ()
    fallback: bool = False
    price_version: str | None = None
    cost_microusd: int | None = None
    context: ContextRecord | None = None

    @property
    def incomplete(self) -> str | None:
        """A code for why the model stopped before its answer was complete; None: it is complete.

        The view `conversation_messages` has the same rule.
        """
        if self.stop_reason in _COMPLETE:
            return None
        return _INCOMPLETE.get(self.stop_reason, "reply_unfinished")
