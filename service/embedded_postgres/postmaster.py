"""Whether the server of a data folder runs, by its untrusted file `postmaster.pid`.

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
READY_STATUSES = ("ready", "standby")


class Postmaster(msgspec.Struct, frozen=True):
    """What a `postmaster.pid` says."""

    pid: int
    ready: bool
    on_socket: bool
    """Whether it listens where we connect."""


def read_postmaster(data: Path) -> Postmaster | None:
    """The file's content, of a living or a dead server; None without a complete file."""
    lines = (read_data_file(data, PID_FILE) or "").splitlines()
    try:
        status = lines[7].strip() if len(lines) > 7 else ""
        on_socket = (lines[3], lines[4]) == (str(PORT), HERE)
        return Postmaster(int(lines[0]), status in READY_STATUSES, on_socket)
    except (IndexError, ValueError):
        return None


def live_postmaster(data: Path) -> Postmaster | None:
    """The same, but None unless its process is a PostgreSQL that runs in this folder."""
    postmaster = read_postmaster(data)
    if postmaster and _is_postgres_in(data, postmaster.pid):
        return postmaster
    return None


def disown_other_program(data: Path) -> None:
    """Let the server start although a lock file names a living process that is not its own.

    The process id may by now be another program's (common in containers) or a zombie's, and
    PostgreSQL would refuse to start. It is replaced by the id of this process, which PostgreSQL
    ignores as that of its parent or grandparent (CreateLockFile in miscinit.c). Deleting the file
    would hide processes that a killed server left running on the data.
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
        in_folder = (process / "cwd").samefile(data)
        return in_folder and (process / "comm").read_text().strip() == "postgres"
    except OSError:
        return False


def _ps_shows_postgres_in(data: Path, pid: int) -> bool:
    command = ["/bin/ps", "-p", str(pid), "-o", "args="]
    output = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
    return "postgres" in output and f"-D {data}" in output
