"""The command `colloquy`. Each module holds one group of commands."""

import sys
from typing import Any, NoReturn

import click

from service.cli.accounts import account
from service.cli.analysts import analyst
from service.cli.analytics import analytics
from service.cli.audit import audit
from service.cli.database import db, migrate
from service.cli.doctor import doctor
from service.cli.experiences import experience
from service.cli.history import log
from service.cli.holds import hold
from service.cli.learners import learner
from service.cli.projecting import projections
from service.cli.retention import retention
from service.cli.roster import roster
from service.cli.sealing import seal
from service.cli.serve import serve
from service.cli.terminal import show_fault, warn, warn_of_usage
from service.cli.tokens import token
from service.errors import RosterError


class _Commands(click.Group):
    """Tells what is wrong with a command line as all else is told, instead of as it was given."""

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
    others in the README's table.
    """


COMMANDS = (
    *(serve, migrate, account, roster, token, experience, log, learner, hold, retention),
    *(projections, analytics, analyst, seal, audit, db, doctor),
)
for command in COMMANDS:
    colloquy.add_command(command)


def main() -> None:
    """Runs the command; a foreseen error is one line on standard error and exit code 1."""
    from service.cli.foreseen import FORESEEN, LOST, NO_ROOM

    sys.excepthook = show_fault
    try:
        colloquy()
    except FORESEEN as error:
        _give_up(*(error.lines if isinstance(error, RosterError) else [str(error)]))
    except LOST as error:
        _give_up(f"the connection to the database broke: {error}".partition("\n")[0])
    except TimeoutError:
        _give_up("the database did not answer in time: is something locked in it?")
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        _give_up(f"{error.filename or 'standard output'}: {error.strerror}")


def _give_up(why: str, *more: str) -> NoReturn:
    for line in (f"colloquy: {why}", *more):
        warn(line)
    sys.exit(1)
