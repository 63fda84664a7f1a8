"""`make test` on a machine without Node.js or a browser: it says what it leaves out."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.running import ROOT

TOOLS = ("node", "npm", "chromium", "faketime")


def planned(folder: Path, *there: str, **environment: str) -> str:
    """What `make test` would do where no more than these programs are there."""
    for name in there:
        (folder / name).symlink_to("/bin/true")
    make = shutil.which("make")
    assert make is not None, "make is not there: install it"
    done = subprocess.run(
        (make, "-n", "test"),
        cwd=ROOT,
        env={"PATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    ("there", "named", "left_out"),
    [
        ((), "node chromium faketime", '-m "not node and not chromium and not faketime"'),
        (("node", "chromium", "faketime"), "node", '-m "not node"'),
        (("npm", "chromium", "faketime"), "node", '-m "not node"'),
        (("node", "npm", "faketime"), "chromium", '-m "not chromium"'),
    ],
)
def test_what_is_missing_is_named_and_its_tests_are_left_out(
    there: tuple[str, ...], named: str, left_out: str, tmp_path: Path
) -> None:
    plan = planned(tmp_path, *there)
    assert f"not installed: {named}." in plan
    assert left_out in plan


def test_where_all_is_there_nothing_is_left_out(tmp_path: Path) -> None:
    plan = planned(tmp_path, *TOOLS)
    assert "pytest -n auto" in plan
    assert '-m "' not in plan


def test_where_all_is_required_nothing_is_left_out(tmp_path: Path) -> None:
    plan = planned(tmp_path, COLLOQUY_REQUIRE_TOOLS="1")
    assert "pytest -n auto" in plan
    assert '-m "' not in plan
