"""`colloquy analyst`."""

import click

from eventstore.connection_urls import with_login
from eventstore.connections import Connection
from service.analytics import analyst_logins as analysts
from service.cli.context import ID, check_account, owner, with_connection, with_database
from service.cli.terminal import tell, tell_each, warn
from service.process.database import Database
from service.settings import Settings

account = click.option(
    "--account", "account_id", type=ID, required=True, help="Institution, by its number."
)

_OPEN_DOORS = (
    "colloquy: the database's owner is no superuser, so the login can take advisory locks, which "
    "hold up the service, and fill the disk with large objects, sorts, snapshots and messages of "
    "the server's log: give it only to people you trust"
)


@click.group()
def analyst() -> None:
    """Logins for analysts, which read `analytics` of chosen accounts only."""


@analyst.command()
@click.argument("name")
@click.option(
    "--account",
    "accounts",
    type=ID,
    multiple=True,
    required=True,
    help="Institution that it sees; can be given again.",
)
@click.option("--days", type=click.IntRange(1, 36_500), help="Expires after so many days.")
def create(name: str, accounts: tuple[int, ...], days: int | None) -> None:
    """Make a login and print its connection URL, and nothing else.

    The password in it is not kept and cannot be shown again.
    """

    async def work(_settings: Settings, database: Database) -> str:
        async with owner(database.url) as connection:
            for number in accounts:
                await check_account(connection, number)
            password = await analysts.create_analyst(connection, name, accounts, days)
            if not await analysts.can_close_doors(connection):
                warn(_OPEN_DOORS)
        return with_login(database.url, name, password)

    tell(with_database(work))


@analyst.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(as_json: bool) -> None:
    """List the logins, and the accounts that each of them sees."""
    logins = with_connection(analysts.list_analysts)
    tell_each(logins, _for_people, "there are no logins of analysts", as_json=as_json)


@analyst.command()
@click.argument("name")
@account
def grant(name: str, account_id: int) -> None:
    """Let a login see one more account."""

    async def work(connection: Connection) -> bool:
        await check_account(connection, account_id)
        return await analysts.grant_account(connection, name, account_id)

    already = "" if with_connection(work) else ", as before"
    tell(f"{name} sees account {account_id}{already}")


@analyst.command()
@click.argument("name")
@account
def revoke(name: str, account_id: int) -> None:
    """Withdraw an account from a login, from its next statement on."""
    already = (
        ""
        if with_connection(lambda c: analysts.revoke_account(c, name, account_id))
        else ", as before"
    )
    tell(f"{name} does not see account {account_id}{already}")


@analyst.command()
@click.argument("name")
def remove(name: str) -> None:
    """End a login and the sessions that it has."""
    with_connection(lambda connection: analysts.remove_analyst(connection, name))
    tell(f"{name} is removed")


def _for_people(one: analysts.Analyst) -> str:
    expires = f"{one.expires_at:%Y-%m-%d}" if one.expires_at else "never"
    accounts = ", ".join(map(str, one.accounts)) or "none"
    return (
        f"{one.role_name:<22} {one.state:<8} made {one.made_at:%Y-%m-%d}, expires {expires}  "
        f"accounts: {accounts}"
    )
