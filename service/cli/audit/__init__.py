"""`colloquy audit`. Its commands are in the modules of this package."""

import click

from service.cli.audit.event_commands import events, replay
from service.cli.audit.proof_commands import export, verify


@click.group()
def audit() -> None:
    """Read, replay, verify and export the log, for auditors. Each use is itself recorded."""


for command in (events, replay, verify, export):
    audit.add_command(command)
