"""The waits before retries of requests to a store."""

import random

import msgspec


class RetryDelays(msgspec.Struct, frozen=True):
    """Waits before retries.

    Attributes:
        attempts: Number of requests at most.
        first, longest: The first and the longest wait, in seconds; each doubles the one before.
        longest_asked: The longest wait that a store may ask for, in seconds.
    """

    attempts: int = 10
    first: float = 1.0
    longest: float = 60.0
    longest_asked: float = 600.0

    def pause(self, attempt: int, retry_after: float | None) -> float:
        """Seconds to wait after an attempt.

        Args:
            attempt: Its number, from 1 on.
            retry_after: Seconds that the store asks to wait; None if it does not.
        """
        usual = min(self.first * 2.0 ** (attempt - 1), self.longest)
        if retry_after is not None:
            return min(max(retry_after, 0.0), self.longest_asked)
        return usual * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing
