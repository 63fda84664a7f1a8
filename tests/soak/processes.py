"""The processes of a run: a PostgreSQL and two services, which can be killed and come back."""

import asyncio
import os
import re
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from eventstore.connections import connect
from service.embedded_postgres import EmbeddedPostgres
from service.embedded_postgres.postmaster import live_postmaster
from service.process.database import prepare
from tests.running import ServiceProcess, address_of, eventually
from tests.shifted_clocks import shifted_by
from tests.soak.journal import Violation

STOPPING = 100.0
"""Seconds within which a service must end after SIGTERM, also without a database."""

_STARTING = 90.0
_AWAY = re.compile(
    r"cannot use the database at |the connection to the database broke: |"
    r"the database cannot do this at the moment: |"
    r"the database did not answer in time|(asyncpg\.exceptions\.\S+|ConnectionError|"
    r"ConnectionRefusedError|FileNotFoundError|ConnectionResetError|BrokenPipeError|TimeoutError|OSError)\b"
    r".*(\n(DETAIL|HINT): .*)*$"
)
_ONLY_READ = """
CREATE FUNCTION only_read() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'only reads here' USING ERRCODE = 'read_only_sql_transaction';
END
$$;
CREATE TRIGGER only_read BEFORE INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION only_read()
"""


class Postgres:
    """An embedded PostgreSQL in its own folder, which can be killed."""

    def __init__(self, home: Path) -> None:
        self.url = ""
        self._home = home
        self._server = EmbeddedPostgres(home)

    async def start(self) -> None:
        """Creates and starts it."""
        self.url = await asyncio.to_thread(self._server.acquire)
        await prepare(self.url)

    async def kill(self, pause: float) -> None:
        """`kill -9`, a pause, and a start, which ends when it has recovered."""
        await self.cut_off()
        await asyncio.sleep(pause)
        await self.bring_back()

    async def cut_off(self) -> None:
        """`kill -9`, and waits until it is gone: a server that looks alive is not restarted."""
        self.kill_now()
        await eventually(lambda: live_postmaster(self._home / "postgres") is None)

    async def bring_back(self) -> None:
        """Starts it again if it is down."""
        await asyncio.to_thread(self._server.ensure_running)

    def kill_now(self) -> None:
        """`kill -9` of the postmaster; its children see that and end."""
        if postmaster := live_postmaster(self._home / "postgres"):
            with suppress(ProcessLookupError):
                os.kill(postmaster.pid, signal.SIGKILL)

    async def only_read(self, seconds: float) -> None:
        """Refuses events for this time, like a server that has become a standby."""
        connection = await connect(self.url)
        try:
            await connection.execute(_ONLY_READ)
            await asyncio.sleep(seconds)
            await connection.execute("DROP FUNCTION only_read CASCADE")
        finally:
            await connection.close()

    def last_words(self) -> str:
        """The end of the log since its last start."""
        log = self._home / "postgres.log"
        return _tail(log.read_text(errors="replace")) if log.exists() else ""

    async def close(self) -> None:
        """Stops it, whatever state it is in."""
        await asyncio.to_thread(self._server.release)


@asynccontextmanager
async def running_postgres() -> AsyncIterator[Postgres]:
    """A PostgreSQL that is removed afterwards; an error gets the end of its log as a note."""
    # Directly in the temporary folder, which the server's user can enter if we are root.
    home = Path(tempfile.mkdtemp(prefix="colloquy-soak-", dir="/tmp")).resolve()
    postgres = Postgres(home)
    try:
        await postgres.start()
        yield postgres
    except BaseException as error:
        error.add_note(f"The end of PostgreSQL's log:\n{postgres.last_words()}")
        raise
    finally:
        try:
            await postgres.close()
        finally:
            postgres.kill_now()
            shutil.rmtree(home)


class Slot:
    """One of the services, whose process is replaced every few seconds.

    Its port is held while it has no process, so that no other program can get it.
    """

    def __init__(self, name: str, environment: Mapping[str, str], clock: Path) -> None:
        self.name = name
        self._clock = clock
        self.set_clock(0.0)
        self._held = socket.socket()
        self._held.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # so that the service can listen there
        self._held.bind(("127.0.0.1", 0))
        self.url = address_of(self._held)
        self.logs: list[str] = []
        self._environment = {**environment, **shifted_by(clock)}
        self._arguments = ("--port", str(self._held.getsockname()[1]))
        self._process: ServiceProcess | None = None

    @property
    def up(self) -> bool:
        """Whether it has a process that is not stopping."""
        return self._process is not None

    def set_clock(self, seconds: float) -> None:
        """Sets its clock ahead of the machine's by this; a negative number sets it behind."""
        fresh = self._clock.with_suffix(".new")
        fresh.write_text(f"{seconds:+.0f}\n")
        fresh.replace(self._clock)

    async def start(self) -> None:
        """Starts a process; retries while the database is unreachable.

        Raises:
            Violation: It does not start although the database answers, or the database does not
                come back.
        """
        last = "none of its starts ended"
        try:
            async with asyncio.timeout(_STARTING):
                while self._process is None:
                    try:
                        self._process = await ServiceProcess.start(
                            self._environment, *self._arguments
                        )
                    except RuntimeError as error:
                        last = str(error)
                        if not is_of_database(last):
                            raise Violation("a service starts", error) from error
                        await asyncio.sleep(0.1)
        except TimeoutError:
            raise Violation(f"a service starts within {_STARTING:.0f} s", _tail(last)) from None

    async def kill(self) -> None:
        """`kill -9`."""
        if process := self._take():
            await process.kill()
            self.logs.append(process.log)

    async def stop(self) -> None:
        """SIGTERM, and waits for the end.

        Raises:
            Violation: It ends badly or not at all.
        """
        if not (process := self._take()):
            return
        process.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOPPING):
                code = await process.process.wait()
        except TimeoutError:
            raise Violation("a service told to stop ends", _tail(process.log)) from None
        finally:
            await process.kill()
            self.logs.append(process.log)
        if code != 0:
            raise Violation(f"a service told to stop ends with 0, not {code}", _tail(process.log))

    def close(self) -> None:
        """Releases its port."""
        self._held.close()

    def _take(self) -> ServiceProcess | None:
        process, self._process = self._process, None
        return process


@asynccontextmanager
async def running_slots(environment: Mapping[str, str]) -> AsyncIterator[list[Slot]]:
    """Two services on one database, the second with a fallback model."""
    fallback = {"COLLOQUY_FALLBACK_MODEL": "claude-sonnet-5-5"}
    with TemporaryDirectory() as clocks:
        slots = [
            Slot("one", environment, Path(clocks, "one")),
            Slot("other", {**environment, **fallback}, Path(clocks, "other")),
        ]
        try:
            await asyncio.gather(*(slot.start() for slot in slots))
            yield slots
        finally:
            await asyncio.gather(*(slot.kill() for slot in slots))
            for slot in slots:
                slot.close()


def is_of_database(error: str) -> bool:
    """Whether an error in a process's log comes from a killed database."""
    return _AWAY.search(error.rstrip()) is not None


def _tail(text: str) -> str:
    return text[-1_500:]
