"""Creates the data folder: whole, or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from eventstore.durable_files import sync
from service.embedded_postgres.errors import InitFailed
from service.embedded_postgres.postgres_programs import Programs

OWNER = DATABASE = "colloquy"
INITDB_SECONDS = 300.0


def create_data(data: Path, programs: Programs, password: str, options: Mapping[str, str]) -> None:
    """Make a cluster with the superuser and the database `colloquy`.

    Args:
        data: the path of the new folder, which appears when it is complete.
        programs: the PostgreSQL to use.
        password: the superuser's password.
        options: server settings; `fsync=off` makes this fast too.

    Raises:
        InitFailed: the message has the end of the log.
    """
    programs.clear_log()
    with _staging(data) as staging:
        new, password_file = staging / "data", staging / "password"
        new.mkdir(0o700)
        programs.give(new)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(password_file, flags, 0o600), "w") as file:
            file.write(password)
        programs.give(password_file)
        _initdb(new, programs, password_file, options)
        _create_database(new, programs, options)
        _put_in_place(new, data)


@contextmanager
def _staging(data: Path) -> Iterator[Path]:
    """A folder that the server's user can enter, but not change."""
    # The name is random: an initdb whose parent was killed may still write to an earlier one.
    for interrupted in data.parent.glob(f"{data.name}.init-*"):
        shutil.rmtree(interrupted, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix=f"{data.name}.init-", dir=data.parent))
    try:
        staging.chmod(0o711)
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _initdb(new: Path, programs: Programs, password_file: Path, options: Mapping[str, str]) -> None:
    flags = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--data-checksums"]
    if options.get("fsync") == "off":
        flags.append("--no-sync")
    names = (f"--username={OWNER}", f"--pwfile={password_file}")
    if not programs.run("initdb", *flags, *names, data=new, seconds=INITDB_SECONDS):
        raise InitFailed(programs.log_end())


def _create_database(new: Path, programs: Programs, options: Mapping[str, str]) -> None:
    """Uses PostgreSQL's single-user mode, which needs no port and no password."""
    given = {"exit_on_error": "on", **options}
    settings = [word for name, value in given.items() for word in ("-c", f"{name}={value}")]
    statement = f"CREATE DATABASE {DATABASE};\n"
    flags = ("--single", *settings, "postgres")
    if not programs.run("postgres", *flags, data=new, seconds=INITDB_SECONDS, stdin=statement):
        raise InitFailed(programs.log_end())


def _put_in_place(new: Path, data: Path) -> None:
    try:
        new.rename(data)
    except OSError as error:
        raise InitFailed(f"({data} is in the way: {error.strerror})") from error
    sync(data.parent)
