"""Access tokens of the service, stored only as hashes."""

import hashlib
import secrets
from datetime import datetime

import msgspec

from eventstore.connections import Connection
from service.errors import UnknownUser
from sql.loader import query

PREFIX = "colloquy_"
"""The prefix of every access token."""


class TokenInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A token's facts. The token itself is not stored."""

    token_id: int
    user_id: int
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    state: str
    admin: bool = False


def digest(token: str) -> bytes:
    """SHA-256 of a token. A token has 256 random bits, so no slow hash is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


async def create_token(
    connection: Connection,
    account_id: int,
    user_id: int,
    scopes: tuple[str, ...] = (),
    days: int | None = None,
    *,
    admin: bool = False,
) -> str:
    """Makes a token for a user of the roster and returns it; it cannot be read again.

    Args:
        scopes: What the token may do; empty: all that its user may.
        days: After how many days it expires; None: never.
        admin: Whether it may act as any user of the account.

    Raises:
        UnknownUser: The account has no such user.
    """
    token = PREFIX + secrets.token_urlsafe(32)
    made = await connection.fetchval(
        query("create_token"), account_id, user_id, digest(token), list(scopes), days, admin
    )
    if made is None:
        raise UnknownUser(f"user {user_id} is not in the roster: import them first")
    return token


async def list_tokens(connection: Connection, account_id: int) -> list[TokenInfo]:
    """All tokens of an account, revoked and expired ones included, oldest first."""
    rows = await connection.fetch(query("list_tokens"), account_id)
    return [msgspec.convert(dict(row), TokenInfo) for row in rows]


async def revoke_token(connection: Connection, account_id: int, token_id: int) -> bool:
    """Revokes a token; returns whether it was valid.

    When it returns, no request with the token is recorded any more.
    """
    async with connection.transaction():
        await connection.execute(query("await_appends"), account_id)
        return bool(await connection.fetchval(query("revoke_token"), account_id, token_id))
