"""Time and memory of a start, cold (with initdb, schema and demo) and warm."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from shutil import rmtree

from tests.bench.measuring import Row

_READY = "Colloquy is ready"


async def bench_start(_server_url: str) -> list[Row]:
    """Seconds to the line that says ready, and the service's resident memory then."""
    return await asyncio.to_thread(_measure)


def _measure() -> list[Row]:
    home = Path(tempfile.mkdtemp(prefix="colloquy-start-"))
    try:
        cold, _ = _start(home)
        warm, memory = _start(home)
    finally:
        rmtree(home, ignore_errors=True)
    return [
        Row("start, cold (initdb, schema, demo)", f"{cold:.1f} s", "", "", "≤ 6 s"),
        Row("start, warm", f"{warm:.1f} s", "", "", "≤ 1.5 s"),
        Row("memory of one process, started", f"{memory} MiB", "", "", ""),
    ]


def _start(home: Path) -> tuple[float, int]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ANTHROPIC")}
    environment.pop("DATABASE_URL", None)
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "serve", "--demo", "--port", "0"],
        env={**environment, "COLLOQUY_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith(_READY):
                return time.perf_counter() - began, resident_mib(process.pid)
        raise RuntimeError("the service did not start")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def resident_mib(pid: int) -> int:
    """Resident memory of a process in MiB (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024
