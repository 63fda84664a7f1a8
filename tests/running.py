"""The service as tests drive it: in this process, or as processes of their own."""

import asyncio
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile, gettempdir
from typing import IO, Any, Self

import aiohttp
import msgspec

from eventstore.codec import decode_row
from eventstore.connections import Connection, connect
from eventstore.envelope import RecordedEvent
from service.identity.roster import Enrollment, Role, Status, import_roster
from service.identity.tokens import create_token
from service.process.demo import TOKENS_FILE, make_demo
from service.process.server import listen, serve
from service.settings import Settings
from service.timing import Timing
from sql.loader import query
from tests.databases import DEMO, HOME
from tests.described_refusals import check_refusal

LEARNER, OTHER_LEARNER, TEACHER = 101, 102, 1
API = "/api/v1/courses/1/ai_experiences/1"
CONVERSATIONS = f"{API}/conversations"
ROOT = Path(__file__).parents[1]

_WHOLE_LOG = 1_000_000
_NOWHERE = Path(gettempdir()) / f"colloquy-nowhere-{os.getpid()}"
_NEW_USERS = count(10_001)


def messages_of(conversation_id: int) -> str:
    """The path that takes a conversation's messages."""
    return f"{CONVERSATIONS}/{conversation_id}/messages"


class Service:
    """A running service with the demo in its database.

    `stop` asks it to stop, as a signal would, where it runs in this process.
    """

    def __init__(
        self, url: str, tokens: Mapping[str, str], http: aiohttp.ClientSession, database_url: str
    ) -> None:
        self.url = url
        self.tokens = dict(tokens)
        self.database_url = database_url
        self.stop: Callable[[], None] | None = None
        self._http = http
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()
        self._over = False

    async def call(
        self, method: str, path: str, *, user: int | None = LEARNER, **options: Any
    ) -> tuple[int, Any]:
        """Status and decoded body of a request as one of the demo's users."""
        response = await self.request(method, path, user=user, **options)
        return response.status, await response.json()

    async def request(
        self, method: str, path: str, *, user: int | None = LEARNER, **options: Any
    ) -> aiohttp.ClientResponse:
        """The whole response, its body read; an error must be as the API's description has it."""
        headers = dict(options.pop("headers", {}))
        if user is not None:
            headers.setdefault("Authorization", f"Bearer {self.tokens[str(user)]}")
        async with self._http.request(
            method, self.url + path, headers=headers, **options
        ) as response:
            body = await response.read()
            if response.content_type == "application/json":
                check_refusal(method, response.url.path, response.status, body)
            return response

    async def refused(
        self, status: int, body: Any, method: str, path: str, **options: Any
    ) -> aiohttp.ClientResponse:
        """A request that must be answered so, with a reference, and must leave the log alone."""
        head = await self.head()
        response = await self.request(method, path, **options)
        answer = await response.json()
        assert response.status == status, answer
        assert answer.pop("reference_id") == response.headers["X-Request-Id"]
        assert answer == body
        assert await self.head() == head, "something was appended"
        return response

    async def active(self, user: int = LEARNER) -> Any:
        """The user's active conversation, `{}` where there is none."""
        status, body = await self.call("GET", CONVERSATIONS, user=user)
        assert status == 200, body
        return body

    async def open(self, user: int = LEARNER) -> Any:
        """A new conversation of the user, which must succeed."""
        status, body = await self.call("POST", CONVERSATIONS, user=user)
        assert status == 201, body
        return body

    async def say(self, conversation_id: int, text: str, user: int = LEARNER) -> tuple[int, Any]:
        """Status and body of a message to a conversation."""
        path = messages_of(conversation_id)
        return await self.call("POST", path, user=user, json={"message": text})

    async def enroll(
        self,
        role: Role = "learner",
        *,
        course: int = 1,
        status: Status = "active",
        user: int | None = None,
    ) -> int:
        """The id of a user of a course, a new one if none is named; the token is in `tokens`."""
        user = user or next(_NEW_USERS)
        row = Enrollment(course_id=course, user_id=user, name="New", role=role, status=status)
        async with self._owner() as connection:
            await import_roster(connection, 1, [row])
            self.tokens[str(user)] = await create_token(connection, 1, user)
        return user

    async def history(self, after: int = 0) -> list[RecordedEvent]:
        """The log above a position."""
        async with self._owner() as connection:
            rows = await connection.fetch(query("read_all"), 1, after, _WHOLE_LOG)
        return [decode_row(row) for row in rows]

    async def head(self) -> int:
        """Position of the last event in the log."""
        async with self._owner() as connection:
            return int(await connection.fetchval(query("get_log_head"), 1))

    async def close(self) -> None:
        """Keeps no connection of the test's own looks at the database from here on."""
        self._over = True
        if self._connection:
            await self._connection.close()

    @asynccontextmanager
    async def _owner(self) -> AsyncIterator[Connection]:
        """The owner's connection, one for all looks at the database while the service is there."""
        async with self._turn:
            if self._connection is None or self._connection.is_closed():
                self._connection = await connect(self.database_url)
            try:
                yield self._connection
            finally:
                if self._over:
                    await self._connection.close()


PATIENT = Timing(assessment=60.0)
"""Replies wait for their assessments, however long these take."""


@asynccontextmanager
async def running_service(
    database_url: str, timing: Timing = PATIENT, **settings: Any
) -> AsyncIterator[Service]:
    """The service in this process, on a free port."""
    tokens = await demo_tokens(database_url)
    stop, ready = asyncio.Event(), asyncio.Event()
    with listen("127.0.0.1", 0) as sock, TemporaryDirectory() as home:
        sock.setblocking(False)
        chosen = Settings(**{"stop_timeout": 5.0, "home": Path(home), **settings})
        task = asyncio.create_task(serve(chosen, database_url, sock, stop, ready.set, timing))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            await task
        try:
            async with client(address_of(sock), tokens, database_url) as service:
                service.stop = stop.set
                yield service
        finally:
            stop.set()
            await task


@asynccontextmanager
async def running_beside(
    service: Service, timing: Timing = PATIENT, **settings: Any
) -> AsyncIterator[Service]:
    """Another process on a service's database, as far as turns can tell, for the same users."""
    async with running_service(service.database_url, timing, **settings) as other:
        other.tokens = service.tokens  # those of later learners too
        yield other


@asynccontextmanager
async def client(
    url: str, tokens: Mapping[str, str], database_url: str = ""
) -> AsyncIterator[Service]:
    """A service that runs elsewhere, as many requests at once as one likes."""
    timeout = aiohttp.ClientTimeout(total=60)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        service = Service(url, tokens, http, database_url)
        try:
            yield service
        finally:
            await service.close()


class ServiceProcess:
    """`colloquy serve` as a process of its own, ended by its id."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, stderr: IO[bytes]) -> None:
        self.process = process
        self.url = url
        self._stderr = stderr
        self._last_words = ""

    @classmethod
    async def start(
        cls, environment: Mapping[str, str], *arguments: str, descriptors: int | None = None
    ) -> Self:
        """Starts it and waits until it is ready.

        Args:
            environment: Its settings, beside the path and such.
            arguments: Of `colloquy serve`, beside a free port.
            descriptors: How many it may open.

        Raises:
            RuntimeError: It ended before it was ready; the message is what it wrote.
        """
        stderr = TemporaryFile()  # noqa: SIM115 - closed with the process
        bounded = ("sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh") if descriptors else ()
        process = await asyncio.create_subprocess_exec(
            *(*bounded, sys.executable, "-m", "service.cli", "serve", "--port", "0", *arguments),
            env=environment_of(environment),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )
        started = cls(process, "", stderr)
        try:
            async with asyncio.timeout(60):
                started.url = await _announced_url(process)
        except BaseException:
            await started.kill()
            raise
        if not started.url:
            code = await started._ended()
            raise RuntimeError(f"the service ended with code {code}: {started.log}")
        return started

    @property
    def log(self) -> str:
        """All that it has written to standard error."""
        if self._stderr.closed:
            return self._last_words
        # Not by seeking: the process writes where this file stands, for both of them.
        file = self._stderr.fileno()
        return os.pread(file, os.fstat(file).st_size, 0).decode()

    def log_lines(self, event: str) -> list[dict[str, Any]]:
        """The JSON lines of its log that tell of this event."""
        written = self.log.rpartition("\n")[0]  # of its last line there may be a part only
        lines = [msgspec.json.decode(line) for line in written.splitlines() if line[:1] == "{"]
        return [line for line in lines if line["event"] == event]

    async def kill(self) -> None:
        """`kill -9`."""
        self.signal(signal.SIGKILL)
        await self._ended()

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.signal(signal.SIGTERM)
        return await self._ended()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal, unless the process is known to have ended.

        Not by asyncio's own method: where the process has just ended, that takes the exit code
        from whoever waits for it (code 255).
        """
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    async def _ended(self) -> int:
        async with asyncio.timeout(30):
            code = await self.process.wait()
        self._last_words = self.log
        self._stderr.close()
        return code


@asynccontextmanager
async def service_process(
    environment: Mapping[str, str], *arguments: str, descriptors: int | None = None
) -> AsyncIterator[ServiceProcess]:
    """`colloquy serve` as a process of its own, which does not outlive the context."""
    process = await ServiceProcess.start(environment, *arguments, descriptors=descriptors)
    try:
        yield process
    finally:
        await process.kill()


async def colloquy(environment: Mapping[str, str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command `colloquy`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service.cli", *arguments),
        env=environment_of(environment),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            out, err = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def environment_of(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with these settings of the service and no others.

    Without a home of its own a process seals nothing and finds nothing: what the user of this
    machine keeps in theirs is no test's business.
    """
    ours = ("COLLOQUY_", "ANTHROPIC", "DATABASE_URL", "PG")
    nowhere = {"COLLOQUY_SEAL_SECONDS": "0", "COLLOQUY_HOME": str(_NOWHERE)}
    chosen = {} if "COLLOQUY_HOME" in settings else nowhere
    others = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return others | chosen | dict(settings)


async def eventually(
    condition: Callable[[], Coroutine[Any, Any, bool]] | Callable[[], bool],
    within: float = 20.0,
) -> None:
    """Waits until a condition holds; `TimeoutError` if it does not `within` seconds."""
    async with asyncio.timeout(within):
        while True:
            holds = condition()
            if await holds if asyncio.iscoroutine(holds) else holds:
                return
            await asyncio.sleep(0.01)


async def demo_tokens(database_url: str) -> dict[str, str]:
    """Makes what is missing of the demo in a database and returns its tokens by user id."""
    connection = await connect(database_url)
    try:
        with TemporaryDirectory() as home:
            kept = Path(os.environ.get(HOME, home)) / DEMO / TOKENS_FILE
            if kept.exists():  # those of the template, where there is one
                shutil.copy(kept, home)
            return await make_demo(connection, database_url, Path(home))
    finally:
        await connection.close()


async def read_log(database_url: str, after: int = 0) -> list[RecordedEvent]:
    """The first account's log above a position."""
    connection = await connect(database_url)
    try:
        rows = await connection.fetch(query("read_all"), 1, after, _WHOLE_LOG)
    finally:
        await connection.close()
    return [decode_row(row) for row in rows]


async def fetch_value(database_url: str, statement: str, *arguments: object) -> Any:
    """One value from the database, read as its owner."""
    connection = await connect(database_url)
    try:
        return await connection.fetchval(statement, *arguments)
    finally:
        await connection.close()


def address_of(sock: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = sock.getsockname()[:2]
    return f"http://{host}:{port}"


async def _announced_url(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    while line := (await process.stdout.readline()).decode():
        if line.startswith("Colloquy is ready on "):
            return line.split()[-1]
    return ""
