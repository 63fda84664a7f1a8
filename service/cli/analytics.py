"""`colloquy analytics`. The commands themselves are in modules of their own."""

import click

from service.cli.statements import statements


@click.group()
def analytics() -> None:
    """What analysts take away."""


for command in (statements,):
    analytics.add_command(command)
