"""Errors of the log."""

from datetime import date
from typing import Literal


class EventStoreError(Exception):
    """An operation on the log failed."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class WrongExpectedRevision(EventStoreError):
    """The stream has moved on since it was read."""

    def __init__(self, stream: str, expected: int, current: int) -> None:
        super().__init__(f"stream {stream} is at revision {current}, not at {expected}")
        self.stream = stream
        self.expected = expected
        self.current = current


class GuardBroken(EventStoreError):
    """What the request rests on has changed since it was checked; try again in a moment."""

    def __init__(self, changed: Literal["token", "role", "stream", "erasure"]) -> None:
        super().__init__()
        self.changed = changed


class LimitReached(EventStoreError):
    """The user has done it as often as they may in a day; `day` begins at midnight, UTC."""

    def __init__(self, day: date) -> None:
        super().__init__()
        self.day = day


class AppendRefused(EventStoreError):
    """The database refused these events; the cause says why."""


class AppendFaulty(AppendRefused):
    """The append's statement failed in the database; the cause says why."""


class EventUnstorable(AppendRefused):
    """The encoded event cannot be decoded again, so it is not stored."""


class LogUnavailable(EventStoreError):
    """The database does not answer; try again in a moment."""


class DatabaseBusy(EventStoreError):
    """The database cannot do this at the moment; try again in a moment."""


class UnknownEventType(EventStoreError):
    """The log has an event of a type that this program does not know."""


class LogBusy(EventStoreError):
    """Too many events are waiting to be stored; try again in a moment."""


class LogClosed(EventStoreError):
    """The service is stopping; try again in a moment."""


class TilesMissing(EventStoreError):
    """The Merkle tree has fewer leaves than requested."""


class NoteInvalid(EventStoreError):
    """The note is not a checkpoint signed by one of the keys."""


class KeyRefused(EventStoreError):
    """The key that signs checkpoints cannot be used."""


class PathUntrusted(EventStoreError):
    """Another user of this machine may have created the path, or can change it."""


class CheckpointFilesDamaged(EventStoreError):
    """A file of checkpoints has other contents."""


class CheckpointFilesFailed(EventStoreError):
    """The files of checkpoints cannot be read or written."""


class LogDamaged(EventStoreError):
    """The log differs from what was sealed."""
