"""`colloquy analytics`. The commands themselves are in modules of their own."""

import click

from service.cli.reporting import report


@click.group()
def analytics() -> None:
    """What analysts take away."""


for command in (report,):
    analytics.add_command(command)
