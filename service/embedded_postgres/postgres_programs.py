"""Runs PostgreSQL's programs as the right user, in a clean environment, with output to the log."""

import os
import subprocess
from pathlib import Path

import msgspec

from eventstore.trusted_paths import open_trusted_file
from service.embedded_postgres.data_location import Account, is_root
from service.embedded_postgres.errors import ProgramTimedOut, ProgramUnusable

# The service's secrets and the user's PG* variables must not reach the server.
INHERITED = ("PATH", "LD_LIBRARY_PATH", "TZ")
MAX_READ = 1_000_000
"""Bytes that are read from the end of the log; the server's user can make it any size."""


class Programs(msgspec.Struct, frozen=True):
    """The programs in `binaries`, run as `account`, with their output in the file `log`."""

    binaries: Path
    account: Account
    log: Path

    def run(
        self, program: str, *arguments: str | Path, data: Path, seconds: float, stdin: str = ""
    ) -> bool:
        """Run a program on a data folder.

        It gets a new session, so that Ctrl-C ends the service first and then the server, and the
        working directory /, which every user can enter.

        Returns:
            whether it succeeded.

        Raises:
            ProgramTimedOut: it took longer than `seconds`.
            ProgramUnusable: it cannot be run at all.
            PathUntrusted: the log is a link, not a regular file, or another user's.
        """
        command = [self.binaries / program, *arguments]
        try:
            return self._run(command, data, seconds, stdin) == 0
        except subprocess.TimeoutExpired as error:
            raise ProgramTimedOut(f"{program}: {seconds:.0f} s. {self.log_end()}") from error
        except OSError as error:
            raise ProgramUnusable(f"({self.binaries / program}: {error})") from error

    def _run(self, command: list[str | Path], data: Path, seconds: float, stdin: str) -> int:
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        log = self._open_log(os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            return subprocess.run(
                command,
                input=stdin.encode(),
                stdout=log,
                stderr=subprocess.STDOUT,
                env=inherited | {"LC_ALL": "C", "PGDATA": str(data)},
                cwd="/",
                timeout=seconds,
                check=False,
                start_new_session=True,
                user=self.account.uid if is_root() else None,
                group=self.account.gid if is_root() else None,
                extra_groups=[] if is_root() else None,
            ).returncode
        finally:
            os.close(log)

    def clear_log(self) -> None:
        """Empty the log; programs that have it open go on appending."""
        os.close(self._open_log(os.O_WRONLY | os.O_CREAT | os.O_TRUNC))

    def log_text(self) -> str:
        """The end of the log, with control characters other than line breaks replaced."""
        try:
            log = self._open_log(os.O_RDONLY)
        except FileNotFoundError:
            return ""
        with os.fdopen(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - MAX_READ))
            text = file.read(MAX_READ).decode(errors="replace")
        return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)

    def log_end(self) -> str:
        """The last lines of the log joined into one, with its path."""
        lines = [line.strip() for line in self.log_text().splitlines() if line.strip()]
        return f"The end of {self.log}: {' | '.join(lines[-6:])}"

    def give(self, path: Path) -> None:
        """Make the server's user the owner of a path in a folder of ours."""
        if is_root():
            os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)

    def _open_log(self, flags: int) -> int:
        return open_trusted_file(self.log, flags, 0o600)
