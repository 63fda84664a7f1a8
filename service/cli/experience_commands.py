"""`colloquy experience`."""

from codecs import BOM_UTF8
from pathlib import Path

import click
import msgspec

from eventstore.envelope import Actor, Metadata
from eventstore.running_log import running_log
from service.cli.context import ID, check_account, in_account, owner, with_database
from service.cli.errors import ExperienceError
from service.cli.terminal import print_line
from service.experiences.experiences import ExperienceDraft, Experiences, field_fault
from service.process.database import Database
from service.settings import Settings
from sql.loader import query

_decoder = msgspec.json.Decoder(ExperienceDraft | list[ExperienceDraft])


@click.group()
def experience() -> None:
    """AI experiences: what learners talk with."""


@experience.command("import")
@click.option("--course", "course_id", type=ID, required=True, help="The course, by its number.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@in_account
def import_(course_id: int, file: Path, account: int) -> None:
    """Create the experience in a JSON FILE and print its id; a list creates several.

    Fields: title, learning_objective (one objective a line) and pedagogical_guidance are
    required; description, facts and workflow_state (published or unpublished) are not.
    """
    drafts = _read(file)

    async def create(_settings: Settings, database: Database) -> list[int]:
        async with owner(database.url) as connection:
            await check_account(connection, account)
            if not await connection.fetchval(query("has_course"), account, course_id):
                raise ExperienceError(f"there is no course {course_id}: import its roster first")
        async with running_log(database.url) as (log, pool, _notifier):
            experiences = Experiences(log, pool)
            system = Metadata(actor=Actor(None, "system"))
            return [(await experiences.create(account, course_id, d, system)).id for d in drafts]

    for experience_id in with_database(create):
        print_line(experience_id)


def _read(file: Path) -> list[ExperienceDraft]:
    try:
        drafts = _decoder.decode(file.read_bytes().removeprefix(BOM_UTF8))
    except UnicodeDecodeError as error:
        raise ExperienceError(f"{file}: the file is not UTF-8") from error
    except msgspec.DecodeError as error:
        raise ExperienceError(f"{file}: {str(error).replace('`', '')}") from error
    drafts = drafts if isinstance(drafts, list) else [drafts]
    for number, draft in enumerate(drafts, start=1):
        _check(draft, f"{file}: experience {number}")
    return drafts


def _check(draft: ExperienceDraft, place: str) -> None:
    for field, text in msgspec.structs.asdict(draft).items():
        if reason := field_fault(field, text):
            raise ExperienceError(f"{place}: {field} {reason}")
