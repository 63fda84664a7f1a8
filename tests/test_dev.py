"""`make dev` restarts what it runs when a file has changed, and ends it at the end."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.running import ROOT

_WATCH = """
import sys
from pathlib import Path
from tests import dev
dev.signal.signal(dev.signal.SIGTERM, dev._interrupt)
dev.watch(sys.argv[2:], [Path(sys.argv[1])], pause=0.05)
"""
_PROGRAM = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); time.sleep(60)"


def _wait_for_starts(log: Path, count: int) -> list[int]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        lines = log.read_text().splitlines() if log.exists() else []
        if len(lines) >= count:
            return [int(line) for line in lines]
        time.sleep(0.02)
    raise AssertionError(f"not {count} starts")


def _is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_a_change_restarts_the_program_and_a_stop_ends_it(tmp_path: Path) -> None:
    sources, log = tmp_path / "sources", tmp_path / "log"
    sources.mkdir()
    (sources / "a.py").touch()
    program = (sys.executable, "-c", _PROGRAM, str(log))
    watcher = subprocess.Popen((sys.executable, "-c", _WATCH, str(sources), *program), cwd=ROOT)
    try:
        _wait_for_starts(log, 1)
        (sources / "notes.txt").touch()  # no source
        (sources / "b.sql").write_text("SELECT 1;")
        first, second = _wait_for_starts(log, 2)
        assert not _is_running(first)
        assert _is_running(second)
        (sources / "a.py").unlink()
        third = _wait_for_starts(log, 3)[-1]
        watcher.send_signal(signal.SIGTERM)
        assert watcher.wait(60) == 0
        assert not _is_running(third)
        assert len(_wait_for_starts(log, 3)) == 3
    finally:
        watcher.kill()
