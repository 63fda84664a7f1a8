"""Run the programs of PostgreSQL: as the right user, in a clean environment, into the log."""

import os
import subprocess
from pathlib import Path

import msgspec

from eventstore.trusted_paths import open_trusted_file
from service.embedded_postgres.data_location import Account, is_root
from service.embedded_postgres.errors import ProgramTimedOut, ProgramUnusable

# Secrets of the service must not show in the server's environment, nor PG* of the user steer it.
INHERITED = ("PATH", "LD_LIBRARY_PATH", "TZ")
LOG_END = 1_000_000
"""Bytes of the log that are read at most; the server's user decides how many there are."""


class Programs(msgspec.Struct, frozen=True):
    """The programs in `binaries`, run as `account`, with their output in the file `log`."""

    binaries: Path
    account: Account
    log: Path

    def run(
        self, program: str, *arguments: str | Path, data: Path, seconds: float, stdin: str = ""
    ) -> bool:
        """Run a program on a data folder; True when it succeeded.

        The session is new, so that Ctrl-C ends the service first and the server after it, and
        the folder is one that every user can enter.

        Raises:
            ProgramTimedOut: it took longer than `seconds`.
            ProgramUnusable: it cannot be run at all.
            PathUntrusted: the log is a link, no regular file, or another user's.
        """
        command = [self.binaries / program, *arguments]
        try:
            return self._run(command, data, seconds, stdin) == 0
        except subprocess.TimeoutExpired as error:
            raise ProgramTimedOut(f"{program}: {seconds:.0f} s. {self.last_words()}") from error
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
        """Empty the log, which everybody with it open appends to."""
        os.close(self._open_log(os.O_WRONLY | os.O_CREAT | os.O_TRUNC))

    def log_text(self) -> str:
        """The end of the log, as text that a terminal obeys in nothing but its lines."""
        try:
            log = self._open_log(os.O_RDONLY)
        except FileNotFoundError:
            return ""
        with os.fdopen(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_END))
            text = file.read(LOG_END).decode(errors="replace")
        return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)

    def last_words(self) -> str:
        """The last lines of the log as one, and where it is."""
        lines = [line.strip() for line in self.log_text().splitlines() if line.strip()]
        return f"The end of {self.log}: {' | '.join(lines[-6:])}"

    def give(self, path: Path) -> None:
        """Make the server's user the owner of a path in a folder of ours."""
        if is_root():
            os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)

    def _open_log(self, flags: int) -> int:
        return open_trusted_file(self.log, flags, 0o600)
