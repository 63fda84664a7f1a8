"""Whether the server of a data folder runs: `postmaster.pid`, read with distrust.

The lines of the file are in src/include/utils/pidfile.h of PostgreSQL: process id, data folder,
start time, port, socket folder, address, shared memory, status.
"""

import os
import subprocess
from pathlib import Path

import msgspec

from service.embedded_postgres.data_files import read_data_file, replace_data_file
from service.embedded_postgres.socket_folder import HERE, LOCK_FILE, PORT

PID_FILE = "postmaster.pid"
STATUSES_OF_USE = ("ready", "standby")


class Postmaster(msgspec.Struct, frozen=True):
    """What a `postmaster.pid` says."""

    pid: int
    ready: bool
    on_socket: bool
    """Whether it listens where we connect."""


def read_postmaster(data: Path) -> Postmaster | None:
    """What the file says, of a living server or a dead one; None when there is no (whole) file."""
    lines = (read_data_file(data, PID_FILE) or "").splitlines()
    try:
        status = lines[7].strip() if len(lines) > 7 else ""
        on_socket = (lines[3], lines[4]) == (str(PORT), HERE)
        return Postmaster(int(lines[0]), status in STATUSES_OF_USE, on_socket)
    except (IndexError, ValueError):
        return None


def live_postmaster(data: Path) -> Postmaster | None:
    """The same, only when its process is really a PostgreSQL at work in this folder."""
    postmaster = read_postmaster(data)
    if postmaster and _is_postgres_in(data, postmaster.pid):
        return postmaster
    return None


def disown_other_program(data: Path) -> None:
    """Let a start pass when a lock file names a process that is alive and no server of this data.

    A number may be another program's by now (always so in containers), or that of a dead server
    which nobody waited for; PostgreSQL would refuse to start. The number becomes that of this
    process, which it takes for its starter's and ignores (CreateLockFile in miscinit.c). Without
    the file it could not see processes that a killed server left at work on the data.
    """
    for name in (PID_FILE, LOCK_FILE):
        first, _, rest = (read_data_file(data, name) or "").partition("\n")
        try:
            pid = int(first)
        except ValueError:
            continue
        if _alive(pid) and not _is_postgres_in(data, pid):
            replace_data_file(data, name, f"{os.getpid()}\n{rest}")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _is_postgres_in(data: Path, pid: int) -> bool:
    process = Path(f"/proc/{pid}")
    if not Path("/proc/self").exists():
        return _ps_shows_postgres_in(data, pid)
    try:
        at_work = (process / "cwd").samefile(data)
        return at_work and (process / "comm").read_text().strip() == "postgres"
    except OSError:
        return False


def _ps_shows_postgres_in(data: Path, pid: int) -> bool:
    command = ["/bin/ps", "-p", str(pid), "-o", "args="]
    output = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
    return "postgres" in output and f"-D {data}" in output
