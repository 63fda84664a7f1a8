"""`colloquy audit`. The commands themselves are in modules of their own."""

import click

from service.cli.audit_proving import export, verify


@click.group()
def audit() -> None:
    """What auditors do: prove the log, and take proofs away. Each use is itself recorded."""


for command in (verify, export):
    audit.add_command(command)
