"""The command `colloquy`. Each module holds one group of commands."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, NoReturn

import click

from service.cli.terminal import (
    exit_quietly,
    open_standard_streams,
    print_traceback,
    warn,
    warn_of_usage,
)
from service.cli.text_parameters import restrict_to_text
from service.errors import OutputLost

COMMANDS = {
    "account": (
        "account_commands",
        "Institutions, and the names that identity providers use for their users.",
    ),
    "analyst": (
        "analyst_commands",
        "Database logins for analysts, limited to chosen accounts.",
    ),
    "analytics": ("analytics", "Exports and reports for analysts."),
    "audit": ("audit", "Read, replay, verify and export the log, for auditors."),
    "db": ("database_commands", "Connect to the database as its owner."),
    "doctor": (
        "doctor_commands",
        "Check settings, database, projections, sealing and model; exit code 1 on a fault.",
    ),
    "experience": ("experience_commands", "AI experiences: what learners talk with."),
    "hold": (
        "privacy.hold_commands",
        "Legal holds, which forbid deleting a learner's data.",
    ),
    "learner": ("privacy.learner_commands", "The record of a learner, and its erasure."),
    "log": ("log_commands", "Read the log."),
    "migrate": ("database_commands", "Bring the schema and the projections up to date."),
    "projections": (
        "projections",
        "The views of the log, built in and user-defined: status, rebuild, pause.",
    ),
    "retention": (
        "privacy.retention_commands",
        "How long texts are kept after a conversation is completed.",
    ),
    "roster": ("roster_commands", "Users and their enrollments in courses."),
    "seal": ("seal_commands", "Sealing of the logs: status and signing key."),
    "serve": ("serve_commands", "Serve the API, until SIGTERM or Ctrl-C."),
    "token": ("token_commands", "Create, list and revoke access tokens."),
}
"""Each command's module, which is loaded when the command runs, and its summary."""


class _Commands(click.Group):
    """Loads a command when it is used; prints usage errors with escaped control characters."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, in order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"service.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        restrict_to_text(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes each command's summary without loading the command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def main(self, *arguments: Any, **extra: Any) -> NoReturn:
        """Runs the command and exits with its code."""
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


def main(command: Callable[[], None] = colloquy) -> None:
    """Runs the command; an expected error is one line on standard error and exit code 1."""
    sys.excepthook = print_traceback
    open_standard_streams()
    try:
        command()
    except OutputLost as error:
        if error.gone:
            exit_quietly()
        _fail(str(error))
    except Exception as error:
        from service.process.exit_errors import explanation

        if not (lines := explanation(error)):
            raise
        _fail(*lines)


def _fail(reason: str, *more: str) -> NoReturn:
    for line in (f"colloquy: {reason}", *more):
        warn(line)
    sys.exit(1)
