"""`colloquy token`."""

import re

import click
import msgspec

from service import tokens
from service.cli.session import ID, in_account, printable, with_account
from service.errors import ServiceError

_SCOPE = re.compile(r"url:[A-Z]+\|/\S+|colloquy:[a-z]+")


@click.group()
def token() -> None:
    """Make, list and revoke access tokens."""


@token.command()
@click.option("--user", "user_id", type=ID, required=True, help="Id of the user.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    help="What the token may do, as 'url:GET|/api/v1/…' or 'colloquy:audit'; can be given "
    "again. Without any, all that its user may do.",
)
@click.option("--days", type=click.IntRange(1, 36_500), help="Expires after so many days.")
@click.option("--admin", is_flag=True, help="May act as any user of the account (as_user_id).")
@in_account
def create(
    account: int, user_id: int, scopes: tuple[str, ...], days: int | None, admin: bool
) -> None:
    """Make a token for a user of the roster and print it, and nothing else.

    It is stored only as a hash and cannot be shown again.
    """
    for scope in scopes:
        if not _SCOPE.fullmatch(scope):
            raise click.BadParameter(f"{scope!r} is no scope", param_hint="--scope")
    click.echo(
        with_account(
            account,
            lambda c: tokens.create_token(c, account, user_id, scopes, days, admin=admin),
        )
    )


@token.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@in_account
def list_(account: int, as_json: bool) -> None:
    """List all tokens, without what they are."""
    for info in with_account(account, lambda c: tokens.list_tokens(c, account)):
        if as_json:
            click.echo(msgspec.json.encode(info))
        else:
            expires = f"{info.expires_at:%Y-%m-%d}" if info.expires_at else "never"
            scopes = " ".join(info.scopes) or "all"
            name = printable(info.name)
            admin = "  admin" if info.admin else ""
            click.echo(
                f"{info.token_id:>6}  {info.state:<8} user {info.user_id} ({name})  "
                f"made {info.created_at:%Y-%m-%d}, expires {expires}  scopes: {scopes}{admin}"
            )


@token.command()
@click.argument("token_id", type=ID)
@in_account
def revoke(account: int, token_id: int) -> None:
    """End a token, by its number in `colloquy token list`."""
    if not with_account(account, lambda c: tokens.revoke_token(c, account, token_id)):
        raise ServiceError(f"there is no working token {token_id}")
    click.echo(f"token {token_id} is revoked")
