"""`colloquy audit`. The commands themselves are in modules of their own."""

import click

from service.cli.audit.events_and_replay import events, replay
from service.cli.audit.verify_and_export import export, verify


@click.group()
def audit() -> None:
    """Read, replay, verify and export the log, for auditors. Each use is itself recorded."""


for command in (events, replay, verify, export):
    audit.add_command(command)
