"""Retries of appends whose stream has changed since it was read."""

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
    """The result of an attempt, which is repeated while others append first.

    Args:
        attempt: Reads the stream and appends at the revision that it has read.
        exhausted: Makes the error to raise when every attempt has met a conflict.
        conflict: The error that means a conflict.

    Raises:
        Exception: Any other error of an attempt, without another one.
    """
    for _ in range(attempts):
        try:
            return await attempt()
        except conflict:
            continue
    raise exhausted()
