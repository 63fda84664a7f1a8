"""`colloquy analytics`. The commands themselves are in modules of their own."""

import click

from service.cli.dictionary import dictionary
from service.cli.exporting import check, export
from service.cli.reporting import report
from service.cli.statements import statements


@click.group()
def analytics() -> None:
    """What analysts take away."""


for command in (export, check, report, dictionary, statements):
    analytics.add_command(command)
