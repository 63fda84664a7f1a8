"""The embedded PostgreSQL, with real servers that are really killed."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from eventstore.connections import connect
from eventstore.durable_files import shared_lock
from service.embedded_postgres import EmbeddedPostgres
from service.embedded_postgres.binaries import copied_binaries, packaged_binaries
from service.embedded_postgres.data_location import data_folder, is_root, server_account
from service.embedded_postgres.errors import (
    BinariesUnfit,
    InitFailed,
    NotAcquired,
    NotOnSocket,
    PasswordMissing,
    StartFailed,
    VersionMismatch,
)
from service.embedded_postgres.postgres_programs import Programs
from service.embedded_postgres.postgres_server import PostgresServer
from service.embedded_postgres.postmaster import live_postmaster, read_postmaster
from service.embedded_postgres.socket_folder import LOCK_FILE

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
INSTALLATIONS = [None, *([DEBIAN_15] if DEBIAN_15.exists() else [])]
OTHER_USER = """
import sys
from pathlib import Path
from service.embedded_postgres import EmbeddedPostgres
postgres = EmbeddedPostgres(Path(sys.argv[1]), options={"fsync": "off"})
print(postgres.acquire(), flush=True)
sys.stdin.readline()
postgres.release()
"""

# The data is complete, but not in place, until its maker is killed.
NEVER_IN_PLACE = """
import sys
from pathlib import Path
Path.rename = lambda new, data: sys.stdin.readline()
"""

StartUser = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def made_home() -> Iterator[Path]:
    """A home with data; creating it takes longer than most tests."""
    folder = Path(tempfile.mkdtemp(prefix="colloquy-")).resolve()
    with embedded(folder):
        pass
    yield folder
    leave_no_trace(folder)


@pytest.fixture
def empty_home() -> Iterator[Path]:
    """A home that other users can reach; it is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="colloquy-")).resolve()
    yield folder
    leave_no_trace(folder)


@pytest.fixture
def home(made_home: Path) -> Iterator[Path]:
    """A home with data in it, whose server is down; each test leaves its data usable."""
    yield made_home
    stop_by_force(made_home)


@pytest.fixture
def secluded_home() -> Iterator[Path]:
    """A home below a folder that only we can enter."""
    folder = Path(tempfile.mkdtemp(prefix="colloquy-")).resolve()
    yield folder / "home"
    data = data_folder(folder / "home")
    leave_no_trace(folder, folder / "home")
    if is_root():
        leave_no_trace(data.parent)


@pytest.fixture
def start_other_user() -> Iterator[StartUser]:
    """Start another process that uses the server until it reads a line."""
    started: list[subprocess.Popen[str]] = []

    def start(home: Path, first: str = "") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", first + OTHER_USER, str(home)]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def embedded(home: Path, **arguments: Any) -> EmbeddedPostgres:
    return EmbeddedPostgres(home, options={"fsync": "off"}, **arguments)


def packaged() -> Path:
    result = packaged_binaries()
    assert result, "the extra `embedded` is not installed"
    return result


def ask(postgres: EmbeddedPostgres, url: str, statement: str) -> str:
    psql = str(postgres.binaries / "psql")
    command = [psql, url, "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", statement]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    answer: str = done.stdout.strip()
    return answer


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def server_pid(postgres: EmbeddedPostgres) -> int:
    result = live_postmaster(postgres.data)
    assert result, "no server runs"
    return result.pid


def is_running(postgres: EmbeddedPostgres) -> bool:
    return live_postmaster(postgres.data) is not None


def kill_server(postgres: EmbeddedPostgres) -> None:
    os.kill(server_pid(postgres), signal.SIGKILL)
    wait_until(lambda: not is_running(postgres))


def programs_of(postgres: EmbeddedPostgres, home: Path) -> Programs:
    return Programs(postgres.binaries, server_account(postgres.data), home / "postgres.log")


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def stop_by_force(home: Path) -> None:
    def is_down() -> bool:
        if result := live_postmaster((home / "postgres").resolve()):
            os.kill(result.pid, signal.SIGKILL)
        return result is None

    wait_until(is_down)


def leave_no_trace(folder: Path, home: Path | None = None) -> None:
    def is_gone() -> bool:
        stop_by_force(home or folder)
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()

    wait_until(is_gone)


@pytest.mark.parametrize("binaries", INSTALLATIONS)
async def test_a_cold_start_gives_a_url_that_can_be_used(
    empty_home: Path, binaries: Path | None
) -> None:
    """The owner connects only with the password and through the socket."""
    postgres = embedded(empty_home, binaries=binaries)
    with postgres as url:
        connection = await asyncpg.connect(url)
        try:
            encoding = await connection.fetchval("SHOW server_encoding")
            checksums = await connection.fetchval("SHOW data_checksums")
            names = await connection.fetchrow("SELECT current_user::text, current_database()::text")
            addresses = await connection.fetchval("SHOW listen_addresses")
        finally:
            await connection.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(url, password="guessed")
    assert (encoding, checksums, tuple(names or ())) == ("UTF8", "on", ("colloquy", "colloquy"))
    assert addresses == ""
    assert not is_running(postgres)


def test_the_password_is_for_its_owner_only(home: Path) -> None:
    """So are the data folder, the log and the locks."""
    with embedded(home) as url:
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()}
        password = (home / "postgres.password").read_text()
    assert f":{password}@" in url
    assert len(password) >= 32
    assert modes.pop("postgres") == 0o700
    assert set(modes.values()) == {0o600}


def test_the_last_user_stops_the_server(home: Path) -> None:
    """In any order of their starts."""
    first, second = embedded(home), embedded(home)
    assert first.acquire() == second.acquire()
    first.release()
    first.release()
    assert is_running(second)
    second.release()
    assert not is_running(second)


def test_acquiring_twice_is_one_use(home: Path) -> None:
    """So one release ends it."""
    postgres = embedded(home)
    assert postgres.acquire() == postgres.acquire()
    postgres.release()
    assert not is_running(postgres)


def test_processes_that_start_simultaneously_share_one_server(
    empty_home: Path, start_other_user: StartUser
) -> None:
    """They all get one URL, and the last one to leave stops the server."""
    processes = [start_other_user(empty_home) for _ in range(4)]
    urls = {first_line(process) for process in processes}
    assert len(urls) == 1
    for process in processes[1:]:
        process.communicate("done\n", timeout=60)
        assert process.returncode == 0
    assert is_running(embedded(empty_home))
    processes[0].communicate("done\n", timeout=60)
    assert not is_running(embedded(empty_home))


@pytest.mark.parametrize("binaries", INSTALLATIONS)
def test_a_killed_server_comes_back_with_its_data(empty_home: Path, binaries: Path | None) -> None:
    """Clients connect again with the URL that they have."""
    postgres = embedded(empty_home, binaries=binaries)
    with postgres as url:
        assert postgres.ensure_running() is False
        ask(postgres, url, "CREATE TABLE kept AS SELECT 42 AS answer")
        kill_server(postgres)
        assert postgres.ensure_running() is True
        assert ask(postgres, url, "SELECT answer FROM kept") == "42"
        assert postgres.ensure_running() is False


def test_a_new_user_brings_a_killed_server_back(home: Path) -> None:
    """At the address that earlier users have."""
    first, second = embedded(home), embedded(home)
    with first as url:
        kill_server(first)
        with second as same:
            assert same == url
            assert first.ensure_running() is False


def test_the_url_is_the_same_from_start_to_start(home: Path) -> None:
    """So that URLs given to others, such as analysts, stay valid."""
    with embedded(home) as first:
        pass
    with embedded(home) as second:
        assert first == second


async def test_clients_find_the_socket_whatever_the_name_of_the_home(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too long for a socket's path, or with characters that clients decode or split at."""
    folder = home.with_name(f"{home.name}-named")
    folder.mkdir(mode=0o711)
    monkeypatch.setenv("HOME", str(folder / "shared"))
    try:
        for name in (" a b", "50%25", "Bücher", "o'a\\b\"@#?&+=:[", "a,b", "x" * 200):
            named = home.rename(folder / name)
            try:
                postgres = embedded(named, shared=folder / "shared")
                with postgres as url:
                    answer = ask(postgres, url, "SHOW data_directory")
                    connection = await connect(url)
                    assert await connection.fetchval("SHOW data_directory") == answer
                    await connection.close()
                assert answer == str(named / "postgres")
            finally:
                named.rename(home)
    finally:
        shutil.rmtree(folder)


def test_a_server_of_an_earlier_release_is_replaced_unless_somebody_uses_it(home: Path) -> None:
    """It listens on a port, where any user could listen; it was kept running, for example."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "port": str(port),
        "fsync": "off",
    }
    postgres = embedded(home)
    PostgresServer(postgres.data, programs_of(postgres, home), options).adopt_or_start()
    user = shared_lock(home / "postgres.users")
    with pytest.raises(NotOnSocket, match="end the processes that use it"):
        postgres.acquire()
    assert is_running(postgres)
    os.close(user)
    with postgres as url:
        assert ask(postgres, url, "SHOW listen_addresses") == ""


def test_a_server_whose_starter_was_killed_is_adopted_and_stopped(
    home: Path, start_other_user: StartUser
) -> None:
    """A dead process is not a user: the server that it started does not hold its lock."""
    starter = start_other_user(home)
    url = first_line(starter)
    starter.kill()
    starter.communicate()
    postgres = embedded(home)
    orphan = server_pid(postgres)
    with postgres as adopted:
        assert (adopted, server_pid(postgres)) == (url, orphan)
    assert not is_running(postgres)


def test_a_kept_server_stays(home: Path) -> None:
    """For the next user, until somebody stops it."""
    postgres = embedded(home, keep=True)
    postgres.acquire()
    postgres.release()
    assert is_running(postgres)
    stop = ("stop", "-m", "fast", "-w")
    assert programs_of(postgres, home).run("pg_ctl", *stop, data=postgres.data, seconds=60)
    assert not is_running(postgres)


def test_a_killed_initdb_leaves_no_half_made_data(
    empty_home: Path, start_other_user: StartUser
) -> None:
    """The next start creates the data again, even while an orphaned initdb still runs."""
    starter = start_other_user(empty_home, NEVER_IN_PLACE)
    wait_until(lambda: any(empty_home.glob("postgres.init-*/data/*")))
    starter.kill()
    starter.communicate()
    assert not (empty_home / "postgres").exists()
    postgres = embedded(empty_home)
    with postgres as url:
        assert ask(postgres, url, "SELECT current_database()") == "colloquy"


def test_a_failed_initdb_says_why_and_leaves_nothing(empty_home: Path) -> None:
    """Not even the files of an earlier, interrupted one."""
    programs = empty_home / "bin"
    shutil.copytree(packaged(), programs, symlinks=True)
    (programs / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 18.1'\n")
    (programs / "initdb").write_text("#!/bin/sh\necho 'No space left on device' >&2\nexit 1\n")
    (empty_home / "postgres.init-left/data").mkdir(parents=True)
    with pytest.raises(InitFailed, match=r"postgres\.log: No space left on device"):
        embedded(empty_home, binaries=programs).acquire()
    assert not list(empty_home.glob("postgres.init-*"))
    assert not (empty_home / "postgres").exists()


def test_a_failed_start_says_why_and_where_the_log_is(home: Path) -> None:
    """In one line."""
    wrong = EmbeddedPostgres(home, options={"max_connections": "many"})
    with pytest.raises(StartFailed, match=r"postgres\.log: .*max_connections") as caught:
        wrong.acquire()
    assert "\n" not in str(caught.value)


def test_data_of_another_major_version_is_refused(home: Path) -> None:
    """With both versions."""
    postgres, file = embedded(home), home / "postgres/PG_VERSION"
    ours = file.read_text()
    file.write_text("14\n")
    with pytest.raises(
        VersionMismatch, match=f"PostgreSQL 14's, this is PostgreSQL {ours.strip()}"
    ):
        postgres.acquire()
    file.write_text(ours)
    with postgres as url:
        assert ask(postgres, url, "SELECT 1") == "1"


def test_a_lost_password_file_is_reported(home: Path) -> None:
    """A new one would not fit the data."""
    password, lost = home / "postgres.password", home / "lost"
    password.rename(lost)
    with pytest.raises(PasswordMissing, match=str(home)):
        embedded(home).acquire()
    lost.rename(password)


def test_another_program_with_the_process_id_of_a_dead_server_is_not_the_server(home: Path) -> None:
    """It is neither adopted nor stopped, and does not keep the server from starting."""
    postgres = embedded(home)
    url = postgres.acquire()
    kill_server(postgres)
    postgres.release()
    files = [postgres.data / name for name in ("postmaster.pid", LOCK_FILE)]
    account = server_account(postgres.data)
    user = account.uid if is_root() else None
    with subprocess.Popen(["sleep", "300"], user=user) as other:
        try:
            for file in files:
                _, rest = file.read_text().split("\n", 1)
                file.write_text(f"{other.pid}\n{rest}")
            with postgres as again:
                assert again == url
                assert ask(postgres, again, "SELECT 1") == "1"
                assert server_pid(postgres) != other.pid
            assert other.poll() is None
        finally:
            other.kill()


def test_a_home_that_only_root_can_reach_has_its_data_elsewhere(secluded_home: Path) -> None:
    """Through a symbolic link; no folder above the home is opened to others."""
    postgres = embedded(secluded_home)
    with postgres as url:
        assert ask(postgres, url, "SHOW data_directory") == str(postgres.data)
    assert (secluded_home / "postgres").is_symlink() is is_root()
    assert (secluded_home / "postgres").resolve() == postgres.data
    assert stat.S_IMODE(secluded_home.parent.stat().st_mode) == 0o700


def test_a_home_made_anew_does_not_get_the_data_of_the_old_one(secluded_home: Path) -> None:
    """Data outside the home is not lost."""
    postgres = embedded(secluded_home)
    with postgres as url:
        ask(postgres, url, "CREATE TABLE old ()")
    shutil.rmtree(secluded_home)
    with postgres as url:
        assert ask(postgres, url, "SELECT to_regclass('old') IS NULL") == "t"
    assert len(list(postgres.data.parent.glob("postgres.[0-9]*"))) == int(is_root())


def test_copied_binaries_can_be_run_by_everybody(home: Path) -> None:
    """They are copied once, and find their libraries in the copy."""
    target = home / "pginstall"
    copy = copied_binaries(packaged(), target)
    made = copy.stat().st_ctime_ns
    assert copied_binaries(packaged(), target) == copy
    assert copy.stat().st_ctime_ns == made
    postgres = embedded(home, binaries=copy)
    with postgres as url:
        assert ask(postgres, url, "SELECT 1") == "1"


def test_a_folder_without_the_programs_is_refused(empty_home: Path) -> None:
    """The error names the setting."""
    with pytest.raises(BinariesUnfit, match=r"COLLOQUY_POSTGRES_BIN .*lacks some of initdb"):
        embedded(empty_home, binaries=empty_home).acquire()


def test_variables_for_other_servers_do_not_affect_ours(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example those that users of PostgreSQL set in the shell."""
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("PGPORT", "1")
    postgres = embedded(home)
    with postgres as url:
        assert ask(postgres, url, "SHOW data_directory") == str(postgres.data)


def test_the_log_does_not_grow_for_ever(home: Path) -> None:
    """Each start empties it, and so does `ensure_running` when it is too long."""
    postgres, log = embedded(home, max_log=10), home / "postgres.log"
    for _ in range(2):
        with postgres:
            assert log.read_text().count("starting PostgreSQL") == 1
    with postgres:
        postgres.ensure_running()
        assert log.read_text() == ""


def test_a_released_server_is_not_restarted(home: Path) -> None:
    """Nothing would stop it afterwards."""
    postgres = embedded(home)
    with postgres:
        pass
    with pytest.raises(NotAcquired):
        postgres.ensure_running()
    assert read_postmaster(postgres.data) is None
