"""How far the projections for analysts stand for an account's log."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

import msgspec

from eventstore.connections import AccountConnection, Connection
from eventstore.readable_numbers import age, counted
from sql.loader import query


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """How far the figures stand for the log.

    Attributes:
        position: Position of the last event that all of them stand for.
        head: Position of the log's last event.
        lag_events: How many events the one farthest behind has not seen.
        lag_seconds: Seconds since the first of these was recorded.
        stopped: Projections that cannot apply an event, and wait for a fix.
        paused: Projections that an operator has paused.
        as_of: What was recorded before this time is counted.
    """

    position: int
    head: int
    lag_events: int
    lag_seconds: float
    stopped: tuple[str, ...]
    paused: tuple[str, ...]
    as_of: datetime


class ProjectionFreshness(msgspec.Struct, frozen=True, kw_only=True):
    """How far one projection stands for the log; `error_*` are null unless it is stopped."""

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
    """A projection's freshness with operators' details. `last_error` may quote a row.

    Attributes:
        as_of: What was recorded before this time is in.
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
    """How far some projections of an account stand for its log, or all of them."""
    chosen = [one for one in fresh if projections is None or one.projection in projections]
    return Freshness(
        position=min((one.position for one in chosen), default=0),
        head=max((one.head for one in chosen), default=0),
        lag_events=max((one.lag_events for one in chosen), default=0),
        lag_seconds=max((one.lag_seconds for one in chosen), default=0.0),
        stopped=tuple(one.projection for one in chosen if one.stopped),
        paused=tuple(one.projection for one in chosen if one.paused),
        as_of=min((one.as_of for one in chosen), default=datetime.now(UTC)),
    )


def without_errors(fresh: AccountFreshness) -> ProjectionFreshness:
    """A projection's freshness without operators' details."""
    return msgspec.convert(fresh, ProjectionFreshness, from_attributes=True)
