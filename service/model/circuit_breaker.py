"""A circuit breaker: stops requests to a failing model for a while."""

import time
from collections.abc import Callable

import msgspec
import structlog

from service.model import errors

Clock = Callable[[], float]
"""A monotonic clock in seconds, such as `time.monotonic`."""

_HEALTH_CODES = frozenset(
    {
        errors.MODEL_OVERLOADED,
        errors.MODEL_UNAVAILABLE,
        errors.MODEL_TIMEOUT,
        errors.MODEL_INTERRUPTED,
    }
)

log = structlog.get_logger("colloquy.models")


class BreakerPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When a circuit opens, and for how long.

    It opens after `failures` in a row for `pause` seconds; each failed trial doubles the pause up
    to `longest` seconds.
    """

    failures: int = 5
    pause: float = 5.0
    longest: float = 60.0


class Permit:
    """Permission for one request; return it with the request's outcome."""


class CircuitBreaker:
    """The circuit of one model.

    A closed circuit admits all requests. An open one admits none until its pause is over, and then
    one at a time as a trial: a success closes the circuit, a failure opens it again. When the
    circuit opens or closes, earlier permits become void: their outcomes are ignored.
    """

    def __init__(self, model: str, policy: BreakerPolicy, clock: Clock = time.monotonic) -> None:
        self._model = model
        self._policy = policy
        self._clock = clock
        # While closed, all requests share this permit; while open, it is the trial's, if any.
        self._permit: Permit | None = Permit()
        self._opened = False
        self._open_until = 0.0
        self._failures = 0
        self._next_pause = min(policy.pause, policy.longest)

    def admit(self) -> Permit | float:
        """A permit, or the seconds to wait before the next call."""
        if not self._opened:
            assert self._permit is not None
            return self._permit
        if (wait := self.seconds_left()) > 0:
            return wait
        if self._permit is not None:
            return self._policy.pause
        self._permit = Permit()
        return self._permit

    def seconds_left(self) -> float:
        """Seconds until a request may be admitted; 0 if one may be now."""
        return max(0.0, self._open_until - self._clock()) if self._opened else 0.0

    def succeeded(self, permit: Permit) -> None:
        """Records that the model answered."""
        if permit is not self._permit:
            return
        self._failures = 0
        if self._opened:
            self._close()

    def failed(self, permit: Permit, code: str, retry_after: float | None = None) -> None:
        """Records that the model failed.

        Failures that say nothing about the model's health, such as a refusal, do not count.

        Args:
            code: Of `service.model.errors`.
            retry_after: Seconds; with a rate limit, the circuit opens for that long.
        """
        if permit is not self._permit:
            return
        if code == errors.MODEL_RATE_LIMITED and retry_after is not None:
            self._open(min(retry_after, self._policy.longest), code)
        elif code in _HEALTH_CODES:
            self._count(code)
        else:
            self.release(permit)

    def release(self, permit: Permit) -> None:
        """Returns a permit of a request that ended without an outcome."""
        if permit is self._permit and self._opened:
            self._permit = None

    def _count(self, code: str) -> None:
        self._failures += 1
        if self._opened or self._failures >= self._policy.failures:
            pause = self._next_pause
            self._next_pause = min(pause * 2, self._policy.longest)
            self._open(pause, code)

    def _open(self, seconds: float, code: str) -> None:
        self._opened = True
        self._permit = None
        self._open_until = self._clock() + seconds
        log.warning("circuit_opened", model=self._model, code=code, seconds=round(seconds, 3))

    def _close(self) -> None:
        self._opened = False
        self._permit = Permit()
        self._next_pause = min(self._policy.pause, self._policy.longest)
        log.info("circuit_closed", model=self._model)
