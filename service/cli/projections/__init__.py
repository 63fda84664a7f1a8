"""`colloquy projections`. The commands themselves are in modules of their own."""

import click

from service.cli.projections.rebuild_commands import diff, pause, rebuild, resume
from service.cli.projections.status_commands import status
from service.cli.projections.user_defined_commands import check, drop, new


@click.group()
def projections() -> None:
    """The read views, and projections of your own: status, rebuild, pause."""


for command in (status, rebuild, pause, resume, diff, new, check, drop):
    projections.add_command(command)
