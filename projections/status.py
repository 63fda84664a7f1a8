"""The progress of each projection."""

from datetime import datetime

import msgspec

from eventstore.connections import Connection
from sql.loader import query


class ProjectionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of one generation in one account.

    Attributes:
        position: The last applied position of the log.
        lag_seconds: Seconds since the first unapplied event was recorded.
        error: Why the projection has stopped, if it has: the event at `error_position`, of type
            `error_type`, cannot be applied.
        error_at: When that event was last tried.
        paused: Whether an operator has paused the projection.
    """

    name: str
    version: int
    generation: int
    mode: str
    state: str
    account_id: int
    position: int
    head: int
    lag_seconds: float | None
    error: str | None
    error_position: int | None
    error_type: str | None
    error_at: datetime | None
    paused: bool

    @property
    def lag_events(self) -> int:
        """The number of unapplied events."""
        return self.head - self.position


async def projection_status(connection: Connection) -> list[ProjectionStatus]:
    """All generations in all accounts, including those that are being built."""
    rows = await connection.fetch(query("list_projection_status"))
    return [msgspec.convert(dict(row), ProjectionStatus) for row in rows]
