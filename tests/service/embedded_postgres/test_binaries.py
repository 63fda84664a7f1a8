"""The choice of the PostgreSQL: the extra's, one on the path, Debian's, or a given one."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from eventstore.errors import PathUntrusted
from service.embedded_postgres.binaries import PROGRAMS, copied_binaries, usable_binaries
from service.embedded_postgres.errors import (
    BinariesMissing,
    BinariesUnfit,
    BinariesUnreadable,
    VersionMismatch,
)
from tests.other_users import NOBODY, as_root, give
from tests.running import ROOT, colloquy, service_process
from tests.service.embedded_postgres.test_cluster import leave_no_trace, packaged

pytestmark = pytest.mark.slow

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
with_debian_15 = pytest.mark.skipif(not DEBIAN_15.exists(), reason="needs Debian's postgresql-15")

# As on a machine where the extra `embedded` is not installed.
WITHOUT_PACKAGE = """
import sys
sys.modules["embedded_postgres"] = None
"""
# All is imported before: another user cannot get at the Python of root.
AS_ANOTHER_USER = """
import os, sys
from pathlib import Path
from service.embedded_postgres import EmbeddedPostgres
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[3]))
postgres = EmbeddedPostgres(Path(sys.argv[1]), options={"fsync": "off"})
with postgres:
    print(postgres.binaries, postgres.data.stat().st_uid)
"""


class Machine:
    """A machine's folders: those of its path and of Debian's installations."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "path"
        self.debian = folder / "debian"

    def binaries(self, given: Path | None = None, data: Path | None = None) -> Path:
        return usable_binaries(given, data, debian=self.debian)

    def install(self, version: str) -> Path:
        """Installs a version of Debian's."""
        return programs(self.debian / version / "bin", f"{version}.1")


@pytest.fixture
def home() -> Iterator[Path]:
    """A home that other users can reach."""
    folder = Path(tempfile.mkdtemp(prefix="colloquy-")).resolve()
    yield folder
    leave_no_trace(folder)


@pytest.fixture
def without_package(tmp_path: Path) -> dict[str, str]:
    """The environment of a Python that lacks the extra `embedded`."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_PACKAGE)
    return {"PYTHONPATH": str(tmp_path)}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, home: Path) -> Machine:
    """A machine without any PostgreSQL, in a folder that all users can enter."""
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    home.chmod(0o755)
    (home / "path").mkdir()
    monkeypatch.setenv("PATH", str(home / "path"))
    return Machine(home)


def programs(folder: Path, version: str) -> Path:
    """Scripts in place of the programs of a PostgreSQL of that version."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        (folder / name).chmod(0o755)
    return folder


def data_of(folder: Path, version: str) -> Path:
    (folder / "data").mkdir()
    (folder / "data" / "PG_VERSION").write_text(f"{version}\n")
    return folder / "data"


@with_debian_15
async def test_the_service_runs_on_the_systems_postgresql_without_the_extra(
    home: Path, without_package: dict[str, str]
) -> None:
    """As root, the server still runs as nobody; the doctor names the installation."""
    environment = {"COLLOQUY_HOME": str(home), **without_package}
    async with service_process(environment, "--demo") as service:
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{service.url}/readyz") as answer,
        ):
            assert answer.status == 200
        code, out, _ = await colloquy(environment, "doctor")
        owner = (home / "postgres").stat().st_uid
        assert await service.stop() == 0
    assert code == 0
    assert (home / "postgres" / "PG_VERSION").read_text() == "15\n"
    assert f"started by {DEBIAN_15}\n" in out
    assert owner == (NOBODY.pw_uid if os.geteuid() == 0 else os.geteuid())
    # Where the extra is installed later, or was before, the data keeps its version.
    code, out, _ = await colloquy({"COLLOQUY_HOME": str(home)}, "doctor")
    assert code == 0
    assert f"started by {DEBIAN_15}\n" in out


@as_root
@with_debian_15
def test_an_ordinary_user_runs_the_systems_postgresql_as_themselves(home: Path) -> None:
    give(home)
    command = (sys.executable, "-c", WITHOUT_PACKAGE + AS_ANOTHER_USER, str(home))
    done = subprocess.run(
        (*command, str(NOBODY.pw_gid), str(NOBODY.pw_uid)),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=ROOT,
    )
    assert done.stdout == f"{DEBIAN_15} {NOBODY.pw_uid}\n", done.stderr


@with_debian_15
async def test_a_home_of_another_major_version_is_refused_with_one_line(
    home: Path, without_package: dict[str, str]
) -> None:
    data_of(home, "14").rename(home / "postgres")
    environment = {"COLLOQUY_HOME": str(home), **without_package}
    code, out, err = await colloquy(environment, "db", "url")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"({home}/postgres is PostgreSQL 14's, this is PostgreSQL " in err


@with_debian_15
async def test_the_folder_of_a_postgresql_can_be_named(home: Path) -> None:
    environment = {"COLLOQUY_HOME": str(home), "COLLOQUY_POSTGRES_BIN": str(DEBIAN_15)}
    code, _, err = await colloquy(environment, "migrate")
    assert code == 0, err
    code, out, err = await colloquy(environment, "doctor")
    assert f"started by {DEBIAN_15}\n" in out, err
    environment["COLLOQUY_POSTGRES_BIN"] = str(home / "none")
    code, _, err = await colloquy(environment, "doctor")
    assert (code, err.count("\n")) == (1, 1)
    assert (
        f"COLLOQUY_POSTGRES_BIN names no PostgreSQL 15 or newer with all its programs. ({home}"
        in err
    )


def test_without_postgresql_the_error_names_all_remedies(machine: Machine) -> None:
    assert list(machine.path.iterdir()) == []
    with pytest.raises(BinariesMissing) as caught:
        machine.binaries()
    for way in ("pip install 'colloquy[embedded]'", "PostgreSQL 15 or newer", "DATABASE_URL"):
        assert way in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_newest_of_debians_is_taken_and_for_data_the_one_that_made_it(machine: Machine) -> None:
    for version in ("9.6", "14", "15", "17", "20"):
        programs(machine.debian / version / "bin", f"{version}.2 (Debian {version}.2-1)")
    assert machine.binaries() == machine.debian / "20" / "bin"
    assert machine.binaries(data=data_of(machine.folder, "15")) == machine.debian / "15" / "bin"
    (machine.folder / "data" / "PG_VERSION").write_text("14\n")
    with pytest.raises(VersionMismatch, match=r"is PostgreSQL 14's, this is PostgreSQL 20 or 17"):
        machine.binaries(data=machine.folder / "data")


@pytest.mark.parametrize("name", ["pg_config", "postgres", "initdb"])
def test_a_postgresql_on_the_path_goes_before_debians(machine: Machine, name: str) -> None:
    """By a link to one of its programs, or by the answer of pg_config."""
    result = programs(machine.folder / "other" / "bin", "16beta1")
    machine.install("17")
    if name == "pg_config":
        (machine.path / name).write_text(f"#!/bin/sh\n[ $1 = --bindir ] && echo {result}\n")
        (machine.path / name).chmod(0o755)
    else:
        (machine.path / name).symlink_to(result / name)
    assert machine.binaries() == result
    programs(result, "14.9")
    assert machine.binaries() == machine.debian / "17" / "bin"


def test_unusable_installations_are_passed_over(machine: Machine) -> None:
    broken = machine.install("18")
    (broken / "postgres").write_text("#!/bin/sh\nexit 1\n")
    (machine.install("17") / "psql").unlink()
    machine.install("16")
    (machine.path / "pg_config").write_text("#!/bin/sh\nexit 1\n")
    (machine.path / "pg_config").chmod(0o755)
    assert machine.binaries() == machine.debian / "16" / "bin"


def test_a_given_folder_is_used_or_refused_without_a_search(machine: Machine) -> None:
    machine.install("17")
    assert machine.binaries(programs(machine.folder / "16", "16.0")) == machine.folder / "16"
    for version in ("14.9", "nothing"):
        with pytest.raises(BinariesUnfit, match="is older, or cannot be run"):
            machine.binaries(programs(machine.folder / "other", version))
    with pytest.raises(VersionMismatch, match="15's, this is PostgreSQL 16:"):
        machine.binaries(machine.folder / "16", data_of(machine.folder, "15"))


@as_root
def test_root_runs_no_programs_of_another_user(machine: Machine) -> None:
    """Neither from another user's folder nor another user's program in root's folder."""
    evil = machine.install("18")
    good = machine.install("16")
    for path in (evil / "postgres", evil):
        (evil / "postgres").write_text(
            f"#!/bin/sh\ntouch {machine.folder}/ran\necho postgres 18.1\n"
        )
        give(path)
        assert machine.binaries() == good
        with pytest.raises(PathUntrusted, match="belongs to user nobody"):
            machine.binaries(evil)
        assert not (machine.folder / "ran").exists()
        os.chown(path, 0, 0)


@as_root
@pytest.mark.parametrize("name", ["pg_config", "postgres", "initdb"])
def test_root_runs_no_program_of_another_user_to_find_postgresql(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Nor one that a script of root finds by the path; the next program of that name is tried."""
    evil = machine.folder / "evil"
    evil.mkdir()
    for tool in (name, "dirname"):
        (evil / tool).write_text(f"#!/bin/sh\ntouch {machine.folder}/ran\necho 18.1\n")
        (evil / tool).chmod(0o755)
        give(evil / tool)
    give(evil)
    monkeypatch.setenv("PATH", f"{evil}{os.pathsep}{machine.path}")
    with pytest.raises(BinariesMissing, match=rf"\({evil} belongs to user nobody") as caught:
        machine.binaries()
    assert "\n" not in str(caught.value)
    result = programs(machine.folder / "other" / "bin", "16.1")
    if name == "pg_config":
        (machine.path / name).write_text(f"#!/bin/sh\ndirname {result}/psql\n")
        (machine.path / name).chmod(0o755)
    else:
        (machine.path / name).symlink_to(result / name)
    assert machine.binaries() == result
    assert not (machine.folder / "ran").exists()


@as_root
def test_the_reason_for_passing_over_debians_is_given(machine: Machine) -> None:
    assert list(machine.path.iterdir()) == []
    give(machine.install("18"))
    with pytest.raises(BinariesMissing, match="18/bin belongs to user nobody"):
        machine.binaries()


def test_a_copy_of_the_package_can_be_changed_by_its_owner_alone(tmp_path: Path) -> None:
    """Whatever the umask at installation was: psql runs as root."""
    package = tmp_path / "site-packages" / "embedded_postgres"
    programs(package / "pginstall" / "bin", "18.1")
    for path in (package, *package.rglob("*")):
        path.chmod(0o777)
    (tmp_path / "site-packages" / "embedded_postgres.libs").mkdir()
    (tmp_path / "site-packages" / "embedded_postgres.libs" / "libpq.so").touch(0o666)
    copied_binaries(package / "pginstall" / "bin", tmp_path / "copy")
    modes = {stat.S_IMODE(path.stat().st_mode) & 0o022 for path in (tmp_path / "copy").rglob("*")}
    assert modes == {0}


@as_root
def test_programs_that_the_servers_user_cannot_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BinariesUnreadable, match=str(tmp_path)):
        usable_binaries(programs(tmp_path / "bin", "16.0"))


def test_the_extra_goes_before_all_others() -> None:
    version = subprocess.run(
        (str(packaged() / "postgres"), "--version"), capture_output=True, text=True, check=True
    )
    chosen = subprocess.run(
        (str(usable_binaries() / "postgres"), "--version"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert chosen.stdout == version.stdout
    assert "embedded_postgres" in str(usable_binaries())
