"""The command `colloquy`. Each module holds one group of commands."""

import sys
from typing import NoReturn

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
from service.cli.tokens import token


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
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

    try:
        colloquy()
    except FORESEEN as error:
        _give_up(str(error))
    except LOST as error:
        _give_up(f"the connection to the database broke: {error}".partition("\n")[0])
    except TimeoutError:
        _give_up("the database did not answer in time: is something locked in it?")
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        _give_up(f"{error.filename or 'standard output'}: {error.strerror}")


def _give_up(why: str) -> NoReturn:
    click.echo(f"colloquy: {why}", err=True)
    sys.exit(1)
