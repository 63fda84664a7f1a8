"""A database's projections are updated to the program's, or the program refuses."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from eventstore.connections import Connection, connect
from eventstore.log import EventLog
from projections import install as install_module
from projections.definitions import Definition, definitions
from projections.install import check_projections, install
from service.process.database import prepare
from sql.errors import SchemaBehind, SchemaDiffers, SchemaTooNew
from tests.eventstore.building import Learner, append_steps, dialogue
from tests.projections.viewing import all_rows, generations, with_version

NAME = "conversations"
VERSION = definitions()[NAME].version
ChangeProgram = Callable[[Definition], None]


@pytest.fixture
def program_has(monkeypatch: pytest.MonkeyPatch) -> ChangeProgram:
    """Gives the program another definition of a projection."""

    def change(definition: Definition) -> None:
        changed = {**definitions(), definition.name: definition}
        monkeypatch.setattr(install_module, "definitions", lambda: changed)

    return change


def other_statements(definition: Definition) -> Definition:
    return msgspec.structs.replace(definition, statements=(*definition.statements, "PERFORM 1;"))


async def test_an_installed_projection_is_not_built_again(
    database_url: str, owner: Connection
) -> None:
    assert await install(owner, database_url) == []
    await check_projections(owner)


async def test_an_older_version_is_rebuilt_from_the_log(
    database_url: str, owner: Connection, log: EventLog, program_has: ChangeProgram
) -> None:
    await append_steps(log, dialogue(Learner()))
    before = await all_rows(owner)
    program_has(other_statements(with_version(definitions()[NAME], 9)))
    with pytest.raises(SchemaBehind, match="conversations v9: run `colloquy migrate`"):
        await check_projections(owner)
    assert await install(owner, database_url) == [NAME]
    await check_projections(owner)
    assert await generations(owner, NAME) == [(2, "live")]
    assert await all_rows(owner) == before


async def test_a_new_projection_is_built_from_the_log(
    database_url: str, owner: Connection, log: EventLog, program_has: ChangeProgram
) -> None:
    await append_steps(log, dialogue(Learner()))
    known = definitions()["active_conversations"]
    tables = known.definition.replace("active_conversations", "seats")
    statements = tuple(s.replace("active_conversations", "seats") for s in known.statements)
    program_has(
        msgspec.structs.replace(
            known, name="seats", tables=("seats",), definition=tables, statements=statements
        )
    )
    assert await install(owner, database_url) == ["seats"]
    assert await owner.fetchval("SELECT count(*) FROM read.seats") == 1


async def test_a_database_of_a_newer_program_is_refused(
    database_url: str, owner: Connection, program_has: ChangeProgram
) -> None:
    program_has(with_version(definitions()[NAME], 0))
    for refused in (check_projections(owner), install(owner, database_url)):
        with pytest.raises(SchemaTooNew, match=f"{NAME} is at v{VERSION}"):
            await refused
    assert await generations(owner, NAME) == [(1, "live")]


async def test_a_database_with_other_statements_of_the_same_version_is_refused(
    database_url: str, owner: Connection, program_has: ChangeProgram
) -> None:
    program_has(other_statements(definitions()[NAME]))
    for refused in (check_projections(owner), install(owner, database_url)):
        with pytest.raises(SchemaDiffers, match=rf"{NAME} v{VERSION} .* needs a new version"):
            await refused
    assert await generations(owner, NAME) == [(1, "live")]


async def test_ten_processes_that_start_at_once_prepare_the_database_once(
    empty_database_url: str,
) -> None:
    done = await asyncio.gather(*(prepare(empty_database_url) for _ in range(10)))
    assert sorted(map(len, done))[:9] == [0] * 9
    owner = await connect(empty_database_url)
    await check_projections(owner)
    for name in definitions():
        assert await generations(owner, name) == [(1, "live")]
    await owner.close()
