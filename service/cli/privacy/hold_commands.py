"""`colloquy hold`."""

import click

from service.access_log import OPERATOR, Reader
from service.cli.context import ID, in_account, printable, with_database
from service.cli.privacy.privacy_services import open_privacy_services, with_reason
from service.cli.reader_options import as_reader, record_reading
from service.cli.terminal import print_line, print_values
from service.privacy.legal_holds import Hold
from service.process.database import Database
from service.settings import Settings


@click.group()
def hold() -> None:
    """Legal holds, which forbid deleting a learner's data."""


@hold.command()
@click.argument("user_id", metavar="USER", type=ID)
@with_reason
@in_account
def place(account: int, user_id: int, reason: str) -> None:
    """Place a hold on a learner and print its number."""

    async def work(_settings: Settings, database: Database) -> int:
        async with open_privacy_services(database.url) as services:
            return await services.holds.place(account, user_id, reason, OPERATOR)

    print_line(with_database(work))


@hold.command()
@click.argument("hold_id", type=ID)
@with_reason
@in_account
def release(account: int, hold_id: int, reason: str) -> None:
    """Release a hold, by its number."""

    async def work(_settings: Settings, database: Database) -> int:
        async with open_privacy_services(database.url) as services:
            return await services.holds.release(account, hold_id, reason, OPERATOR)

    print_line(f"hold {hold_id} on user {with_database(work)} is released")


@hold.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@as_reader
@in_account
def list_(account: int, as_json: bool, reader: Reader) -> None:
    """List all holds, also released ones, with names and reasons; the read is recorded."""

    async def work(settings: Settings, database: Database) -> list[Hold]:
        await record_reading(settings, database.url, account, reader, "hold list")
        async with open_privacy_services(database.url) as services:
            return await services.holds.list(account)

    print_values(with_database(work), _line, "there are no holds", as_json=as_json)


def _line(hold: Hold) -> str:
    ended = ""
    if hold.released_at:
        ended = f", released {hold.released_at:%Y-%m-%d}: {printable(hold.release_reason or '')}"
    return (
        f"{hold.hold_id:>6}  {'stands' if hold.released_at is None else 'over':<6}  "
        f"user {hold.user_id} ({printable(hold.user_name or '')})  "
        f"placed {hold.placed_at:%Y-%m-%d}: {printable(hold.reason)}{ended}"
    )
