"""`colloquy token`."""

import re

import click

from service.access_log import Reader
from service.cli.context import (
    ID,
    check_account,
    in_account,
    owner,
    printable,
    with_account,
    with_database,
)
from service.cli.reader_options import as_reader, record_reading
from service.cli.terminal import print_line, print_values
from service.errors import ServiceError
from service.identity import tokens
from service.process.database import Database
from service.settings import Settings

_SCOPE = re.compile(r"url:[A-Z]+\|/\S+|colloquy:[a-z]+")


@click.group()
def token() -> None:
    """Create, list and revoke access tokens."""


@token.command()
@click.option("--user", "user_id", type=ID, required=True, help="Id of the user.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    help="What the token may do, as 'url:GET|/api/v1/…' or 'colloquy:audit'; repeatable. By "
    "default, all that its user may do.",
)
@click.option("--days", type=click.IntRange(1, 36_500), help="Days until it expires.")
@click.option("--admin", is_flag=True, help="May act as any user of the account (as_user_id).")
@in_account
def create(
    account: int, user_id: int, scopes: tuple[str, ...], days: int | None, admin: bool
) -> None:
    """Create a token for a user of the roster and print only the token.

    It is stored only as a hash and cannot be shown again.
    """
    for scope in scopes:
        if not _SCOPE.fullmatch(scope):
            raise click.BadParameter(f"{scope!r} is not a scope", param_hint="--scope")
    print_line(
        with_account(
            account,
            lambda c: tokens.create_token(c, account, user_id, scopes, days, admin=admin),
        )
    )


@token.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@as_reader
@in_account
def list_(account: int, as_json: bool, reader: Reader) -> None:
    """List all tokens with their users' names; the read is recorded."""

    async def work(settings: Settings, database: Database) -> list[tokens.TokenInfo]:
        async with owner(database.url) as connection:
            await check_account(connection, account)
            await record_reading(settings, database.url, account, reader, "token list")
            return await tokens.list_tokens(connection, account)

    print_values(with_database(work), _line, "there are no tokens", as_json=as_json)


def _line(info: tokens.TokenInfo) -> str:
    expires = f"{info.expires_at:%Y-%m-%d}" if info.expires_at else "never"
    scopes = " ".join(info.scopes) or "all"
    name = printable(info.name)
    admin = "  admin" if info.admin else ""
    return (
        f"{info.token_id:>6}  {info.state:<8} user {info.user_id} ({name})  "
        f"made {info.created_at:%Y-%m-%d}, expires {expires}  scopes: {scopes}{admin}"
    )


@token.command()
@click.argument("token_id", type=ID)
@in_account
def revoke(account: int, token_id: int) -> None:
    """Revoke a token, by its number in `colloquy token list`."""
    if not with_account(account, lambda c: tokens.revoke_token(c, account, token_id)):
        raise ServiceError(f"there is no working token {token_id}")
    print_line(f"token {token_id} is revoked")
