"""Legal holds: while one covers a learner, none of their texts can be deleted.

Holds are recorded in the learner's stream, which an erasure reads under the log's lock. So of a
concurrent hold and erasure, the second one sees the first.
"""

from datetime import datetime

import msgspec

from eventstore.conflicts import retry_on_conflict
from eventstore.connections import AccountPool
from eventstore.envelope import Metadata, NewEvent
from eventstore.log import EventLog
from eventstore.privacy_events import HoldPlaced, HoldReleased, stream_of_learner
from service.errors import Busy, UnknownHold, UnknownUser
from sql.loader import query


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A hold on a learner; `released_at` is None while it stands."""

    hold_id: int
    user_id: int
    user_name: str | None
    reason: str
    placed_at: datetime
    released_at: datetime | None
    release_reason: str | None


class LegalHolds:
    """All legal holds.

    Args:
        log: Where they are recorded.
        pool: Reads them, and gives out their numbers.
    """

    def __init__(self, log: EventLog, pool: AccountPool) -> None:
        self._log = log
        self._pool = pool

    async def place(self, account_id: int, user_id: int, reason: str, metadata: Metadata) -> int:
        """Places a hold on a learner; returns its number.

        Raises:
            UnknownUser: The account has no such user.
        """
        name = await self._pool.fetchval(account_id, query("get_user_name"), account_id, user_id)
        if name is None:
            raise UnknownUser(f"there is no user {user_id}")
        hold_id = int(await self._pool.fetchval(account_id, query("next_id"), account_id, "hold"))
        placed = HoldPlaced(hold_id=hold_id, user_id=user_id, reason=reason)
        await self._log.append(
            account_id,
            stream_of_learner(user_id),
            [NewEvent(event=placed)],
            expected=None,
            metadata=metadata,
        )
        return hold_id

    async def release(self, account_id: int, hold_id: int, reason: str, metadata: Metadata) -> int:
        """Releases a hold; returns the learner whom it covered.

        Raises:
            UnknownHold: There is no hold with this number, or it was released.
            Busy: Other events were appended to the learner's stream in each attempt.
        """
        user_id = await self._pool.fetchval(account_id, query("get_hold"), account_id, hold_id)
        if user_id is None:
            raise UnknownHold(f"there is no hold {hold_id}")
        stream = stream_of_learner(user_id)
        released = HoldReleased(hold_id=hold_id, user_id=user_id, reason=reason)

        async def attempt() -> int:
            history = await self._log.read_stream(account_id, stream)
            events = [recorded.event for recorded in history]
            if any(isinstance(e, HoldReleased) and e.hold_id == hold_id for e in events):
                raise UnknownHold(f"hold {hold_id} was released before")
            await self._log.append(
                account_id,
                stream,
                [NewEvent(event=released)],
                expected=history[-1].revision,
                metadata=metadata,
            )
            return int(user_id)

        busy = f"much happens to user {user_id} at once; try again"
        return await retry_on_conflict(attempt, lambda: Busy(busy))

    async def list(self, account_id: int, user_id: int | None = None) -> list[Hold]:
        """The holds of an account or of one learner, including released ones, oldest first."""
        rows = await self._pool.fetch(account_id, query("list_holds"), account_id, user_id)
        return [Hold(**dict(row)) for row in rows]
