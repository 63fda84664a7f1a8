"""Errors that no command expects, and still explains in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from service import cli
from tests.running import ROOT, environment_of

FULL = Path("/dev/full")


def test_a_full_disk_below_standard_output_is_told() -> None:
    with FULL.open("wb") as out:
        ended = subprocess.run(
            [sys.executable, "-m", "service.cli", "analytics", "--help"],
            env=environment_of({}),
            cwd=ROOT,
            stdout=out,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert ended.returncode == 1
    assert ended.stderr == b"colloquy: standard output: No space left on device\n"


def test_a_database_that_does_not_answer_in_time_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where somebody has locked a table by hand; half a minute is too long for a test."""

    def waits() -> None:
        raise TimeoutError

    monkeypatch.setattr(cli, "colloquy", waits)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("colloquy: the database did not answer in time")


def test_another_error_of_the_system_is_a_bug_and_shows_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails() -> None:
        raise FileNotFoundError

    monkeypatch.setattr(cli, "colloquy", fails)
    with pytest.raises(FileNotFoundError):
        cli.main()
