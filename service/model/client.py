"""The model client: the only place that retries failures of models.

Models make single attempts. The client adds a deadline, pauses, a circuit breaker for each model
and fallbacks, and records every attempt.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from eventstore.reply_records import ReplyRecord
from service.model import errors
from service.model.attempts import CIRCUIT_OPEN, COMPLETED, AttemptLog
from service.model.circuit_breaker import BreakerPolicy, CircuitBreaker, Clock, Permit
from service.model.errors import Cause, ModelFailure
from service.model.interface import Model, Request
from service.model.prices import Prices
from service.model.response import OnDelta, Reply, StreamedResponse

__all__ = ["AttemptLog", "BreakerPolicy", "ModelClient", "RetryPolicy"]

T = TypeVar("T")


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often, and with which pauses, a request is retried.

    `attempts` is for each model. The pause between two attempts is `first_pause` seconds, and
    doubles up to `longest_pause`. It is shortened at random by up to a half, so that requests that
    failed together are not retried together.
    """

    attempts: int = 3
    first_pause: float = 0.5
    longest_pause: float = 8.0
    breaker: BreakerPolicy = BreakerPolicy()


class _Question(msgspec.Struct, Generic[T], frozen=True):
    request: Request
    deadline: float
    attempt_log: AttemptLog
    read: Callable[[str], T]


class ModelClient:
    """Sends requests to models under a policy, with a circuit breaker for each model.

    Args:
        rng: Returns random numbers from 0 to 1.
        clock: Monotonic, in seconds.
        sleep: Waits for seconds of `clock`.
    """

    def __init__(
        self,
        model: Model,
        prices: Prices,
        policy: RetryPolicy,
        *,
        rng: Callable[[], float] = random.random,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._model = model
        self._prices = prices
        self._policy = policy
        self._rng = rng
        self._clock = clock
        self._sleep = sleep
        self._breakers: dict[str, CircuitBreaker] = {}

    def attempt_log(self, on_delta: OnDelta | None = None) -> AttemptLog:
        """A new log of attempts with this client's prices."""
        return AttemptLog(self._prices, on_delta)

    async def ask(
        self,
        request: Request,
        models: Sequence[str],
        budget: float,
        attempt_log: AttemptLog,
        read: Callable[[str], T],
    ) -> tuple[T, ReplyRecord]:
        """The result of `read` for the answer, and the record of the answer without `context`.

        Nothing is retried once `attempt_log.streaming_started`, and there is no fallback after a
        refusal.

        Args:
            models: The model to ask, then its fallbacks in order.
            budget: Seconds for all attempts and pauses.
            attempt_log: Records the attempts, also if this call fails or is cancelled.
            read: Parses the answer; its `ModelFailure` is a failure of the attempt.

        Raises:
            ModelFailure: The last failure when all models have failed; its `retry_after` is the
                shortest that any of them requested.
        """
        question = _Question(request, self._clock() + budget, attempt_log, read)
        pauses: list[float] = []
        for number, name in enumerate(models, start=1):
            try:
                value, reply = await self._ask_model(name, question)
            except ModelFailure as failure:
                _keep_shortest_pause(failure, pauses)
                if number == len(models) or not self._may_fall_back(failure, question):
                    raise
            else:
                return value, self._record(name, number > 1, question, reply)
        raise ValueError("there is no model to ask")

    async def ask_for_text(
        self, request: Request, models: Sequence[str], budget: float, attempt_log: AttemptLog
    ) -> tuple[str, ReplyRecord]:
        """The answer's text and its record; see `ask`."""
        return await self.ask(request, models, budget, attempt_log, str)

    async def _ask_model(self, name: str, question: _Question[T]) -> tuple[T, Reply]:
        waited = 0.0
        number = 1
        before: ModelFailure | None = None
        while True:
            response = question.attempt_log.begin(name, round(waited * 1000))
            permit = self._admit(name, response, question.attempt_log, before)
            try:
                return await self._attempt(response, permit, question)
            except ModelFailure as failure:
                due = self._retry_at(name, number, failure, question)
                if due is None:
                    raise
                before = failure
                waited = await self._wait_until(due)
                if self._clock() >= question.deadline:  # a sleep may end late
                    raise
            number += 1

    def _admit(
        self,
        name: str,
        response: StreamedResponse,
        attempt_log: AttemptLog,
        before: ModelFailure | None,
    ) -> Permit:
        """A permit; if the circuit is open, raises a failure with the code of the one before."""
        permit = self._breaker(name).admit()
        if isinstance(permit, Permit):
            return permit
        attempt_log.end(CIRCUIT_OPEN)
        code = before.code if before else errors.MODEL_UNAVAILABLE
        raise response.failure(Cause(code, "circuit open", permit))

    async def _attempt(
        self, response: StreamedResponse, permit: Permit, question: _Question[T]
    ) -> tuple[T, Reply]:
        attempt_log, breaker = question.attempt_log, self._breaker(response.model_requested)
        try:
            await self._model.answer(question.request, response, question.deadline - self._clock())
            reply = response.reply()
            value = question.read(reply.text)
        except BaseException as error:
            _record_end(error, breaker, permit, attempt_log)
            raise
        breaker.succeeded(permit)
        attempt_log.end(COMPLETED)
        return value, reply

    def _retry_at(
        self, name: str, number: int, failure: ModelFailure, question: _Question[T]
    ) -> float | None:
        """When to retry with this model, or None for no retry."""
        if (
            question.attempt_log.streaming_started
            or not failure.retryable
            or number >= self._policy.attempts
        ):
            return None
        pause = self._pause(number, failure)
        if self._breaker(name).seconds_left() > pause:
            return None
        due = self._clock() + pause
        return due if due < question.deadline else None

    def _pause(self, number: int, failure: ModelFailure) -> float:
        longest = min(self._policy.first_pause * 2.0 ** (number - 1), self._policy.longest_pause)
        return max(longest * (0.5 + self._rng() / 2), failure.retry_after or 0.0)

    async def _wait_until(self, due: float) -> float:
        # An event loop may round a sleep down, but a circuit must not be tried too early.
        started = self._clock()
        while (left := due - self._clock()) > 0:
            await self._sleep(left)
        return self._clock() - started

    def _may_fall_back(self, failure: ModelFailure, question: _Question[T]) -> bool:
        return (
            failure.code != errors.MODEL_REFUSED
            and not question.attempt_log.streaming_started
            and self._clock() < question.deadline
        )

    def _breaker(self, name: str) -> CircuitBreaker:
        if name not in self._breakers:
            self._breakers[name] = CircuitBreaker(name, self._policy.breaker, self._clock)
        return self._breakers[name]

    def _record(
        self, name: str, fallback: bool, question: _Question[T], reply: Reply
    ) -> ReplyRecord:
        attempt_log, records = question.attempt_log, question.attempt_log.attempt_records
        return ReplyRecord(
            model_requested=name,
            model=reply.model,
            max_tokens=question.request.max_tokens,
            prompt=self._model.prompt(question.request),
            stop_reason=reply.stop_reason,
            usage=reply.usage,
            provider_request_id=reply.provider_request_id,
            first_token_ms=attempt_log.first_token_ms,
            duration_ms=attempt_log.elapsed_ms,
            attempts=len(records),
            attempt_records=records,
            fallback=fallback,
            price_version=attempt_log.price_version,
            cost_microusd=attempt_log.cost_microusd,
        )


def _record_end(
    error: BaseException, breaker: CircuitBreaker, permit: Permit, attempt_log: AttemptLog
) -> None:
    match error:
        case ModelFailure():
            breaker.failed(permit, error.code, error.retry_after)
            attempt_log.end(error.code, error.detail)
        case asyncio.CancelledError():
            breaker.release(permit)
            attempt_log.end(errors.CANCELLED)
        case _:
            breaker.release(permit)
            attempt_log.end(errors.INTERNAL_ERROR, type(error).__name__)


def _keep_shortest_pause(failure: ModelFailure, pauses: list[float]) -> None:
    if failure.retry_after is not None:
        pauses.append(failure.retry_after)
    if failure.retryable:
        failure.retry_after = min(pauses, default=None)
