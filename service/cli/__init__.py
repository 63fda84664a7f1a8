"""The command `colloquy`. Each module holds one group of commands."""

import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from service.cli.terminal import (
    leave_quietly,
    open_standard_streams,
    show_fault,
    warn,
    warn_of_usage,
)
from service.cli.text_parameters import take_text_only
from service.errors import OutputLost

COMMANDS = {
    "account": (
        "account_commands",
        "Institutions, and what their identity providers call their users.",
    ),
    "analyst": (
        "analyst_commands",
        "Logins for analysts, which read `analytics` of chosen accounts only.",
    ),
    "analytics": ("analytics", "Exports and reports for analysts."),
    "audit": ("audit", "Read, replay, verify and export the log, for auditors."),
    "db": ("database_commands", "Reach the database as its owner."),
    "doctor": (
        "doctor_commands",
        "Check settings, database, projections, sealing and model; exit code 1 on a fault.",
    ),
    "experience": ("experience_commands", "AI experiences: what learners talk with."),
    "hold": (
        "privacy.hold_commands",
        "Legal holds: nothing of a learner under one can be deleted.",
    ),
    "learner": ("privacy.learner_commands", "What is kept about a learner, and its erasure."),
    "log": ("log_commands", "Read the log."),
    "migrate": ("database_commands", "Bring the schema and the projections up to date."),
    "projections": (
        "projections",
        "The read views, and projections of your own: status, rebuild, pause.",
    ),
    "retention": (
        "privacy.retention_commands",
        "How long texts are kept after a conversation is completed.",
    ),
    "roster": ("roster_commands", "Who belongs to which course."),
    "seal": ("seal_commands", "Sealing of the logs: its status, and the signing key."),
    "serve": ("serve_commands", "Serve the API, until SIGTERM or Ctrl-C."),
    "token": ("token_commands", "Make, list and revoke access tokens."),
}
"""Each command's module, which is loaded when the command is asked for, and what it is for."""


class _Commands(click.Group):
    """A group whose usage errors are escaped like all other output."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, in order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, if there is one."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"service.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        take_text_only(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes what each command is for, without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def main(self, *arguments: Any, **extra: Any) -> NoReturn:
        """Runs the command, and ends with its exit code."""
        try:
            code = super().main(*arguments, **extra | {"standalone_mode": False})
        except click.ClickException as error:
            warn_of_usage(error)
            sys.exit(error.exit_code)
        except click.Abort:
            warn("Aborted!")
            sys.exit(1)
        sys.exit(code or 0)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="colloquy")
def colloquy() -> None:
    """AI conversations between learners and AI experiences, with every word in an immutable log.

    Settings come from the environment: DATABASE_URL, COLLOQUY_HOME, ANTHROPIC_API_KEY and the
    others in docs/operations.md.
    """


def main() -> None:
    """Runs the command; a foreseen error is one line on standard error and exit code 1."""
    sys.excepthook = show_fault
    open_standard_streams()
    try:
        colloquy()
    except OutputLost as error:
        if error.gone:
            leave_quietly()
        _give_up(str(error))
    except Exception as error:
        from service.process.exit_errors import explanation

        if not (lines := explanation(error)):
            raise
        _give_up(*lines)


def _give_up(why: str, *more: str) -> NoReturn:
    for line in (f"colloquy: {why}", *more):
        warn(line)
    sys.exit(1)
