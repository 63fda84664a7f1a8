"""How far the projections for analysts are behind an account's log."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

import msgspec

from eventstore.connections import AccountConnection, Connection
from eventstore.readable_numbers import age, counted
from sql.loader import query


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """How far the figures are behind the log.

    Attributes:
        position: Position of the last event that all projections have applied.
        head: Position of the log's last event.
        lag_events: Number of events that the slowest projection has not applied.
        lag_seconds: Seconds since the first of these was recorded.
        stopped: Projections that cannot apply an event, and wait for a fix.
        paused: Projections that an operator has paused.
        as_of: All events recorded before this time are counted.
    """

    position: int
    head: int
    lag_events: int
    lag_seconds: float
    stopped: tuple[str, ...]
    paused: tuple[str, ...]
    as_of: datetime


class ProjectionFreshness(msgspec.Struct, frozen=True, kw_only=True):
    """How far one projection is behind the log; `error_*` are null unless it is stopped."""

    projection: str
    version: int
    position: int
    head: int
    lag_events: int
    lag_seconds: float
    stopped: bool
    error_position: int | None
    error_at: datetime | None
    paused: bool


class AllFreshness(msgspec.Struct, frozen=True):
    """All projections for analysts, together and one by one."""

    freshness: Freshness
    projections: tuple[ProjectionFreshness, ...]


class AccountFreshness(ProjectionFreshness, frozen=True, kw_only=True):
    """A projection's freshness with operators' details.

    Attributes:
        last_error: Why it is stopped; it may quote a row.
        as_of: All events recorded before this time are applied.
    """

    account_id: int
    last_error: str | None
    as_of: datetime

    def __str__(self) -> str:
        behind = f"{counted(self.lag_events, 'event')} ({age(self.lag_seconds)})"
        words = f"{self.projection} of account {self.account_id} is {behind} behind the log"
        if self.stopped:
            words += f"; it is stopped at position {self.error_position}: {self.last_error}"
        return words + ("; it is paused" if self.paused else "")

    @property
    def doubtful(self) -> bool:
        """Whether readers should be warned."""
        return self.lag_events > 0 or self.stopped or self.paused


async def list_freshness(
    connection: Connection | AccountConnection, accounts: Sequence[int]
) -> list[AccountFreshness]:
    """How fresh each projection for analysts is in these accounts, by account and name."""
    rows = await connection.fetch(query("list_freshness"), accounts)
    return [AccountFreshness(**row) for row in rows]


def together(
    fresh: Sequence[AccountFreshness], projections: Collection[str] | None = None
) -> Freshness:
    """The freshness of an account's projections taken together.

    Args:
        projections: Their names; None for all.
    """
    chosen = [f for f in fresh if projections is None or f.projection in projections]
    return Freshness(
        position=min((f.position for f in chosen), default=0),
        head=max((f.head for f in chosen), default=0),
        lag_events=max((f.lag_events for f in chosen), default=0),
        lag_seconds=max((f.lag_seconds for f in chosen), default=0.0),
        stopped=tuple(f.projection for f in chosen if f.stopped),
        paused=tuple(f.projection for f in chosen if f.paused),
        as_of=min((f.as_of for f in chosen), default=datetime.now(UTC)),
    )


def without_errors(fresh: AccountFreshness) -> ProjectionFreshness:
    """A projection's freshness without operators' details."""
    return msgspec.convert(fresh, ProjectionFreshness, from_attributes=True)
