"""The roles that the service works in and their rights, which a restored database may lack.

Roles belong to the whole server, and are in no dump of a database; without them their grants and
policies do not come back either.
"""

import asyncpg

from sql.errors import RolesMissing
from sql.loader import query, rights

ROLES = (
    "colloquy_service",
    "colloquy_worker",
    "colloquy_auditor",
    "colloquy_analyst",
    "colloquy_projector",
)


async def take_roles(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Makes the roles that are missing, and this login a member of each.

    Raises:
        RolesMissing: It may not; the message says what to run as somebody who may.
    """
    for _ in range(2):  # who has made a role is no member of it yet
        for row in await connection.fetch(query("list_missing_roles"), ROLES):
            try:
                await connection.execute(row["statement"])
            except asyncpg.InsufficientPrivilegeError:
                raise RolesMissing(await _advice(connection)) from None
            except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
                pass  # another database of the server makes it at this moment


async def check_roles(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Raises RolesMissing unless this login may take on all roles."""
    if await connection.fetch(query("list_missing_roles"), ROLES):
        raise RolesMissing(await _advice(connection))


async def missing_rights(connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    """The statements that give back what the roles lack and others have too much.

    Args:
        connection: The owner's, to a database with this program's schema and projections, and a
            member of all roles.
    """
    rows = await connection.fetch(query("list_rights"), ROLES)
    given = {_which(row["statement"]) for row in rows}
    missing = [statement for statement in rights() if _which(statement) not in given]
    of_generations = await connection.fetch(query("list_missing_generation_rights"))
    return list(dict.fromkeys([*missing, *(row["statement"] for row in of_generations)]))


async def restore_rights(connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    """Gives back what is missing, all or nothing; what that was."""
    missing = await missing_rights(connection)
    async with connection.transaction():
        for statement in missing:
            await connection.execute(statement)
    return missing


def _which(statement: str) -> str:
    """A policy's condition is written differently by different servers."""
    return statement.partition(" USING ")[0]


async def _advice(connection: "asyncpg.Connection[asyncpg.Record]") -> str:
    rows = await connection.fetch(query("list_missing_roles"), ROLES)
    login = await connection.fetchval(query("get_login"))
    made = [row["statement"] for row in rows if row["statement"].startswith("CREATE")]
    grant = f"GRANT {', '.join(row['name'] for row in rows)} TO {login}"
    return (
        f"{login} may not take on roles of the server that Colloquy works in; let an administrator "
        f"of the server run: {'; '.join([*made, grant])}"
    )
