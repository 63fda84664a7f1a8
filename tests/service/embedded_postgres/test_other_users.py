"""The embedded PostgreSQL of root against the user it runs as, and against homes of other users."""

import asyncio
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import asyncpg
import pytest

from eventstore.errors import PathUntrusted
from service.embedded_postgres import EmbeddedPostgres
from service.embedded_postgres.data_files import data_version, read_data_file, replace_data_file
from service.embedded_postgres.data_location import HOME_FILES, Account
from service.embedded_postgres.errors import DataTampered, EmbeddedPostgresError, HomeTooLong
from service.embedded_postgres.postgres_programs import MAX_READ, Programs
from service.embedded_postgres.postmaster import (
    disown_other_program,
    read_postmaster,
)
from service.embedded_postgres.socket_folder import LOCK_FILE, PORT, socket_folder
from tests.other_users import NOBODY, as_root, give, link_of_nobody, share
from tests.running import colloquy
from tests.service.embedded_postgres.test_cluster import stop_by_force

pytestmark = pytest.mark.slow

PID_FILE = "{pid}\n/data\n1790000000\n5432\n.\n\n\nready   \n"
SECRET = "the secret of root\n"

# What a server's user could do while its data is being made: put links in the place of things.
EVIL_INITDB = """#!/bin/sh
staging=$(dirname "$PGDATA")
for name in data password; do
    rm -rf "$staging/$name" || mv "$staging/$name" "$staging/$name.old"
    ln -s {target} "$staging/$name"
done
ln -s {target} "$staging/planted"
echo "user $(id -u)"
"""
LOOKING_INITDB = """#!/bin/sh
stat -c "%a %U" "$PGDATA/.." "$PGDATA" "$PGDATA/../password" >&2
exit 1
"""
POSTGRES = "#!/bin/sh\necho 'postgres (PostgreSQL) 18.1'\n"


# Another user's server: wherever it can listen, it asks for the password as it is, and tells it.
SQUATTER = """
import os, socket, sys
from pathlib import Path
os.setgroups([])
os.setgid(1)
os.setuid(1)
places = []
for path in sys.argv[2:]:
    for take in (os.unlink, lambda path: os.rename(path, path + ".old")):
        try:
            take(path)
        except OSError:
            pass
    try:
        place = socket.socket(socket.AF_UNIX)
        place.bind(path)
        place.listen()
        places.append(place)
    except OSError:
        pass
places.append(socket.create_server(("127.0.0.1", int(sys.argv[1]))))
print("ready", len(places), flush=True)
caller, _ = places[0].accept()
while (heard := caller.recv(8)) and b"\\x04\\xd2\\x16\\x2f" in heard:
    caller.sendall(b"N")
caller.recv(65536)
caller.sendall(b"R" + (8).to_bytes(4, "big") + (3).to_bytes(4, "big"))
print(caller.recv(65536), flush=True)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users can reach."""
    made = Path(tempfile.mkdtemp(prefix="colloquy-")).resolve()
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def home(folder: Path) -> Path:
    (folder / "home").mkdir(0o711)
    return folder / "home"


@pytest.fixture
def data(home: Path) -> Path:
    """A folder like the data of a server that runs as nobody."""
    made = home / "postgres"
    made.mkdir(0o700)
    (made / "PG_VERSION").write_text("18\n")
    for path in (made, *made.iterdir()):
        give(path)
    return made


@pytest.fixture
def secret(folder: Path) -> Path:
    """A file that only root can read and change."""
    made = folder / "secret"
    made.write_text(SECRET)
    made.chmod(0o600)
    return made


def programs(folder: Path, initdb: str) -> Path:
    """A PostgreSQL whose only working program is this initdb."""
    scripts = {"initdb": initdb, "postgres": POSTGRES}
    folder.mkdir()
    for name in ("initdb", "postgres", "pg_ctl", "psql"):
        (folder / name).write_text(scripts.get(name, "#!/bin/sh\nexit 1\n"))
        (folder / name).chmod(0o755)
    return folder


async def look(url: str) -> None:
    """Connect to the database once."""
    connection = await asyncpg.connect(url, timeout=60)
    await connection.close()


def is_untouched(secret: Path) -> bool:
    result = secret.stat()
    kept = (result.st_uid, stat.S_IMODE(result.st_mode)) == (os.geteuid(), 0o600)
    return kept and secret.read_text() == SECRET


def refusal(home: Path) -> str:
    """Why the embedded server does not start in this home, in one line."""
    with pytest.raises((PathUntrusted, EmbeddedPostgresError)) as caught:
        EmbeddedPostgres(home).acquire()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@as_root
@pytest.mark.parametrize("name", ["home", "long" * 40])
def test_nobody_else_can_listen_in_the_place_of_a_server_that_is_down(
    home: Path, name: str
) -> None:
    """A listener at the URL's address could ask for the password, or hinder a start."""
    shared = home.parent / "shared"
    postgres = EmbeddedPostgres(
        home.rename(home.with_name(name)), options={"fsync": "off"}, shared=shared
    )
    with postgres as url:
        parts = urlsplit(url)
        stop_by_force(postgres.data.parent)
        place = dict(parse_qsl(parts.query)).get("host", "/nowhere")
        assert place.startswith(str(shared if name != "home" else postgres.data))
        addresses = [str(parts.port or 0), place, f"{place}/.s.PGSQL.{PORT}"]
        command = [sys.executable, "-c", SQUATTER, *addresses]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as squatter:
            assert squatter.stdout
            try:
                assert squatter.stdout.readline() == "ready 1\n"
                with pytest.raises(ConnectionRefusedError):
                    asyncio.run(look(url))
                assert postgres.ensure_running()
                asyncio.run(look(url))
            finally:
                squatter.kill()
            assert squatter.stdout.read() == ""


@as_root
def test_a_data_folder_that_others_can_write_to_is_refused(data: Path) -> None:
    """Also while its server runs, which PostgreSQL would not start in it."""
    data.chmod(0o770)
    assert f"others than its owner can write to {data}" in refusal(data.parent)


@pytest.mark.parametrize("kind", ["gone", "elsewhere", "sticky", "all", "folder"])
def test_a_link_to_a_long_data_folder_is_made_where_only_we_can_write(
    folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And again when it is gone, for users other than root."""
    socket_path = partial(socket_folder, as_root=False)
    monkeypatch.setenv("HOME", str(folder / "user"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
    data = folder / ("long" * 40)
    link = socket_path(data)
    assert (link.parent, link.readlink()) == (folder / "user/.local/state/colloquy", data)
    match kind:
        case "gone":
            link.unlink()
        case "elsewhere":
            link.unlink()
            link.symlink_to(folder)
        case "sticky" | "all":
            link.parent.chmod(0o1777 if kind == "sticky" else 0o777)
        case "folder":
            link.unlink()
            link.mkdir()
    again = socket_path(data)
    assert again.readlink() == data
    expected = link.parent if kind in ("gone", "elsewhere") else folder / "run/colloquy"
    assert again.parent == expected
    monkeypatch.setenv("XDG_RUNTIME_DIR", "run")  # of whatever folder we are in
    link.parent.chmod(0o777)
    with pytest.raises(HomeTooLong, match="choose another COLLOQUY_HOME"):
        socket_path(data)


@as_root
@pytest.mark.parametrize("name", ["postmaster.pid.new", "postmaster.pid.tmp"])
def test_a_link_in_the_data_does_not_lead_root_elsewhere(
    data: Path, secret: Path, name: str
) -> None:
    """The id in the file is still replaced, and the file still belongs to nobody."""
    with subprocess.Popen(["sleep", "60"], user="nobody") as other:
        try:
            (data / "postmaster.pid").write_text(PID_FILE.format(pid=other.pid))
            give(data / "postmaster.pid")
            link_of_nobody(data / name, secret)
            disown_other_program(data)
        finally:
            other.kill()
    result = read_postmaster(data)
    assert result
    assert (result.pid, result.on_socket) == (os.getpid(), True)
    assert (data / "postmaster.pid").stat().st_uid == NOBODY.pw_uid
    assert is_untouched(secret)


@as_root
@pytest.mark.parametrize("name", ["postmaster.pid", LOCK_FILE, "PG_VERSION"])
@pytest.mark.parametrize("kind", ["link", "pipe", "hard link", "folder", "device"])
def test_only_regular_files_of_the_servers_user_are_opened(
    data: Path, secret: Path, name: str, kind: str
) -> None:
    """Root waits for no pipe, and none of root's text gets into messages or files of nobody."""
    (data / name).unlink(missing_ok=True)
    match kind:
        case "link":
            link_of_nobody(data / name, secret)
        case "hard link":
            (data / name).hardlink_to(secret)
        case "pipe":
            os.mkfifo(data / name)
            give(data / name)
        case "folder":
            (data / name).mkdir()
        case "device":
            link_of_nobody(data / name, Path("/dev/zero"))
    readers: dict[str, list[Callable[[Path], object]]] = {
        "postmaster.pid": [read_postmaster, disown_other_program],
        LOCK_FILE: [disown_other_program],
        "PG_VERSION": [data_version],
    }
    for read in readers[name]:
        with pytest.raises(DataTampered, match=name) as caught:
            read(data)
        assert SECRET.strip() not in str(caught.value)
    if name == "PG_VERSION":
        assert name in refusal(data.parent)
    assert is_untouched(secret)


@as_root
def test_a_new_file_of_the_data_is_its_owners_and_takes_the_place_of_links(
    data: Path, secret: Path
) -> None:
    link_of_nobody(data / "file", secret)
    replace_data_file(data, "file", "words")
    assert read_data_file(data, "file") == "words"
    assert (data / "file").lstat().st_uid == NOBODY.pw_uid
    (data / "folder").mkdir()
    with pytest.raises(DataTampered, match="folder"):
        replace_data_file(data, "folder", "words")
    assert is_untouched(secret)


@as_root
def test_a_data_folder_that_is_a_link_is_not_gone_through(data: Path, secret: Path) -> None:
    data.rename(data.with_name("aside"))
    link_of_nobody(data, secret.parent)
    assert "belongs to user nobody" in refusal(data.parent)
    with pytest.raises(DataTampered):
        read_data_file(data, "secret")


@as_root
@pytest.mark.parametrize("target", ["secret", "folder"])
def test_initdb_cannot_replace_the_files_of_the_staging_folder(
    home: Path, secret: Path, folder: Path, target: str
) -> None:
    """Root neither writes the password through a link nor takes another folder for the data."""
    (folder / "folder").mkdir(0o700)
    binaries = programs(folder / "bin", EVIL_INITDB.format(target=folder / target))
    with pytest.raises(EmbeddedPostgresError):
        EmbeddedPostgres(home, binaries=binaries).acquire()
    assert not (home / "postgres").is_symlink()
    assert (home / "postgres").stat().st_uid == NOBODY.pw_uid
    assert not list(home.glob("postgres.init-*"))
    assert list((folder / "folder").iterdir()) == []
    assert is_untouched(secret)


@as_root
def test_nobody_else_reads_the_password_while_the_data_is_made(home: Path, folder: Path) -> None:
    binaries = programs(folder / "bin", LOOKING_INITDB)
    with pytest.raises(EmbeddedPostgresError, match=r"711 root \| 700 nobody \| 600 nobody$"):
        EmbeddedPostgres(home, binaries=binaries).acquire()


@as_root
@pytest.mark.parametrize("name", HOME_FILES)
@pytest.mark.parametrize("kind", ["link", "link to nothing", "file"])
def test_what_another_user_has_prepared_in_a_home_is_refused(
    home: Path, secret: Path, name: str, kind: str
) -> None:
    if kind == "file":
        (home / name).write_text("prepared")
        (home / name).chmod(0o600)
        give(home / name)
    else:
        link_of_nobody(home / name, secret if kind == "link" else home / "nothing")
    assert f"{home / name} belongs to user nobody" in refusal(home)
    assert is_untouched(secret)
    assert not (home / "nothing").exists()


@as_root
def test_a_link_in_the_place_of_the_passwords_draft_is_not_written_through(
    home: Path, secret: Path
) -> None:
    link_of_nobody(home / "postgres.password.new", secret)
    with EmbeddedPostgres(home, options={"fsync": "off"}) as url:
        assert (home / "postgres.password").read_text() in url
    assert is_untouched(secret)


def test_control_characters_of_the_servers_log_are_replaced(home: Path) -> None:
    """Root sees the log; only its end is read, however long it is."""
    log = home / "postgres.log"
    log.write_bytes(b"x" * 2 * MAX_READ + b"\n\x1b]0;title\x07\x9b31m end\r\n")
    words = Programs(home, Account(0, 0), log)
    assert words.log_end().endswith(" | \ufffd]0;title\ufffd\ufffd31m end\ufffd")
    assert len(words.log_text()) <= MAX_READ


def test_a_password_that_others_can_read_is_refused_with_what_to_do(home: Path) -> None:
    (home / "postgres.password").write_text("word")
    (home / "postgres.password").chmod(0o644)
    assert refusal(home).endswith(f"use {home / 'postgres.password'}: chmod 600 it")


@as_root
@pytest.mark.parametrize("kind", ["owner", "group", "all", "above", "link", "sticky"])
async def test_a_home_that_another_user_has_prepared_is_refused(
    home: Path, folder: Path, kind: str
) -> None:
    """By every command, also with a database elsewhere, since the home has the keys."""
    match kind:
        case "owner":
            give(home)
        case "group":
            share(home)
        case "all":
            home.chmod(0o777)
        case "above":
            give(folder)
        case "link":
            home = link_of_nobody(folder / "link", home)
        case "sticky":
            home.chmod(0o1777)
    for more in ({}, {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}):
        code, out, err = await colloquy({"COLLOQUY_HOME": str(home), **more}, "db", "url")
        assert (code, out) == (1, "")
        assert err.startswith("colloquy: COLLOQUY_HOME: ")
        assert err.count("\n") == 1
        assert "start as that user" in err or "chmod go-w" in err
    assert list(home.iterdir()) == []


@as_root
async def test_a_home_prepared_below_a_folder_for_all_is_refused(folder: Path) -> None:
    """As in `/tmp`, where the first user to create a folder owns it."""
    folder.chmod(0o1777)
    (folder / "home").mkdir(0o700)
    give(folder / "home")
    code, _, err = await colloquy({"COLLOQUY_HOME": str(folder / "home")}, "db", "url")
    assert code == 1
    assert "belongs to user nobody" in err


def test_a_home_that_is_a_link_of_its_owner_is_used(folder: Path) -> None:
    """Also below a folder that all can write to, and through a link to a link."""
    folder.chmod(0o1777)
    (folder / "real").mkdir()
    (folder / "link").symlink_to("real")
    (folder / "first").symlink_to(folder / "link")
    with EmbeddedPostgres(folder / "first", options={"fsync": "off"}) as url:
        assert (folder / "real" / "postgres.password").read_text() in url


def test_a_home_of_an_earlier_release_opens(folder: Path) -> None:
    """With its modes, a leftover staging folder, and its password file."""
    home = folder / "home"
    home.mkdir(0o711)
    (home / "postgres.init-left" / "data").mkdir(parents=True)
    if os.geteuid() == 0:
        give(home / "postgres.init-left")
    with EmbeddedPostgres(home, options={"fsync": "off"}) as url:
        pass
    for name in ("checkpoints", "checkpoints/1", "keys"):
        (home / name).mkdir(0o755)
    home.chmod(0o775)
    with EmbeddedPostgres(home, options={"fsync": "off"}) as again:
        assert again == url
    assert sorted(path.name for path in home.glob("postgres*")) == sorted(["postgres", *HOME_FILES])


@pytest.mark.parametrize("kind", ["link", "pipe", "another user's"])
@as_root
def test_the_log_is_neither_written_nor_read_through_another_users_file(
    folder: Path, secret: Path, kind: str
) -> None:
    """No program runs, and no pipe is waited for."""
    run = Programs(
        programs(folder / "bin", f"#!/bin/sh\ntouch {folder}/ran\n"), Account(0, 0), folder / "log"
    )
    if kind == "link":
        run.log.symlink_to(secret)
    elif kind == "pipe":
        os.mkfifo(run.log)
    else:
        run.log.write_text("words")
        give(run.log)
    for use in (
        run.clear_log,
        run.log_text,
        lambda: run.run("initdb", data=folder, seconds=60),
    ):
        with pytest.raises(PathUntrusted, match="move it away"):
            use()
    assert secret.read_text() == SECRET
    assert not (folder / "ran").exists()
