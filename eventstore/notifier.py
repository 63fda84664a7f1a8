"""Notifications between processes: of appends, and messages by topic.

Notifications are coalesced and sent outside the append's transaction, since NOTIFY takes a lock on
the whole database at commit. All use one channel whose name only the service can read: any login
can listen to, and notify, a channel whose name it knows.
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
from eventstore.liveness import SETTLING, Liveness
from eventstore.primary import Primary
from sql.loader import query

EVERY_ACCOUNT = 0
"""An append to any account's log sets the wake event of this account."""

POLL = 1.0

T = TypeVar("T")

_COALESCE = 0.005
_PAUSE = 0.05
_RETRY = 0.25
_CHECK = 15.0
_FLUSH = 2.0
_MAX_MESSAGES = 1_000
_APPENDED = "log"
"""The topic of the notifications of appends."""

log = structlog.get_logger("colloquy.link")


class Notifier:
    """Liveness, wake events and messages of one process.

    Args:
        url: The owner's connection URL.
        primary: Shared with the process's other connections.
        address: Where the process serves.
        poll: Seconds after which a reader that waits for events looks without a notification.
        settling: Seconds after a lost connection in which other processes are not judged.
    """

    def __init__(
        self,
        url: str,
        primary: Primary | None = None,
        address: str | None = None,
        *,
        poll: float = POLL,
        settling: float = SETTLING,
    ) -> None:
        self._poll = poll
        self._url = url
        self._primary = primary or Primary(url)
        self._liveness = Liveness(url, self._primary, address, settling)
        self._wake_events: dict[int, asyncio.Event] = {}
        self._unsent_accounts: set[int] = set()
        self._messages: deque[str] = deque(maxlen=_MAX_MESSAGES)
        self._all_sent = asyncio.Event()
        self._all_sent.set()
        self._handlers: dict[str, Callable[[str], None]] = {}
        self._has_work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._channel = ""
        self._is_failing = False

    @property
    def owner(self) -> int:
        """This process's number, written into the turns that it owns."""
        return self._liveness.owner

    @property
    def settled(self) -> bool:
        """Whether processes that look gone are gone, and not just about to connect again."""
        return self._liveness.settled

    async def start(self) -> None:
        """Connects; from then on the process counts as alive."""
        await self._liveness.start()
        self._connection = await self._open()
        self._task = asyncio.create_task(self._run(), name="notifier")

    async def close(self) -> None:
        """Ends the connections; the process no longer counts as alive."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self._disconnect()
        await self._liveness.close()

    def notify(self, account_id: int) -> None:
        """Wakes an account's followers: here immediately, in other processes in milliseconds."""
        self._wake(account_id)
        self._unsent_accounts.add(account_id)
        self._has_work.set()

    def wake_event(self, account_id: int) -> asyncio.Event:
        """The event that the next append to the account's log sets. Get it before reading."""
        return self._wake_events.setdefault(account_id, asyncio.Event())

    async def until(self, account_id: int, look: Callable[[], Awaitable[T | None]]) -> T:
        """The first result of `look` that is not None; `look` runs after each append.

        Waits for a database that is away.
        """
        while True:
            event = self.wake_event(account_id)
            with suppress(*DATABASE_ERRORS):
                if (result := await look()) is not None:
                    return result
            await asyncio.sleep(_PAUSE)  # every append of the account sets the event
            await self.wait(event)

    async def wait(self, event: asyncio.Event) -> None:
        """Waits until a wake event is set, for a while at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._poll):
                await event.wait()

    def send(self, topic: str, text: str) -> None:
        """Sends a message to every process, this one included; delivery is not guaranteed.

        Args:
            topic: A word.
            text: With the topic under 8000 bytes, PostgreSQL's limit for a notification.
        """
        self._messages.append(f"{topic} {text}")
        self._all_sent.clear()
        self._has_work.set()

    async def flush(self) -> None:
        """Waits until all messages are sent, at most two seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH):
                await self._all_sent.wait()

    def subscribe(self, topic: str, handler: Callable[[str], None]) -> None:
        """Calls the handler with the text of every message of a topic."""
        self._handlers[topic] = handler

    def _wake(self, account_id: int) -> None:
        for woken in (account_id, EVERY_ACCOUNT):
            if event := self._wake_events.pop(woken, None):
                event.set()

    async def _open(self) -> Connection:
        connection = await connect(self._url, "colloquy_service", primary=self._primary)
        try:
            self._channel = await connection.fetchval(query("get_letter_channel"))
            await connection.add_listener(self._channel, self._on_notification)
            connection.add_termination_listener(lambda _: self._has_work.set())
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _on_notification(
        self, _connection: object, _pid: int, _channel: str, payload: object
    ) -> None:
        topic, _, text = str(payload).partition(" ")
        if topic == _APPENDED:
            self._wake(int(text))
        elif handler := self._handlers.get(topic):
            handler(text)

    async def _run(self) -> None:
        while True:
            try:
                self._connection = self._connection or await self._open()
                await self._wait_and_send(self._connection)
            except DATABASE_ERRORS as error:
                log.warning("link_lost", error=repr(error))
                self._disconnect()
                await asyncio.sleep(_RETRY)

    def _disconnect(self) -> None:
        if self._connection:
            self._connection.terminate()
            self._connection = None

    async def _wait_and_send(self, connection: Connection) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_CHECK):
                await self._has_work.wait()
        await asyncio.sleep(_COALESCE)
        self._has_work.clear()
        try:
            await self._send_all(connection)
            self._is_failing = False
        except asyncpg.PostgresError as error:  # the server's notification queue is full
            if meaning(error) is Meaning.AWAY:
                raise
            if not self._is_failing:
                log.error("notifications_fail", error=repr(error))
            self._is_failing = True
            self._has_work.set()
            await asyncio.sleep(_RETRY)
            await connection.execute(query("free_notifications"))

    async def _send_all(self, connection: Connection) -> None:
        """Sends messages and accounts; keeps those that cannot be sent now."""
        while self._messages:
            await connection.execute(query("notify"), self._channel, self._messages[0])
            self._messages.popleft()
        self._all_sent.set()
        accounts, self._unsent_accounts = self._unsent_accounts, set()
        try:
            await connection.execute(query("ring"), self._channel, list(accounts))
        except BaseException:
            self._unsent_accounts |= accounts
            raise
