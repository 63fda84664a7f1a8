"""`colloquy analyst`."""

import click

from eventstore.connection_urls import with_login
from eventstore.connections import Connection
from service.analytics import analyst_logins as analysts
from service.cli.context import ID, check_account, owner, with_connection, with_database
from service.cli.terminal import print_line, print_values, warn
from service.process.database import Database
from service.settings import Settings

account = click.option(
    "--account", "account_id", type=ID, required=True, help="Institution, by its number."
)

_UNLIMITED = (
    "colloquy: the database's owner is no superuser, so the login can take advisory locks, which "
    "block the service, and fill the disk with large objects, sorts, snapshots and messages in "
    "the server's log: give it only to people you trust"
)


@click.group()
def analyst() -> None:
    """Database logins for analysts, limited to chosen accounts."""


@analyst.command()
@click.argument("name")
@click.option(
    "--account",
    "accounts",
    type=ID,
    multiple=True,
    required=True,
    help="Institution that it may read; repeatable.",
)
@click.option("--days", type=click.IntRange(1, 36_500), help="Days until it expires.")
def create(name: str, accounts: tuple[int, ...], days: int | None) -> None:
    """Create a login and print only its connection URL.

    The password in it is not stored and cannot be shown again.
    """

    async def work(_settings: Settings, database: Database) -> str:
        async with owner(database.url) as connection:
            for number in accounts:
                await check_account(connection, number)
            password = await analysts.create_analyst(connection, name, accounts, days)
            if not await analysts.can_close_doors(connection):
                warn(_UNLIMITED)
        return with_login(database.url, name, password)

    print_line(with_database(work))


@analyst.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(as_json: bool) -> None:
    """List the logins and the accounts that each may read."""
    logins = with_connection(analysts.list_analysts)
    print_values(logins, _line, "there are no logins of analysts", as_json=as_json)


@analyst.command()
@click.argument("name")
@account
def grant(name: str, account_id: int) -> None:
    """Let a login read one more account."""

    async def work(connection: Connection) -> bool:
        await check_account(connection, account_id)
        return await analysts.grant_account(connection, name, account_id)

    already = "" if with_connection(work) else ", as before"
    print_line(f"{name} sees account {account_id}{already}")


@analyst.command()
@click.argument("name")
@account
def revoke(name: str, account_id: int) -> None:
    """Revoke a login's access to an account, from its next statement on."""
    already = (
        ""
        if with_connection(lambda c: analysts.revoke_account(c, name, account_id))
        else ", as before"
    )
    print_line(f"{name} does not see account {account_id}{already}")


@analyst.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove a login and end its sessions."""
    with_connection(lambda connection: analysts.remove_analyst(connection, name))
    print_line(f"{name} is removed")


def _line(analyst: analysts.Analyst) -> str:
    expires = f"{analyst.expires_at:%Y-%m-%d}" if analyst.expires_at else "never"
    accounts = ", ".join(map(str, analyst.accounts)) or "none"
    return (
        f"{analyst.role_name:<22} {analyst.state:<8} made {analyst.made_at:%Y-%m-%d}, "
        f"expires {expires}  accounts: {accounts}"
    )
