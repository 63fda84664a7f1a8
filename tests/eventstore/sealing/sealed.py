"""A sealed log, and a database owner who tampers with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from eventstore.connections import Connection, connect
from eventstore.log import EventLog
from eventstore.sealing.sealer import Sealer
from eventstore.sealing.signing_keys import KeyLocation, list_keys, open_signer
from eventstore.sealing.verify_log import TrustAnchors, Verification, verify_log
from tests.eventstore.building import ACCOUNT, append, messages

LOG_TABLES = (
    "events",
    "event_content",
    "tree_tiles",
    "tree_heads",
    "log_heads",
    "log_origins",
    "key_rotations",
)


class Sealed(msgspec.Struct, frozen=True):
    """A log with its key, and checkpoints in files outside the database."""

    url: str
    home: Path
    log: EventLog

    @property
    def place(self) -> KeyLocation:
        return KeyLocation(self.home / "keys", name="colloquy-test")

    @property
    def folder(self) -> Path:
        return self.home / "checkpoints"

    @property
    def files(self) -> Path:
        """The files of the first account."""
        return self.folder / str(ACCOUNT)

    async def say(self, number: int, conversation_id: int = 1) -> None:
        """Appends so many messages of a conversation."""
        stream = f"dialogue-1-{100 + conversation_id}"
        for one in messages(number, conversation_id):
            await append(self.log, stream, one)

    async def seal(self, folder: Path | None = None, place: KeyLocation | None = None) -> None:
        """Publishes a checkpoint of the log."""
        place = place or self.place
        open_signer(place)
        sealer = Sealer(self.url, place, folder or self.folder, 1)
        async with sealer.leading() as connection:
            await sealer.seal(connection)

    async def seal_as_thief(self, place: KeyLocation, folder: Path | None = None) -> None:
        """Seals with a program that ignores the records of replaced keys."""
        async with owning(self.url) as connection:
            rows = await connection.fetch("DELETE FROM key_rotations RETURNING *")
            await self.seal(folder, place)
            await connection.executemany(
                "INSERT INTO key_rotations VALUES ($1, $2, $3, $4, $5)", [tuple(r) for r in rows]
            )

    async def verify(self, folder: Path | None = None) -> Verification:
        """An auditor's verification."""
        connection = await connect(self.url, "colloquy_auditor")
        try:
            trusted = TrustAnchors(list_keys(self.place), folder or self.files)
            return await verify_log(connection, ACCOUNT, trusted, lambda _done, _total: None)
        finally:
            await connection.close()


@asynccontextmanager
async def owning(url: str) -> AsyncIterator[Connection]:
    """A superuser's session with the log's triggers disabled."""
    connection = await connect(url)
    try:
        for table in LOG_TABLES:
            await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        yield connection
        for table in LOG_TABLES:
            await connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")
    finally:
        await connection.close()


async def tamper(url: str, *statements: str) -> None:
    """Tampers with the log; each statement must change a row."""
    async with owning(url) as connection:
        for statement in statements:
            done = await connection.execute(statement)
            assert not done.endswith(" 0"), f"nothing was changed: {statement}"
