"""`colloquy projections`. Its commands are in the modules of this package."""

import click

from service.cli.projections.rebuild_commands import diff, pause, rebuild, resume
from service.cli.projections.status_commands import status
from service.cli.projections.user_defined_commands import check, drop, new


@click.group()
def projections() -> None:
    """The views of the log, built in and user-defined: status, rebuild, pause."""


for command in (status, rebuild, pause, resume, diff, new, check, drop):
    projections.add_command(command)
