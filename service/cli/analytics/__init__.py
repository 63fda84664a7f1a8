"""`colloquy analytics`. Its commands are in the modules of this package."""

import click

from service.cli.analytics.dictionary_commands import dictionary
from service.cli.analytics.export_commands import check, export
from service.cli.analytics.report_commands import report
from service.cli.analytics.statement_commands import statements


@click.group()
def analytics() -> None:
    """Exports and reports for analysts."""


for command in (export, check, report, dictionary, statements):
    analytics.add_command(command)
