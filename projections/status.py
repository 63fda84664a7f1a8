"""How far each projection is."""

from datetime import datetime

import msgspec

from eventstore.connections import Connection
from sql.loader import query


class ProjectionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One projection and account.

    Attributes:
        position: The last position of the log that its rows stand for.
        lag_seconds: How long ago the first event was recorded that it has not seen.
        error: Why it is stopped, if it is; the event at `error_position`, of type `error_type`,
            cannot be applied.
        error_at: When that was last tried.
        paused: An operator has paused it.
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
        """How many events it has not seen."""
        return self.head - self.position


async def projection_status(connection: Connection) -> list[ProjectionStatus]:
    """All projections in all accounts, those that are being built included."""
    rows = await connection.fetch(query("list_projection_status"))
    return [msgspec.convert(dict(row), ProjectionStatus) for row in rows]
