"""How long to wait for a store that does not answer."""

import random

import msgspec


class RetryDelays(msgspec.Struct, frozen=True):
    """How long to go on where a store does not answer, or says that it is busy.

    The pause doubles from `first` to `longest` seconds. A store that asks for a longer one gets up
    to `longest_asked` seconds.
    """

    attempts: int = 10
    first: float = 1.0
    longest: float = 60.0
    longest_asked: float = 600.0

    def pause(self, attempt: int, retry_after: float | None) -> float:
        """Seconds to wait after so many attempts."""
        usual = min(self.first * 2.0 ** (attempt - 1), self.longest)
        if retry_after is not None:
            return min(max(retry_after, 0.0), self.longest_asked)
        return usual * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing
