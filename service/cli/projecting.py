"""`colloquy projections`. The commands themselves are in modules of their own."""

import click

from service.cli.own_projections import check, drop, new
from service.cli.projection_status import status
from service.cli.steering import diff, pause, rebuild, resume


@click.group()
def projections() -> None:
    """The read views, and projections of your own: state, making them anew."""


for command in (status, rebuild, pause, resume, diff, new, check, drop):
    projections.add_command(command)
