"""Errors that any command explains in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from service.cli import main
from tests.running import ROOT, environment_of

FULL = Path("/dev/full")


def test_a_full_disk_below_standard_output_is_reported() -> None:
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


def test_a_database_that_does_not_answer_in_time_is_reported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """For example because a table is locked by hand; the real timeout is too long for a test."""

    def times_out() -> None:
        raise TimeoutError

    with pytest.raises(SystemExit) as ended:
        main(times_out)
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("colloquy: the database did not answer in time")


def test_another_error_of_the_system_is_a_bug_and_shows_its_traceback() -> None:
    def fails() -> None:
        raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        main(fails)
