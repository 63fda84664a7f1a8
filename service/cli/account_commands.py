"""`colloquy account`."""

import click

from service.cli.context import ID, printable, with_connection
from service.cli.terminal import print_line
from service.cli.text_parameters import VISIBLE_TEXT
from service.identity import accounts


@click.group()
def account() -> None:
    """Institutions, and the names that identity providers use for their users."""


@account.command()
@click.argument("name", type=VISIBLE_TEXT)
def create(name: str) -> None:
    """Add an institution with its own log, and print its number."""
    print_line(with_connection(lambda c: accounts.create_account(c, name)))


@account.command("list")
def list_() -> None:
    """List the institutions."""
    for number, name in with_connection(accounts.list_accounts):
        print_line(f"{number:>6}  {printable(name)}")


@account.command()
@click.option("--account", "account_id", type=ID, required=True)
@click.option("--user", "user_id", type=ID, required=True, help="Id of the user.")
@click.argument("subject", type=VISIBLE_TEXT)
def link(account_id: int, user_id: int, subject: str) -> None:
    """Store the name that the identity provider uses for a user of the roster."""
    with_connection(lambda c: accounts.link_identity(c, account_id, subject, user_id))
    print_line(f"{printable(subject)} is user {user_id}")
