"""What has arrived of one reply, ready at any moment to be told as a reply or as a failure."""

import time

from eventstore.events import Usage
from service.model import errors
from service.model.errors import Cause, ModelFailure
from service.model.interface import OnDelta, Reply


class Arrival:
    """A reply under way; its clock starts now. `model` is the one asked for until another answers.

    A provider fills in the public attributes as it learns them.
    """

    def __init__(self, model: str, on_delta: OnDelta | None) -> None:
        self.model = model
        self.provider_request_id: str | None = None
        self.usage: Usage | None = None
        self.stop_reason: str | None = None
        self.refusal_category: str | None = None
        self._on_delta = on_delta
        self._started = time.monotonic()
        self._pieces: list[str] = []
        self._first_token_ms: int | None = None

    def add(self, text: str) -> None:
        """Take up a piece of text and pass it on."""
        if not text:
            return
        if self._first_token_ms is None:
            self._first_token_ms = self._elapsed_ms()
        self._pieces.append(text)
        if self._on_delta is not None:
            self._on_delta(text)

    def reply(self) -> Reply:
        """The finished reply; raises `ModelFailure` where it is not finished, refused or blank."""
        text = "".join(self._pieces)
        if self.stop_reason is None:
            raise self.failure(Cause(errors.MODEL_INTERRUPTED, "ended before its stop reason"))
        if self.stop_reason == "refusal":
            raise self.failure(Cause(errors.MODEL_REFUSED, f"category {self.refusal_category}"))
        if not text.strip():
            raise self.failure(Cause(errors.MODEL_EMPTY, f"stop reason {self.stop_reason[:40]}"))
        return Reply(
            text=text,
            model=self.model,
            stop_reason=self.stop_reason,
            usage=self.usage or Usage(),
            provider_request_id=self.provider_request_id,
            first_token_ms=self._first_token_ms,
            duration_ms=self._elapsed_ms(),
        )

    def failure(self, cause: Cause) -> ModelFailure:
        """The failure that ends this reply, with all that had arrived of it."""
        return ModelFailure(
            cause.code,
            retryable=cause.retryable,
            detail=cause.detail,
            partial_text="".join(self._pieces),
            model=self.model,
            usage=self.usage,
            provider_request_id=self.provider_request_id,
            duration_ms=self._elapsed_ms(),
            retry_after=cause.retry_after,
        )

    def _elapsed_ms(self) -> int:
        return round((time.monotonic() - self._started) * 1000)
