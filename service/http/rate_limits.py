"""Daily limits (UTC) of requests that cost money or storage, per user.

It is counted in the transaction of the append and by the day that the append is of, so the count is
the same for all processes and after restarts, and no request comes in between.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Literal

import msgspec

LimitedAction = Literal["create", "message", "evaluation", "feedback"]


class DailyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The highest number of requests of a user in a day, by kind."""

    create: int
    message: int
    evaluation: int
    feedback: int

    def of(self, kind: LimitedAction) -> int:
        """The limit of a kind."""
        match kind:
            case "create":
                return self.create
            case "message":
                return self.message
            case "evaluation":
                return self.evaluation
            case "feedback":
                return self.feedback


def until_next(day: date, now: datetime) -> float:
    """Seconds from now to the end of a day."""
    end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    return max(1.0, (end - now).total_seconds())
