"""Retries of appends at a revision that has moved on."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from eventstore.errors import EventStoreError, WrongExpectedRevision

MAX_ATTEMPTS = 20

T = TypeVar("T")


async def retry_on_conflict(
    attempt: Callable[[], Awaitable[T]],
    exhausted: Callable[[], Exception],
    *,
    conflict: type[EventStoreError] = WrongExpectedRevision,
    attempts: int = MAX_ATTEMPTS,
) -> T:
    """The result of reading, deciding and appending, repeated while others append first.

    Args:
        attempt: Reads the stream anew each time, and appends at the revision that it has read.
        exhausted: Makes the error that is raised when every attempt met a conflict.
        conflict: The error that means one.

    Raises:
        Exception: Any other error of an attempt, at once.
    """
    for _ in range(attempts):
        try:
            return await attempt()
        except conflict:
            continue
    raise exhausted()
