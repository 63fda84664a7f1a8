"""Institutions, and the names of their users at identity providers."""

from eventstore.connections import Connection
from service.errors import UnknownUser
from sql.loader import query


async def create_account(connection: Connection, name: str) -> int:
    """Creates an institution with an empty log; returns its number."""
    return int(await connection.fetchval(query("create_account"), name))


async def list_accounts(connection: Connection) -> list[tuple[int, str]]:
    """Number and name of every institution."""
    rows = await connection.fetch(query("list_account_names"))
    return [(row["account_id"], row["name"]) for row in rows]


async def link_identity(
    connection: Connection, account_id: int, subject: str, user_id: int
) -> None:
    """Assigns the identity provider's `subject` to a user.

    When it returns, no request of the user who had it before is recorded any more.

    Raises:
        UnknownUser: The account has no such user.
    """
    if await connection.fetchval(query("upsert_identity"), account_id, subject, user_id) is None:
        raise UnknownUser(f"user {user_id} is not in the roster: import them first")
    await connection.execute(query("await_appends"), account_id)
