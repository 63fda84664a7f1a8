"""Failures of models, and the messages for learners."""

import msgspec

from eventstore.reply_records import Usage

MODEL_OVERLOADED = "model_overloaded"
MODEL_RATE_LIMITED = "model_rate_limited"
MODEL_UNAVAILABLE = "model_unavailable"
MODEL_MISCONFIGURED = "model_misconfigured"
MODEL_TIMEOUT = "model_timeout"
MODEL_INTERRUPTED = "model_interrupted"
MODEL_REFUSED = "model_refused"
MODEL_EMPTY = "model_empty"
MODEL_INVALID = "model_invalid"
CANCELLED = "cancelled"
ABANDONED = "abandoned"
SERVICE_STOPPING = "service_stopping"
INTERNAL_ERROR = "internal_error"

LEARNER_SENTENCES: dict[str, str] = {
    MODEL_OVERLOADED: "The tutor is very busy right now. Please try again in a moment.",
    MODEL_RATE_LIMITED: "The tutor has reached its limit for now. Please try again later.",
    MODEL_UNAVAILABLE: "The tutor cannot be reached right now. Please try again in a moment.",
    MODEL_MISCONFIGURED: "The tutor is not set up correctly. Please tell your teacher.",
    MODEL_TIMEOUT: "The tutor took too long to answer. Please try again.",
    MODEL_INTERRUPTED: "The tutor was cut off in the middle of its answer. Please try again.",
    MODEL_REFUSED: "The tutor cannot answer that. Please put it in another way.",
    MODEL_EMPTY: "The tutor did not find an answer. Please try again.",
    MODEL_INVALID: "The tutor's answer could not be used. Please try again.",
    CANCELLED: "The reply was stopped.",
    ABANDONED: "The tutor's answer was lost on the way. Please send your message again.",
    INTERNAL_ERROR: "Something went wrong here. Please try again; if it stays, tell your teacher.",
    SERVICE_STOPPING: "The tutor is being restarted. Please try again in a moment.",
}

_BY_STATUS = {
    408: MODEL_TIMEOUT,
    409: MODEL_UNAVAILABLE,
    429: MODEL_RATE_LIMITED,
    503: MODEL_OVERLOADED,
    529: MODEL_OVERLOADED,
}
# The types of error events in a stream after status 200.
_BY_ERROR_TYPE = {
    "overloaded_error": MODEL_OVERLOADED,
    "rate_limit_error": MODEL_RATE_LIMITED,
    "timeout_error": MODEL_TIMEOUT,
    "invalid_request_error": MODEL_MISCONFIGURED,
    "authentication_error": MODEL_MISCONFIGURED,
    "billing_error": MODEL_MISCONFIGURED,
    "permission_error": MODEL_MISCONFIGURED,
    "not_found_error": MODEL_MISCONFIGURED,
    "request_too_large": MODEL_MISCONFIGURED,
}
ERROR_TYPES = frozenset({*_BY_ERROR_TYPE, "api_error"})
"""The error types of Anthropic's API."""

_FINAL = frozenset({MODEL_MISCONFIGURED, MODEL_REFUSED})


class Cause(msgspec.Struct, frozen=True):
    """Why a model failed. `retry_after` is the provider's requested pause in seconds, if any."""

    code: str
    detail: str
    retry_after: float | None = None

    @property
    def retryable(self) -> bool:
        """Whether a retry may succeed soon.

        A rate limit without a requested pause is a spending cap, which no retry lifts.
        """
        if self.code == MODEL_RATE_LIMITED:
            return self.retry_after is not None
        return self.code not in _FINAL


class ModelFailure(Exception):
    """The model gave no usable reply.

    `code` is a key of `LEARNER_SENTENCES`. `detail` is a short text for the log, without learners'
    texts and keys. `partial_text` is the text that arrived, `usage` its tokens. `duration_ms`
    counts milliseconds from the creation of the `StreamedResponse`; `retry_after` is in seconds.
    """

    def __init__(
        self,
        code: str,
        *,
        retryable: bool,
        detail: str,
        partial_text: str = "",
        model: str | None = None,
        usage: Usage | None = None,
        provider_request_id: str | None = None,
        duration_ms: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.retryable = retryable
        self.detail = detail
        self.partial_text = partial_text
        self.model = model
        self.usage = usage
        self.provider_request_id = provider_request_id
        self.duration_ms = duration_ms
        self.retry_after = retry_after


def code_of_status(status: int, error_type: str | None) -> str:
    """The failure code of an HTTP error status, or of an error event in a stream (status 200)."""
    if status == 200:
        return _BY_ERROR_TYPE.get(error_type or "", MODEL_UNAVAILABLE)
    return _BY_STATUS.get(status) or (MODEL_UNAVAILABLE if status >= 500 else MODEL_MISCONFIGURED)
