"""`make test` on a machine without Node.js: it says what it leaves out."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.running import ROOT

LEFT_OUT = "node or npm is not installed: the one test that needs them"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder of programs that has node, as far as anybody can tell, and no npm."""
    (tmp_path / "node").symlink_to("/bin/true")
    return tmp_path


def planned(path: Path, **environment: str) -> str:
    """What `make test` would do with the programs of this folder."""
    make = shutil.which("make")
    assert make is not None, "make is not there: install it"
    done = subprocess.run(
        (make, "-n", "test"),
        cwd=ROOT,
        env={"PATH": str(path), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_without_npm_its_test_is_left_out_with_a_word(bare: Path) -> None:
    plan = planned(bare)
    assert LEFT_OUT in plan
    assert '-m "not node"' in plan


def test_with_both_nothing_is_left_out(bare: Path) -> None:
    (bare / "npm").symlink_to("/bin/true")
    plan = planned(bare)
    assert "pytest -n auto" in plan
    assert "node" not in plan


def test_where_they_are_required_nothing_is_left_out(bare: Path) -> None:
    plan = planned(bare, COLLOQUY_REQUIRE_NODE="1")
    assert "pytest -n auto" in plan
    assert "node" not in plan
