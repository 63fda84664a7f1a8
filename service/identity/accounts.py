"""Institutions, and what their identity providers call their users."""

from eventstore.connections import Connection
from service.errors import UnknownUser
from sql.loader import query


async def create_account(connection: Connection, name: str) -> int:
    """The number of a new institution, which has an empty log."""
    return int(await connection.fetchval(query("create_account"), name))


async def list_accounts(connection: Connection) -> list[tuple[int, str]]:
    """Number and name of every institution."""
    rows = await connection.fetch(query("list_account_names"))
    return [(row["account_id"], row["name"]) for row in rows]


async def link_identity(
    connection: Connection, account_id: int, subject: str, user_id: int
) -> None:
    """From now on the provider's tokens for `subject` are this user's.

    When it returns, nothing is recorded any more for whose they were before.

    Raises:
        UnknownUser: The account has no such user.
    """
    if await connection.fetchval(query("upsert_identity"), account_id, subject, user_id) is None:
        raise UnknownUser(f"user {user_id} is not in the roster: import them first")
    await connection.execute(query("await_appends"), account_id)
