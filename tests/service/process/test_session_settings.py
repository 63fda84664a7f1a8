"""Sessions have our settings, whatever the defaults of server, database, login or pooler are."""

import asyncio
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from eventstore.connections import connect
from eventstore.sessions import NotAdmitted
from projections.definitions import definitions
from projections.rebuild import rebuild_all
from service.process.database import prepare
from tests.databases import cloned_database, connect_directly, database_named, through_port
from tests.running import colloquy, running_service
from tests.service.process.test_durability import HOSTILE
from tests.service.process.test_outages import _forward

pytestmark = pytest.mark.slow

MORE_HOSTILE = {
    "quote_all_identifiers": "on",
    "array_nulls": "off",
    "plpgsql.extra_errors": "all",
    "exit_on_error": "on",
    "enable_indexscan": "off",
    "debug_parallel_query": "regress",
    "restrict_nonsystem_relation_kind": "view, foreign-table",
    "password_encryption": "md5",
    "lc_messages": "C",
}


async def test_defaults_of_sessions_do_not_affect_migrations_and_rebuilds(
    server_url: str, tmp_path: Path
) -> None:
    """Nor does a schema with the owner's name, or one that is first in the search path."""
    name = f"hostile_{uuid4().hex}"
    admin = await asyncpg.connect(server_url)
    await admin.execute(f"CREATE DATABASE {name}")
    url = database_named(server_url, name)
    inside = await asyncpg.connect(url)
    await inside.execute("CREATE SCHEMA colloquy; CREATE SCHEMA app")
    known = {row["name"] for row in await admin.fetch("SELECT name FROM pg_settings")}
    for setting, value in (HOSTILE | MORE_HOSTILE | {"search_path": "app, public"}).items():
        if setting in known or "." in setting:  # not every release has all
            await admin.execute(f"ALTER DATABASE {name} SET {setting} = '{value}'")
    await prepare(url)
    async with running_service(url) as service:
        opened = await service.open()
        assert (await service.say(opened["id"], "naïve \\'x"))[0] == 200
        rebuilt = [built async for built, _ in rebuild_all(url, list(definitions().values()))]
        assert set(rebuilt) == {*definitions()}
    elsewhere = "SELECT count(*) FROM pg_class WHERE relnamespace::regnamespace::text IN ($1, $2)"
    assert await inside.fetchval(elsewhere, "app", "colloquy") == 0
    await inside.close()
    environment = {"DATABASE_URL": url}
    for command in (
        ("token", "list"),
        ("log", "show"),
        ("projections", "status"),
        ("learner", "record", "101"),
        ("analytics", "export", "--all", "--out", str(tmp_path / "export"), "--format", "ndjson"),
        ("migrate",),
    ):
        code, _, err = await colloquy(environment, *command)
        assert code == 0, (command, err)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


class Pooler:
    """Drops the startup parameters of a session, as some poolers do."""

    def __init__(self, url: str) -> None:
        self._target = url

    async def __aenter__(self) -> "Pooler":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        return through_port(self._target, self._server.sockets[0].getsockname()[1])

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(4), "big")
        first = await reader.readexactly(length - 4)
        if length == 8:  # asks for encryption
            writer.write(b"N")
            length = int.from_bytes(await reader.readexactly(4), "big")
            first = await reader.readexactly(length - 4)
        words = first[4:].split(b"\0")
        asked = dict(zip(words[::2], words[1::2], strict=False))
        kept = [name + b"\0" + asked[name] + b"\0" for name in (b"user", b"database")]
        message = first[:4] + b"".join(kept) + b"\0"
        there, server = await connect_directly(self._target)
        server.write((len(message) + 4).to_bytes(4, "big") + message)
        await asyncio.gather(_forward(reader, server), _forward(there, writer))


async def test_a_pooler_that_drops_our_settings_is_refused(server_url: str) -> None:
    """Otherwise the service would work as the owner, who is not restricted to an account."""
    async with cloned_database(server_url) as database, Pooler(database) as pooler:
        code, out, err = await colloquy({"DATABASE_URL": pooler.url}, "serve", "--port", "0")
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "a connection pooler that drops them: connect directly" in err
        for role in ("colloquy_service", "colloquy_auditor"):
            with pytest.raises(NotAdmitted, match="role, "):
                await connect(pooler.url, role)
