"""Databases of the tests' own, cloned from templates on the run's server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

from eventstore.connections import connect
from service.embedded_postgres.socket_folder import PORT
from service.process.database import prepare
from service.process.demo import make_demo

HOME = "COLLOQUY_TEST_HOME"
"""The variable with the folder of the run's server."""

TEMPLATE = "template_colloquy"
"""Migrated, and empty."""

DEMO_TEMPLATE = "template_demo"
DEMO = "demo"
"""Folder in the run's home with the tokens of the demo in its template."""


def database_named(url: str, name: str) -> str:
    """The URL of another database on the same server."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def name_of(url: str) -> str:
    """The name of the database that a URL leads to."""
    return urlsplit(url).path.removeprefix("/")


def through_port(url: str, port: int) -> str:
    """The URL of the same database through a port of this machine."""
    parts = urlsplit(url)
    people = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{people}@127.0.0.1:{port}", query="").geturl()


def socket_folder_of(url: str) -> str:
    """The folder of the socket that a URL of the embedded server names."""
    return dict(parse_qsl(urlsplit(url).query))["host"]


async def connect_directly(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The bytes from and to the server at a URL of the embedded server."""
    return await asyncio.open_unix_connection(f"{socket_folder_of(url)}/.s.PGSQL.{PORT}")


@asynccontextmanager
async def cloned_database(server_url: str, template: str = DEMO_TEMPLATE) -> AsyncIterator[str]:
    """A database that lives as long as the context; the owner's URL of it."""
    name = f"test_{uuid4().hex}"
    # By files: half as long as through the log, at the size of a template.
    await _execute(server_url, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    yield database_named(server_url, name)
    await _execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")


async def make_templates(url: str, home: Path) -> None:
    """Makes the templates that are missing; the tokens of the demo's are kept in `home`."""
    connection = await connect(url)
    try:
        exists = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"
        if not await connection.fetchval(exists, DEMO_TEMPLATE):
            draft = database_named(url, f"{TEMPLATE}_draft")
            await connection.execute(f"CREATE DATABASE {TEMPLATE}_draft")
            await prepare(draft)
            await connection.execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE {TEMPLATE}_draft")
            await _make_demo(draft, home)
            await connection.execute(f"ALTER DATABASE {TEMPLATE}_draft RENAME TO {DEMO_TEMPLATE}")
    finally:
        await connection.close()


async def _make_demo(url: str, home: Path) -> None:
    connection = await connect(url)
    try:
        await make_demo(connection, url, home)
    finally:
        await connection.close()


async def _execute(url: str, statement: str) -> None:
    connection = await connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
