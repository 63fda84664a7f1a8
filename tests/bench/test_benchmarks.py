"""The benchmarks run, at a small scale: their figures mean nothing here."""

import os
import subprocess
import sys

import pytest

from tests.running import ROOT

NAMES = [
    "rows",
    "append",
    "get",
    "post",
    "stream",
    "rebuild",
    "seal",
    "start",
    "audit",
    "analytics",
]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", NAMES)
def test_each_of_them_prints_its_rows(name: str) -> None:
    done = subprocess.run(
        (sys.executable, "-m", "tests.bench", name),
        cwd=ROOT,
        env=os.environ | {"COLLOQUY_BENCH_SCALE": "0.01"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    rule, *rows = lines[lines.index("| what | ours | beside | ratio | goal |") + 1 :]
    assert rule.startswith("|---")
    assert rows


def test_all_benchmarks_are_tried() -> None:
    from tests.bench.__main__ import BENCHMARKS

    assert list(BENCHMARKS) == NAMES


def test_figures_of_a_small_scale_do_not_get_into_the_page() -> None:
    done = subprocess.run(
        (sys.executable, "-m", "tests.bench", "--write"),
        cwd=ROOT,
        env=os.environ | {"COLLOQUY_BENCH_SCALE": "0.01"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "at full scale" in done.stderr
