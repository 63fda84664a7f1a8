"""A Canvas client from npm drives the API: JSON, its pages, its errors, and a stream."""

from pathlib import Path

import msgspec
import pytest

from tests.clients.conftest import LIMIT
from tests.clients.endpoints import undriven
from tests.clients.programs import PACKAGES, program, run
from tests.running import TEACHER, Service, environment_of


@pytest.mark.node
@pytest.mark.timeout(300)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_client_from_npm_drives_every_endpoint(service: Service, installed: Path) -> None:
    learner, busy = await service.enroll(), await service.enroll()
    users = {"learner": learner, "busy": busy, "teacher": TEACHER}
    tokens = {name: service.tokens[str(user)] for name, user in users.items()}
    told = {
        "url": service.url,
        "learner_id": learner,
        "limit": LIMIT,
        "tokens": service.tokens | tokens,
    }
    environment = environment_of({"COLLOQUY_CLIENT": msgspec.json.encode(told).decode()})
    out = await run(program("node"), "drive.mjs", folder=installed, environment=environment)
    made = msgspec.json.decode(out.splitlines()[-1], type=list[tuple[str, str]])
    assert undriven(made) == set()


@pytest.mark.parametrize("name", PACKAGES)
def test_a_program_that_is_missing_is_a_failure_that_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pytest.fail.Exception, match=f"{name} is not there: install "):
        program(name)
