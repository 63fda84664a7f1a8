"""Analysts' logins: database roles that read the analytics of chosen accounts."""

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import datetime

import asyncpg
import msgspec

from eventstore.connections import Connection
from service.analytics.errors import AnalystError
from sql.loader import query

_NAME = re.compile(r"(?!pg_|colloquy_)[a-z][a-z0-9_]{0,62}")
_CONNECTIONS = 10
_ROUNDS = 4096
_LOOKS = 200
_PAUSE = 0.05


class Analyst(msgspec.Struct, frozen=True):
    """A login, without its password. `accounts` are those that it can read."""

    role_name: str
    made_at: datetime
    expires_at: datetime | None
    state: str
    accounts: tuple[int, ...]


async def create_analyst(
    connection: Connection, name: str, accounts: Sequence[int], days: int | None
) -> str:
    """Creates a login; returns its password, which is not stored.

    Args:
        accounts: The accounts that it can read.
        days: After how many days the password expires; None: never.

    Raises:
        AnalystError: The name is invalid, the server has a role with this name, or the database's
            owner may not create roles.
    """
    if not _NAME.fullmatch(name):
        raise AnalystError(
            f"{name!r} cannot be a login: use at most 63 small letters, digits and _, with a "
            "letter first, and not pg_… or colloquy_…"
        )
    password = secrets.token_urlsafe(24)
    try:
        await _create(connection, name, _verifier(password), accounts, days)
    except asyncpg.DuplicateObjectError as error:
        raise AnalystError(
            f"the database server already has a role {name}; all its databases share roles"
        ) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise AnalystError(
            f"the database's owner may not create logins: give it CREATEROLE ({error})"
        ) from error
    return password


async def _create(
    connection: Connection, name: str, verifier: str, accounts: Sequence[int], days: int | None
) -> None:
    async with connection.transaction():
        await connection.execute(query("create_analyst"), name, verifier, days, _CONNECTIONS)
        await connection.execute(query("limit_spilling"), name)
        await connection.execute(query("watch_analyst"), name)
        for account in accounts:
            await connection.execute(query("grant_account"), name, account)


async def can_close_doors(connection: Connection) -> bool:
    """Whether logins can be kept from blocking functions, which takes a superuser."""
    return bool(await connection.fetchval(query("has_all_rights")))


async def list_analysts(connection: Connection) -> list[Analyst]:
    """All logins that were made for this database, by name."""
    rows = await connection.fetch(query("list_analysts"))
    return [msgspec.convert(dict(row), Analyst) for row in rows]


async def grant_account(connection: Connection, name: str, account_id: int) -> bool:
    """Lets the login see an account; False if it did already.

    Raises:
        AnalystError: There is no such login.
    """
    await _check(connection, name)
    return await connection.fetchval(query("grant_account"), name, account_id) is not None


async def revoke_account(connection: Connection, name: str, account_id: int) -> bool:
    """Hides an account from the login's next statement on; False if it was not visible.

    Raises:
        AnalystError: There is no such login.
    """
    await _check(connection, name)
    return await connection.fetchval(query("revoke_account"), name, account_id) is not None


async def remove_analyst(connection: Connection, name: str) -> None:
    """Ends a login and its sessions.

    Raises:
        AnalystError: There is none, or something keeps it, as the message says.
    """
    await _check(connection, name)
    try:
        await connection.execute(query("close_analyst"), name)
        await _end_sessions(connection, name)
        await connection.execute(query("drop_analyst"), name)
    except asyncpg.DependentObjectsStillExistError as error:
        raise AnalystError(
            f"{name} can log in no more, but owns things or has rights elsewhere on the server: "
            f"{error.detail or error}".replace("\n", "; ")
        ) from error


async def _end_sessions(connection: Connection, name: str) -> None:
    for _ in range(_LOOKS):
        if not await connection.fetch(query("end_sessions"), name):
            return
        await asyncio.sleep(_PAUSE)
    raise AnalystError(f"{name} can log in no more, but a session of it does not end")


async def _check(connection: Connection, name: str) -> None:
    if not _NAME.fullmatch(name) or not await connection.fetchval(query("has_analyst"), name):
        raise AnalystError(f"there is no analyst {name}: see `colloquy analyst list`")


def _verifier(password: str) -> str:
    """The verifier of a password (RFC 5803), so that the server never receives the password."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ROUNDS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    coded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ROUNDS}:{coded[0]}${coded[1]}:{coded[2]}"
