"""How far each account's log is sealed."""

from datetime import datetime

import msgspec

from eventstore.connections import Connection
from sql.loader import query


class SealingState(msgspec.Struct, frozen=True):
    """How far an account's log is sealed. `root` and `sealed_at` are of the last checkpoint."""

    account_id: int
    head: int
    sealed: int
    root: bytes | None
    sealed_at: datetime | None


async def sealing_states(
    connection: Connection, account_id: int | None = None
) -> list[SealingState]:
    """How far each account's log, or that of one account, is sealed."""
    return [SealingState(*row) for row in await connection.fetch(query("list_sealing"), account_id)]
