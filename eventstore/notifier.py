"""How processes hear of each other: that a log has grown, and what else there is to tell.

Telling happens here, coalesced, and not in the append's transaction: NOTIFY takes a lock on the
whole database at commit. All goes over one channel whose name only the service can read: anybody
who may connect can listen to a channel that they can name, and notify it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import asyncpg
import structlog

from eventstore.connections import Connection, connect
from eventstore.database_errors import DATABASE_ERRORS, Meaning, meaning
from eventstore.liveness import Liveness
from eventstore.primary import Primary
from sql.loader import query

EVERY_ACCOUNT = 0
"""The bell of this account rings for all."""

POLL = 1.0
"""Seconds after which whoever waits for events looks without having been told."""

T = TypeVar("T")

_COALESCE = 0.005
_PAUSE = 0.05
_RETRY = 0.25
_CHECK = 15.0
_FLUSH = 2.0
_MAX_LETTERS = 1_000
_APPENDED = "log"
"""The topic of what is told by a ring."""

log = structlog.get_logger("colloquy.link")


async def rung(bell: asyncio.Event) -> None:
    """Waits until a bell rings, and no longer than `POLL`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(POLL):
            await bell.wait()


class Link:
    """Liveness and wake-ups of one process.

    Args:
        url: The owner's connection URL.
        primary: Shared with the process's other connections.
        address: Where the process serves.
    """

    def __init__(
        self, url: str, primary: Primary | None = None, address: str | None = None
    ) -> None:
        self._url = url
        self._primary = primary or Primary(url)
        self._liveness = Liveness(url, self._primary, address)
        self._bells: dict[int, asyncio.Event] = {}
        self._to_tell: set[int] = set()
        self._letters: deque[str] = deque(maxlen=_MAX_LETTERS)
        self._all_sent = asyncio.Event()
        self._all_sent.set()
        self._readers: dict[str, Callable[[str], None]] = {}
        self._stirred = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._channel = ""
        self._is_failing = False

    @property
    def owner(self) -> int:
        """This process's number, written into the turns that it owns."""
        return self._liveness.owner

    async def start(self) -> None:
        """Connects, so that from here on the process counts as alive."""
        await self._liveness.start()
        self._connection = await self._open()
        self._task = asyncio.create_task(self._keep(), name="link")

    async def close(self) -> None:
        """Ends the connection; the process no longer counts as alive."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self._hang_up()
        await self._liveness.close()

    def ring(self, account_id: int) -> None:
        """Wakes an account's followers: here at once, elsewhere within milliseconds."""
        self._wake(account_id)
        self._to_tell.add(account_id)
        self._stirred.set()

    def bell(self, account_id: int) -> asyncio.Event:
        """Set at the next append to the account's log. Take it before you look for events."""
        return self._bells.setdefault(account_id, asyncio.Event())

    async def until(self, account_id: int, look: Callable[[], Awaitable[T | None]]) -> T:
        """What a look at the account's log gives, as soon as it gives something.

        A database that is away is waited for.
        """
        while True:
            bell = self.bell(account_id)
            with suppress(*DATABASE_ERRORS):
                if (found := await look()) is not None:
                    return found
            await asyncio.sleep(_PAUSE)  # the bell rings for every append of the account
            await rung(bell)

    def send(self, topic: str, text: str) -> None:
        """Tells every process, this one included, and promises nothing: some may not hear it.

        Args:
            topic: A word.
            text: With the topic under 8000 bytes, PostgreSQL's bound for a notification.
        """
        self._letters.append(f"{topic} {text}")
        self._all_sent.clear()
        self._stirred.set()

    async def flush(self) -> None:
        """Waits until what was sent is on its way, for as long as that can be expected to take."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH):
                await self._all_sent.wait()

    def on(self, topic: str, reader: Callable[[str], None]) -> None:
        """Calls the reader with whatever is sent under a topic."""
        self._readers[topic] = reader

    def _wake(self, account_id: int) -> None:
        for heard in (account_id, EVERY_ACCOUNT):
            if bell := self._bells.pop(heard, None):
                bell.set()

    async def _open(self) -> Connection:
        connection = await connect(self._url, "colloquy_service", primary=self._primary)
        try:
            self._channel = await connection.fetchval(query("get_letter_channel"))
            await connection.add_listener(self._channel, self._hear)
            connection.add_termination_listener(lambda _: self._stirred.set())
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        topic, _, text = str(payload).partition(" ")
        if topic == _APPENDED:
            self._wake(int(text))
        elif reader := self._readers.get(topic):
            reader(text)

    async def _keep(self) -> None:
        while True:
            try:
                self._connection = self._connection or await self._open()
                await self._wait_and_tell(self._connection)
            except DATABASE_ERRORS as error:
                log.warning("link_lost", error=repr(error))
                self._hang_up()
                await asyncio.sleep(_RETRY)

    def _hang_up(self) -> None:
        if self._connection:
            self._connection.terminate()
            self._connection = None

    async def _wait_and_tell(self, connection: Connection) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_CHECK):
                await self._stirred.wait()
        await asyncio.sleep(_COALESCE)
        self._stirred.clear()
        try:
            await self._tell(connection)
            self._is_failing = False
        except asyncpg.PostgresError as error:  # the queue of the server's notifications is full
            if meaning(error) is Meaning.AWAY:
                raise
            if not self._is_failing:
                log.error("notifications_fail", error=repr(error))
            self._is_failing = True
            self._stirred.set()
            await asyncio.sleep(_RETRY)
            await connection.execute(query("free_notifications"))

    async def _tell(self, connection: Connection) -> None:
        """What cannot be told now is kept, and told later."""
        while self._letters:
            await connection.execute(query("notify"), self._channel, self._letters[0])
            self._letters.popleft()
        self._all_sent.set()
        accounts, self._to_tell = self._to_tell, set()
        try:
            await connection.execute(query("ring"), self._channel, list(accounts))
        except BaseException:
            self._to_tell |= accounts
            raise
