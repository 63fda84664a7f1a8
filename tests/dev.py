"""``python -m tests.dev`` (`make dev`): serves the demo, and restarts it after each change."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import FrameType

from service.process.database import open_database
from service.settings import read_settings

ROOT = Path(__file__).parents[1]
FOLDERS = [ROOT / name for name in ("service", "projections", "eventstore", "sql")]
SUFFIXES = frozenset({".py", ".sql", ".toml", ".html", ".css", ".md"})
_PAUSE = 0.5
_STOP = 30.0
Files = Mapping[Path, int]


def files_of(folders: Iterable[Path]) -> Files:
    """The sources in the folders, each with the time of its last change in nanoseconds."""
    found = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.suffix in SUFFIXES:
                try:
                    found[path] = path.stat().st_mtime_ns
                except FileNotFoundError:  # an editor has replaced it at this moment
                    continue
    return found


def watch(command: Sequence[str], folders: Sequence[Path], pause: float = _PAUSE) -> None:
    """Runs the command, and runs it anew after each change; returns on SIGINT or SIGTERM.

    A command that ends by itself, such as after a syntax error, is run again at the next change.

    Args:
        pause: Seconds between two looks at the folders.
    """
    seen = files_of(folders)
    process = subprocess.Popen(command)
    try:
        while True:
            time.sleep(pause)
            now = files_of(folders)
            if now == seen:
                continue
            changed = sorted(path.name for path, _ in now.items() ^ seen.items())
            print(f"{changed[0]} has changed: starting anew", file=sys.stderr, flush=True)
            seen = now
            _stop(process)
            process = subprocess.Popen(command)
    except KeyboardInterrupt:
        pass
    finally:
        _stop(process)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    with open_database(read_settings(os.environ), make=True):  # which keeps it between two starts
        watch([sys.executable, "-m", "service.cli", "serve", "--demo"], FOLDERS)
