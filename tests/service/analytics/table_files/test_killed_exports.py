"""An export whose process is killed is completed by the next one."""

import asyncio
import random
import sys
from pathlib import Path

import pytest

from projections.parallel_build import silent
from service.analytics.table_files.folder_check import check_folder
from service.analytics.table_files.manifest import MANIFEST, Manifest
from tests.running import ROOT, environment_of, eventually
from tests.service.analytics.table_files.exports import TABLES, rows_of, take

pytestmark = pytest.mark.asyncio(loop_scope="module")

KILLS = 4


async def kill_midway(url: str, out: Path, lines: int) -> bool:
    """Starts an export, and kills it once its manifest has `lines` lines; False if too late."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service.cli", "analytics", "export", "--all", "--out", str(out)),
        env=environment_of({"DATABASE_URL": url}),
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await eventually(
            lambda: process.returncode is not None or lines_in(out) >= lines, within=60
        )
    finally:
        in_time = process.returncode is None
        if in_time:
            process.kill()
        await process.wait()
    return in_time


def lines_in(out: Path) -> int:
    """The present number of lines in an export's manifest."""
    path = out / MANIFEST
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.slow
async def test_an_export_killed_repeatedly_equals_an_uninterrupted_one(
    term: str, tmp_path: Path
) -> None:
    out, whole = tmp_path / "killed", tmp_path / "whole"
    chance = random.Random(7)
    for _ in range(KILLS):
        before = lines_in(out)
        assert await kill_midway(term, out, before + chance.randint(1, 12))
        files = Manifest(out).files
        assert before <= lines_in(out)
        # At the most the file of which the line was still to be written has none.
        problems = check_folder(out, silent).problems
        assert all(problem.endswith("is not in the manifest") for problem in problems)
        assert len(problems) <= 1
    rest = await take(term, out)
    await take(term, whole)
    assert sum(rest.files.values()) == len(Manifest(whole).files) - len(files)
    assert check_folder(out, silent).problems == []
    for table in TABLES:
        assert rows_of(out, table) == rows_of(whole, table)
    cut = {(line.path, line.rows, line.position) for line in Manifest(whole).files}
    assert {(line.path, line.rows, line.position) for line in Manifest(out).files} == cut
