"""The advisory lock by which other processes see that a process, and its turns, are alive.

The lock has its own connection, so that errors of other connections do not free it. Over this
connection the process also proves, twice a second, that the database still answers.
"""

import asyncio
import secrets
from collections.abc import Coroutine
from contextlib import suppress

import structlog

from eventstore.connections import AccountConnection, Connection, connect
from eventstore.database_errors import DATABASE_ERRORS
from eventstore.primary import Primary
from sql.errors import EarlierReleaseRuns
from sql.loader import query

BEAT = 0.5
"""Seconds between two proofs that the database answers."""

_SEARCH_EVERY = 2.0
"""Seconds between two searches for the primary if there are several hosts."""

_RETRY = 0.25
SETTLING = 5.0
"""Seconds in which the processes of a database that was away are back."""

_RELEASE = (0x636F6C6C, 2)  # "coll", and a number
"""Key of the lock that all processes hold that can read each other's events.

The number goes up with the types of events: who lacks one reads a dialogue otherwise.
"""

_MAX_NAME = 63
"""Bytes of an application's name in PostgreSQL."""

log = structlog.get_logger("colloquy.link")


class Liveness:
    """Makes a process count as alive.

    Args:
        url: The owner's connection URL.
        primary: Shared with the process's other connections, whose answers need its proofs.
        address: Where the process serves, for operators, in ASCII.
        settling: Seconds after a lost connection in which others are not judged.

    Attributes:
        owner: The process's number, written into the turns that it owns.
    """

    def __init__(
        self,
        url: str,
        primary: Primary,
        address: str | None = None,
        settling: float = SETTLING,
    ) -> None:
        self.owner = secrets.randbits(48)
        self._url = url
        self._settings = (
            {"application_name": f"colloquy on {address}"[:_MAX_NAME]} if address else None
        )
        self._primary = primary
        self._settling = settling
        self._connection: AccountConnection | None = None
        self._reconnected_at: float | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def settled(self) -> bool:
        """Whether others that look gone are gone, and not just about to connect again."""
        if self._connection is None:
            return False
        if self._reconnected_at is None:
            return True
        return asyncio.get_running_loop().time() - self._reconnected_at >= self._settling

    async def start(self) -> None:
        """Connects and takes the lock; from then on the process counts as alive."""
        self._connection = await self._open()
        await self._primary.prove(self._connection)
        loops: list[Coroutine[None, None, None]] = [self._prove_alive()]
        if self._primary.has_standbys:
            loops.append(self._search_primary())
        self._tasks = [asyncio.create_task(loop, name="liveness") for loop in loops]

    async def close(self) -> None:
        """Ends the connection; the process no longer counts as alive."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._primary.close()
        self._disconnect()

    async def _open(self) -> AccountConnection:
        connection = await connect(self._url, "colloquy_service", self._settings, self._primary)
        try:
            await connection.fetchval(query("lock_owner"), self.owner, *_RELEASE)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _prove_alive(self) -> None:
        while True:
            try:
                if self._connection is None:
                    self._connection = await self._open()
                    self._reconnected_at = asyncio.get_running_loop().time()
                await self._primary.prove(self._connection)
                await asyncio.sleep(BEAT)
            except DATABASE_ERRORS as error:
                log.warning("liveness_lost", error=repr(error))
                self._disconnect()
                await asyncio.sleep(_RETRY)

    async def _search_primary(self) -> None:
        while True:
            await asyncio.sleep(_SEARCH_EVERY)
            with suppress(*DATABASE_ERRORS):
                await self._primary.search()

    def _disconnect(self) -> None:
        if self._connection:
            self._connection.terminate()
            self._connection = None


async def refuse_beside_earlier(connection: Connection) -> None:
    """Checks that no process of an earlier release uses the database.

    Args:
        connection: The owner's.

    Raises:
        EarlierReleaseRuns: One does.
    """
    if rows := await connection.fetch(query("list_earlier_processes"), *_RELEASE):
        where = rows[0]["client"] or "this machine"
        raise EarlierReleaseRuns(
            f"a process of an earlier release uses this database (session {rows[0]['pid']}, from "
            f"{where}): stop it first, since it cannot read what this release records"
        )
