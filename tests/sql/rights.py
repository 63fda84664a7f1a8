"""Regenerates `sql/rights.sql`: ``python -m tests.sql.rights``, after a migration was added."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from eventstore.connections import connect
from service.embedded_postgres import EmbeddedPostgres
from service.process.database import prepare
from sql.loader import query
from sql.rights import ROLES
from tests.running import ROOT

FILE = ROOT / "sql" / "rights.sql"
_HEAD = 2


async def listed(url: str) -> list[str]:
    """The rights in a database."""
    connection = await connect(url)
    try:
        return [row["statement"] for row in await connection.fetch(query("list_rights"), ROLES)]
    finally:
        await connection.close()


async def write(url: str) -> None:
    """Writes those of an empty database."""
    await prepare(url)
    head = FILE.read_text("utf-8").splitlines()[:_HEAD]
    FILE.write_text("\n".join([*head, *await listed(url), ""]), "utf-8")


if __name__ == "__main__":
    with TemporaryDirectory() as home, EmbeddedPostgres(Path(home)) as server:
        asyncio.run(write(server))
