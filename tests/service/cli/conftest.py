"""What tests of commands share."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.cli import main
from service.process.database import prepare
from tests.running import environment_of
from tests.servers import own_server
from tests.service.cli.command_runs import HEAD, Ended, Run, file_with


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process with these settings, and no others."""
    monkeypatch.setattr("structlog.configure", lambda **_: None)  # it would outlive the test

    def run(*arguments: object, **settings: str) -> Ended:
        with monkeypatch.context() as patch:
            chosen = environment_of(settings)
            for name in set(os.environ) - set(chosen):
                patch.delenv(name)
            for name, value in chosen.items():
                patch.setenv(name, value)
            patch.setattr("sys.argv", ["colloquy", *map(str, arguments)])
            capfd.readouterr()
            with pytest.raises(SystemExit) as ended:
                main()
        out, err = capfd.readouterr()
        code = ended.value.code
        return Ended(code if isinstance(code, int) else int(code is not None), out, err)

    return run


@pytest.fixture
def on_database(run: Run, database_url: str) -> Run:
    """Runs a command on the test's database."""
    return lambda *arguments: run(*arguments, DATABASE_URL=database_url)


@pytest.fixture(scope="session")
def durable_url() -> Iterator[str]:
    """The URL of a database without findings for the doctor; the suite's server has fsync off."""
    with own_server() as server:
        asyncio.run(prepare(server.url))
        yield server.url


@pytest.fixture
def ada(on_database: Run, tmp_path: Path) -> int:
    """A user of course 1."""
    file = file_with(tmp_path, f"{HEAD}\n1,5,Ada,learner,active\n", "ada")
    assert on_database("roster", "import", file).code == 0
    return 5
