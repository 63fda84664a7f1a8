"""A validator of xAPI from npm, which a learning record store is built on, reads our statements."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventstore.connections import AccountPool
from eventstore.log import EventLog
from eventstore.notifier import Notifier
from tests.clients.programs import program, run
from tests.eventstore.building import append_steps
from tests.running import environment_of
from tests.service.analytics.course_history import everything, lines

Parts = tuple[EventLog, AccountPool, Notifier]
DAMAGES: list[dict[str, Any]] = [
    {"id": "1"},
    {"actor": {"objectType": "Agent"}},
    {"verb": {"id": "responded"}},
    {"object": {"objectType": "Activity", "id": "17"}},
    {"result": {"score": {"scaled": 1.5}}},
    {"result": {"score": {"raw": 4, "min": 0, "max": 3}}},
    {"context": {"registration": "17"}},
    {"timestamp": "yesterday"},
    {"course": 1},
]


async def validated(installed: Path, folder: Path, statements: list[bytes]) -> list[list[str]]:
    file = folder / "statements"
    file.write_bytes(b"\n".join(statements))
    out = await run(
        program("node"), "validate.mjs", str(file), folder=installed, environment=environment_of({})
    )
    return msgspec.json.decode(out.splitlines()[-1], type=list[list[str]])


@pytest.mark.node
@pytest.mark.timeout(300)
async def test_every_kind_of_statement_is_valid(
    log_parts: Parts, installed: Path, tmp_path: Path
) -> None:
    log, pool, _ = log_parts
    await append_steps(log, everything())
    made = await lines(pool)
    assert await validated(installed, tmp_path, made) == [[]] * 13


@pytest.mark.node
@pytest.mark.timeout(300)
async def test_the_validator_finds_what_is_not(
    log_parts: Parts, installed: Path, tmp_path: Path
) -> None:
    log, pool, _ = log_parts
    await append_steps(log, everything())
    sound = msgspec.json.decode((await lines(pool))[0])
    damaged = [msgspec.json.encode(sound | damage) for damage in DAMAGES]
    found = await validated(installed, tmp_path, damaged)
    assert [bool(problems) for problems in found] == [True] * len(DAMAGES)
