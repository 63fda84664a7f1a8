"""`colloquy learner`."""

import click

from service.cli.desk import OPERATOR, Desk, open_desk, with_reason
from service.cli.session import printable, with_database
from service.cli.tokens import in_account
from service.database import Database
from service.erasure import Erased, Inventory
from service.errors import LegalHold
from service.settings import Settings


@click.group()
def learner() -> None:
    """What is kept about a learner, and its erasure."""


@learner.command()
@click.argument("user_id", metavar="USER", type=click.IntRange(1))
@with_reason
@click.option("--yes", is_flag=True, help="Do not ask.")
@in_account
def erase(account: int, user_id: int, reason: str, yes: bool) -> None:
    """Delete all words of a learner, their name and their ways in, for ever.

    Shows first what will be removed. Refused while a legal hold covers the learner.
    """

    async def work(_settings: Settings, database: Database) -> Erased:
        async with open_desk(database.url) as desk:
            await _ask(desk, account, user_id, yes)
            click.echo("stopping what is under way, then erasing …", err=True)
            return await desk.erasure.erase(account, user_id, reason, OPERATOR)

    done = with_database(work)
    click.echo(
        f"user {user_id} is erased: {done.texts} texts of {done.conversations} conversations, "
        f"{done.names} names and {done.identities} identities are deleted, "
        f"{done.tokens} tokens revoked"
    )


async def _ask(desk: Desk, account: int, user_id: int, yes: bool) -> None:
    found = await desk.erasure.inventory(account, user_id)
    if found.holds:
        raise LegalHold(user_id, found.holds)
    click.echo(_sentence(found), err=True)
    if not yes:
        click.confirm("This cannot be undone. Go on?", abort=True, err=True)


def _sentence(found: Inventory) -> str:
    return (
        f"user {found.user_id} ({printable(found.name)}): {found.texts} texts, "
        f"{found.conversations} conversations, {found.identities} identities, "
        f"{found.tokens} working tokens"
    )
