"""`make test` and `make test-slow`: each says what it leaves out, and why."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.running import ROOT

TOOLS = ("node", "npm", "chromium", "faketime")


def planned(target: str, folder: Path, *there: str, **environment: str) -> str:
    """What a target would do where no more than these programs are there."""
    for name in there:
        (folder / name).symlink_to("/bin/true")
    make = shutil.which("make")
    assert make is not None, "make is not there: install it"
    done = subprocess.run(
        (make, "-n", target),
        cwd=ROOT,
        env={"PATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_slow_tier_is_left_out_by_name_and_needs_no_program_of_others(tmp_path: Path) -> None:
    plan = planned("test", tmp_path)
    assert "Left out: the slow tier (make test-slow)" in plan
    assert '-m "not slow"' in plan


@pytest.mark.parametrize(
    ("there", "named", "chosen"),
    [
        ((), "node chromium faketime", "slow and not node and not chromium and not faketime"),
        (("node", "chromium", "faketime"), "node", "slow and not node"),
        (("npm", "chromium", "faketime"), "node", "slow and not node"),
        (("node", "npm", "faketime"), "chromium", "slow and not chromium"),
    ],
)
def test_what_is_missing_is_named_and_its_tests_are_left_out(
    there: tuple[str, ...], named: str, chosen: str, tmp_path: Path
) -> None:
    plan = planned("test-slow", tmp_path, *there)
    assert f"Left out: {named} is not installed" in plan
    assert f'-m "{chosen}"' in plan


def test_where_all_is_there_nothing_is_left_out(tmp_path: Path) -> None:
    plan = planned("test-slow", tmp_path, *TOOLS)
    assert '-m "slow"' in plan
    assert "Left out" not in plan


def test_where_all_is_required_nothing_is_left_out(tmp_path: Path) -> None:
    plan = planned("test-slow", tmp_path, COLLOQUY_REQUIRE_TOOLS="1")
    assert '-m "slow"' in plan
    assert "Left out" not in plan
