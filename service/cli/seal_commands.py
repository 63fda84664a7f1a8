"""`colloquy seal`."""

import os
from typing import TYPE_CHECKING

import click

from service.cli.context import with_database
from service.cli.terminal import print_json, print_line, warn
from service.process.database import Database
from service.settings import Settings, read_settings

if TYPE_CHECKING:
    from eventstore.sealing.key_rotation import Rotation


@click.group()
def seal() -> None:
    """Sealing of the logs: status and signing key."""


@seal.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def status(as_json: bool) -> None:
    """Show how far each account is sealed; exit code 1 if the checkpoint files disagree."""
    from service.audit.sealing import SealingReport, sealing_reports
    from service.cli.context import owner

    async def read(settings: Settings, database: Database) -> list[SealingReport]:
        async with owner(database.url) as connection:
            return await sealing_reports(settings, connection)

    reports = with_database(read)
    for report in reports:
        if as_json:
            print_json(report)
            continue
        when = f"{report.sealed_at:%Y-%m-%d %H:%M:%S}" if report.sealed_at else "never"
        print_line(
            f"account {report.account_id}  {report.sealed}/{report.head} sealed  {when}  "
            f"{report.files}"
        )
    if not all(report.sound for report in reports):
        raise SystemExit(1)


@seal.command()
def key() -> None:
    """Print all keys that have signed checkpoints, oldest first, for auditors to keep."""
    from eventstore.errors import KeyRefused
    from eventstore.sealing.signing_keys import list_keys
    from service.audit.sealing import key_place

    keys = list_keys(key_place(read_settings(os.environ)))
    if not keys:
        raise KeyRefused("there is no key yet: `colloquy serve` makes it at its first start")
    for listed in keys:
        print_line(str(listed))


@seal.command("rotate-key")
def rotate_key() -> None:
    """Replace the signing key; running services start to use the new one.

    The state of each log is recorded and signed by both keys. Up to that state, the old key's
    checkpoints stay valid. Its public key stays in the list; its private key is deleted. A log
    that contradicts its checkpoints gets no record, and the exit code is 1.
    """

    async def work(settings: Settings, database: Database) -> "Rotation":
        from eventstore.sealing.key_rotation import rotate_key
        from service.audit.sealing import checkpoint_folder, key_place

        return await rotate_key(database.url, key_place(settings), checkpoint_folder(settings))

    rotation = with_database(work)
    print_line(rotation.signer.public)
    for problem in rotation.problems:
        warn(f"colloquy: the key is replaced, but not recorded for {problem}: run `audit verify`")
    if rotation.problems:
        raise SystemExit(1)
