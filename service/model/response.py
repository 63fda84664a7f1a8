"""An answer under way, which can be turned into a reply or a failure at any moment."""

import time
from collections.abc import Callable, Mapping

import msgspec

from eventstore.provider_values import MAX_COUNT, StorableStream
from eventstore.reply_records import Usage
from service.escaping import is_blank
from service.model import errors
from service.model.errors import Cause, ModelFailure

OnDelta = Callable[[str], None]
"""Takes each piece of text as it arrives; all of them joined are the answer. Must not block."""


class Reply(msgspec.Struct, frozen=True):
    """A complete answer with its facts for auditors.

    `model` is the one that answered, which may be a dated version of the one asked for.
    `first_token_ms` and `duration_ms` count milliseconds from the making of the `StreamedResponse`.
    """

    text: str
    model: str
    stop_reason: str
    usage: Usage
    provider_request_id: str | None
    first_token_ms: int | None
    duration_ms: int


class StreamedResponse:
    """An answer under way; its clock starts now.

    `model_requested` is the requested model, `model` the one that answers. A provider sets the
    public attributes as it learns them, with values that the log can hold, and adds text as it
    arrives; characters that cannot be stored are replaced before anybody gets them.
    """

    def __init__(self, model_requested: str, on_delta: OnDelta | None = None) -> None:
        self.model_requested = model_requested
        self.model = model_requested
        self.provider_request_id: str | None = None
        self.usage: Usage | None = None
        self.stop_reason: str | None = None
        self.refusal_category: str | None = None
        self._counts = dict.fromkeys(Usage.__struct_fields__, 0)
        self._counts_before = self._counts
        self._on_delta = on_delta
        self._started = time.monotonic()
        self._coming = StorableStream()
        self._pieces: list[str] = []
        self._first_token_ms: int | None = None

    def add(self, text: str) -> None:
        """Add a piece of text and pass it on; half a character waits for the other half."""
        self._pass_on(self._coming.take(text))

    def _pass_on(self, text: str) -> None:
        if not text:
            return
        if self._first_token_ms is None:
            self._first_token_ms = self.elapsed_ms
        self._pieces.append(text)
        if self._on_delta is not None:
            self._on_delta(text)

    def resume(self) -> None:
        """Go on after a pause of the model, with another request for the same answer."""
        self.stop_reason = None
        self._counts_before = msgspec.structs.asdict(self.usage or Usage())
        self._counts = dict.fromkeys(Usage.__struct_fields__, 0)

    def count(self, tokens: Mapping[str, int | None]) -> None:
        """Set token counts of the request under way: totals so far; None leaves one unchanged.

        Counts of requests before a pause are added.
        """
        told = {name: number for name, number in tokens.items() if number is not None}
        self._counts = self._counts | told
        before = self._counts_before
        total = {name: min(before[name] + n, MAX_COUNT) for name, n in self._counts.items()}
        self.usage = Usage(**total)

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._pieces)

    def reply(self) -> Reply:
        """The complete answer.

        Raises:
            ModelFailure: It is cut off, refused or blank."""
        if self.stop_reason is None:
            raise self.failure(Cause(errors.MODEL_INTERRUPTED, "ended before its stop reason"))
        self._pass_on(self._coming.rest())
        text = self.text
        if self.stop_reason == "refusal":
            raise self.failure(Cause(errors.MODEL_REFUSED, f"category {self.refusal_category}"))
        if is_blank(text):
            raise self.failure(Cause(errors.MODEL_EMPTY, f"stop reason {self.stop_reason[:40]}"))
        return Reply(
            text=text,
            model=self.model,
            stop_reason=self.stop_reason,
            usage=self.usage or Usage(),
            provider_request_id=self.provider_request_id,
            first_token_ms=self._first_token_ms,
            duration_ms=self.elapsed_ms,
        )

    def failure(self, cause: Cause) -> ModelFailure:
        """A failure of this answer, with the text and the tokens so far."""
        return ModelFailure(
            cause.code,
            retryable=cause.retryable,
            detail=cause.detail,
            partial_text=self.text,
            model=self.model,
            usage=self.usage,
            provider_request_id=self.provider_request_id,
            duration_ms=self.elapsed_ms,
            retry_after=cause.retry_after,
        )

    @property
    def elapsed_ms(self) -> int:
        """Milliseconds since the request."""
        return round((time.monotonic() - self._started) * 1000)
