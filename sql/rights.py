"""The service's roles and their rights, which a restored database may lack.

Roles belong to the server, so a dump of a database does not contain them. Without the roles, a
restore cannot create their grants and policies either.
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
    """Creates missing roles, and makes this login a member of each.

    Raises:
        RolesMissing: The login may not; the message has the statements for an administrator.
    """
    for _ in range(2):  # the creator of a role is not a member of it yet
        for row in await connection.fetch(query("list_missing_roles"), ROLES):
            try:
                await connection.execute(row["statement"])
            except asyncpg.InsufficientPrivilegeError:
                raise RolesMissing(await _advice(connection)) from None
            except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
                pass  # another database of the server has just created it


async def check_roles(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Raises RolesMissing unless this login can take on all roles."""
    if await connection.fetch(query("list_missing_roles"), ROLES):
        raise RolesMissing(await _advice(connection))


async def missing_rights(connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    """The statements that grant the roles' missing rights and revoke excess rights of others.

    Args:
        connection: The owner's, a member of all roles, to a database with this program's schema and
            projections.
    """
    rows = await connection.fetch(query("list_rights"), ROLES)
    given = {_without_condition(row["statement"]) for row in rows}
    missing = [statement for statement in rights() if _without_condition(statement) not in given]
    of_generations = await connection.fetch(query("list_missing_generation_rights"))
    return list(dict.fromkeys([*missing, *(row["statement"] for row in of_generations)]))


async def restore_rights(connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    """Runs the statements of `missing_rights`, all or none, and returns them."""
    missing = await missing_rights(connection)
    async with connection.transaction():
        for statement in missing:
            await connection.execute(statement)
    return missing


def _without_condition(statement: str) -> str:
    """A statement without a policy's condition, which servers format differently."""
    return statement.partition(" USING ")[0]


async def _advice(connection: "asyncpg.Connection[asyncpg.Record]") -> str:
    rows = await connection.fetch(query("list_missing_roles"), ROLES)
    login = await connection.fetchval(query("get_login"))
    creations = [row["statement"] for row in rows if row["statement"].startswith("CREATE")]
    grant = f"GRANT {', '.join(row['name'] for row in rows)} TO {login}"
    return (
        f"{login} cannot take on roles of the server that Colloquy works in; let an administrator "
        f"of the server run: {'; '.join([*creations, grant])}"
    )
