"""A circuit breaker: a model that keeps failing is not asked for a while."""

import time
from collections.abc import Callable

import msgspec
import structlog

from service.model import errors

Clock = Callable[[], float]
"""Seconds that only ever grow, such as `time.monotonic`."""

_ABOUT_HEALTH = frozenset(
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

    After `failures` in a row it is for `pause` seconds, then twice as long for each trial that
    fails, up to `longest` seconds.
    """

    failures: int = 5
    pause: float = 5.0
    longest: float = 60.0


class Permit:
    """Permission for one request; it is returned with the result."""


class CircuitBreaker:
    """The circuit of one model.

    Closed, it lets everyone through. Open, it lets nobody through until its pause is over, and
    then one at a time: the first success closes it, the first failure opens it again. What comes
    of requests that were let through before it last opened or closed says nothing about now, so
    their permits are void.
    """

    def __init__(self, model: str, policy: BreakerPolicy, clock: Clock = time.monotonic) -> None:
        self._model = model
        self._policy = policy
        self._clock = clock
        # While closed, all hold the same permit; while open, at most one holds a trial's.
        self._permit: Permit | None = Permit()
        self._opened = False
        self._open_until = 0.0
        self._failures = 0
        self._next_pause = min(policy.pause, policy.longest)

    def admit(self) -> Permit | float:
        """A permit, or the seconds after which to try again."""
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
        """Seconds until the next request may pass; 0 if one may pass now."""
        return max(0.0, self._open_until - self._clock()) if self._opened else 0.0

    def succeeded(self, permit: Permit) -> None:
        """The model answered."""
        if permit is not self._permit:
            return
        self._failures = 0
        if self._opened:
            self._close()

    def failed(self, permit: Permit, code: str, retry_after: float | None = None) -> None:
        """The model failed with this code of `service.model.errors`.

        A rate limit with a pause (`retry_after`, in seconds) opens the circuit for that long.
        What does not tell about the model's health, such as a refusal, does not count.
        """
        if permit is not self._permit:
            return
        if code == errors.MODEL_RATE_LIMITED and retry_after is not None:
            self._open(min(retry_after, self._policy.longest), code)
        elif code in _ABOUT_HEALTH:
            self._count(code)
        else:
            self.release(permit)

    def release(self, permit: Permit) -> None:
        """The request ended without telling anything about the model."""
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
