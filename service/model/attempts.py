"""The attempts to get one question answered: texts, tokens, costs and times so far."""

import time

from eventstore.provider_values import MAX_COUNT
from eventstore.reply_records import AttemptRecord, Usage
from service.model import errors
from service.model.prices import Prices
from service.model.response import OnDelta, StreamedResponse

COMPLETED = "completed"
CIRCUIT_OPEN = "circuit_open"


class AttemptLog:
    """All attempts to get one question answered; its clock starts with its creation.

    `on_delta` receives the answer's text as it arrives. After the first text, `streaming_started`
    is true and there is no further attempt. An unfinished attempt is recorded as cancelled, since
    it is only read when a caller ends it.
    """

    def __init__(self, prices: Prices, on_delta: OnDelta | None = None) -> None:
        self.streaming_started = False
        self._prices = prices
        self._on_delta = on_delta
        self._started = time.monotonic()
        self._attempts: list[_Attempt] = []
        self._first_token_ms: int | None = None

    def begin(self, model: str, waited_ms: int) -> StreamedResponse:
        """Starts an attempt with this model.

        Args:
            waited_ms: Milliseconds of the pause before the attempt.
        """
        response = StreamedResponse(model, self._take)
        self._first_token_ms = None
        self._attempts.append(_Attempt(response, waited_ms))
        return response

    def end(self, outcome: str, detail: str = "") -> None:
        """Ends the last attempt. `outcome` is as in `AttemptRecord`."""
        self._attempts[-1].end(outcome, detail)

    @property
    def attempt_records(self) -> tuple[AttemptRecord, ...]:
        """All attempts in order."""
        return tuple(attempt.record(self._prices) for attempt in self._attempts)

    @property
    def text(self) -> str:
        """The text of the last attempt so far."""
        return self._attempts[-1].response.text if self._attempts else ""

    @property
    def model(self) -> str | None:
        """The model that answered in the last attempt, or the requested one before an answer."""
        return self._attempts[-1].response.model if self._attempts else None

    @property
    def usage(self) -> Usage | None:
        """The tokens of the last attempt."""
        return self._attempts[-1].response.usage if self._attempts else None

    @property
    def provider_request_id(self) -> str | None:
        """The provider's id of the last attempt."""
        return self._attempts[-1].response.provider_request_id if self._attempts else None

    @property
    def first_token_ms(self) -> int | None:
        """Milliseconds from the beginning to the first text of the last attempt."""
        return self._first_token_ms

    @property
    def elapsed_ms(self) -> int:
        """Milliseconds since the beginning."""
        return round((time.monotonic() - self._started) * 1000)

    @property
    def price_version(self) -> str:
        """The version of the price table."""
        return self._prices.version

    @property
    def cost_microusd(self) -> int | None:
        """Micro-dollars for all attempts; None if the cost of a billed attempt is unknown.

        An attempt without usage or text was not billed.
        """
        costs = [a.record(self._prices).cost_microusd for a in self._attempts if a.was_billed]
        known = [cost for cost in costs if cost is not None]
        return _plausible(sum(known)) if len(known) == len(costs) else None

    def _take(self, text: str) -> None:
        if self._first_token_ms is None:
            self._first_token_ms = self.elapsed_ms
        if self._on_delta is not None:
            self.streaming_started = True
            self._on_delta(text)


class _Attempt:
    def __init__(self, response: StreamedResponse, waited_ms: int) -> None:
        self.response = response
        self._waited_ms = waited_ms
        self._outcome = errors.CANCELLED
        self._detail = ""
        self._duration_ms: int | None = None

    def end(self, outcome: str, detail: str) -> None:
        self._outcome = outcome
        self._detail = detail
        self._duration_ms = self.response.elapsed_ms

    @property
    def was_billed(self) -> bool:
        return self.response.usage is not None or bool(self.response.text)

    def record(self, prices: Prices) -> AttemptRecord:
        response, duration = self.response, self._duration_ms
        return AttemptRecord(
            model=response.model_requested,
            outcome=self._outcome,
            detail=self._detail,
            usage=response.usage,
            cost_microusd=_plausible(prices.cost_microusd(response.model, response.usage)),
            provider_request_id=response.provider_request_id,
            duration_ms=response.elapsed_ms if duration is None else duration,
            waited_ms=self._waited_ms,
        )


def _plausible(cost: int | None) -> int | None:
    """The cost, or None if it exceeds `MAX_COUNT`, as with a provider's wrong counts."""
    return cost if cost is not None and cost <= MAX_COUNT else None
