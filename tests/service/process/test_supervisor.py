"""Real processes that race, are killed and come back. Every process is ended by its id."""

import asyncio
import os
import shutil
import signal
import socket
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import msgspec
import pytest

from eventstore.dialogue_events import ConversationStarted, ReplyCompleted
from eventstore.errors import KeyRefused, PathUntrusted
from projections.errors import ProjectionRefused
from service.embedded_postgres.postmaster import live_postmaster
from service.errors import SettingsError
from service.process.demo import TOKENS_FILE
from service.process.errors import DatabaseUnreachable
from service.process.worker import AWAY, REFUSED, report
from sql.errors import DatabaseUnfit
from tests.fake_anthropic import FakeAnthropic, Stall
from tests.running import (
    CONVERSATIONS,
    Service,
    ServiceProcess,
    client,
    colloquy,
    demo_tokens,
    eventually,
    service_process,
)
from tests.service.histories import answered, assert_lawful, said, types_of

CROWD = 200
LEARNERS = (101, 102, 103)


@asynccontextmanager
async def two_services(database_url: str) -> AsyncIterator[tuple[Service, Service]]:
    """Two processes on one database, with the practice tutor."""
    environment = {"DATABASE_URL": database_url}
    tokens = await demo_tokens(database_url)
    async with (
        service_process(environment) as first,
        service_process(environment) as second,
        client(first.url, tokens, database_url) as one,
        client(second.url, tokens, database_url) as other,
    ):
        yield one, other


@pytest.mark.slow
async def test_a_crowd_of_requests_over_two_processes_never_makes_two_of_anything(
    database_url: str,
) -> None:
    """One learner sends 200 simultaneous requests for a conversation, then 200 messages."""
    async with two_services(database_url) as services:
        created = await asyncio.gather(
            *(services[n % 2].call("POST", CONVERSATIONS) for n in range(CROWD))
        )
        active = (await services[0].active())["id"]
        posted = await asyncio.gather(
            *(services[n % 2].say(active, f"Thought {n}") for n in range(CROWD))
        )
        log = await services[0].history()
        printed = await services[1].active()
    assert_lawful(log)
    statuses = Counter(status for status, _ in created)
    assert set(statuses) == {201, 409}, statuses
    started = [e.event.conversation_id for e in log if isinstance(e.event, ConversationStarted)]
    assert sorted(body["id"] for status, body in created if status == 201) == sorted(started)
    assert active == started[-1]
    assert {status for status, _ in posted} == {200, 409}
    accepted = [f"Thought {n}" for n, (status, _) in enumerate(posted) if status == 200]
    assert sorted(filter(None, said(log))) == sorted(accepted)
    assert [m["text"] for m in printed["messages"] if m["role"] == "User"][1:] == answered(log)


@pytest.mark.slow
async def test_a_turn_of_a_killed_process_is_answered_by_the_next_one(demo_url: str) -> None:
    """Before anybody asks, and the next message comes after its reply."""
    tokens = await demo_tokens(demo_url)
    async with FakeAnthropic() as fake:
        environment = {"DATABASE_URL": demo_url, "ANTHROPIC_BASE_URL": fake.url}
        async with (
            service_process(environment) as doomed,
            client(doomed.url, tokens, demo_url) as before,
        ):
            conversation = await before.open()
            fake.script(Stall(after=1))
            lost = asyncio.create_task(before.say(conversation["id"], "Lost on the way"))
            await fake.wait_until(lambda: fake.stalled == 1)
            await doomed.kill()
            with pytest.raises(aiohttp.ClientError):
                await lost
        async with (
            service_process(environment) as successor,
            client(successor.url, tokens, demo_url) as after,
        ):
            await eventually(lambda: has_replies(after, 1))
            status, body = await after.say(conversation["id"], "And again")
            log = await after.history()
        asked = fake.requests[-1].body["messages"]
    assert status == 200
    assert [m["text"] for m in body["messages"]][2::2] == ["Lost on the way", "And again"]
    assert_lawful(log)
    assert [e.event.takeovers for e in log if isinstance(e.event, ReplyCompleted)] == [1, 0]
    assert [m["role"] for m in asked] == ["user", "assistant", "user", "assistant", "user"]


async def has_replies(service: Service, number: int) -> bool:
    """Whether the log has so many replies."""
    return types_of(await service.history()).count("reply_completed") == number


async def test_a_killed_worker_is_replaced_and_all_end_with_their_supervisor(
    demo_url: str,
) -> None:
    tokens = await demo_tokens(demo_url)
    environment = {"DATABASE_URL": demo_url}
    async with service_process(environment, "--workers", "2") as supervisor:
        workers = children_of(supervisor)
        assert len(workers) == 2
        victim = min(workers)
        os.kill(victim, signal.SIGKILL)
        await eventually(lambda: len(children_of(supervisor) - {victim}) == 2)
        async with client(supervisor.url, tokens, demo_url) as service, paused(max(workers)):
            await service.open()  # only the newcomer can have answered
        last = children_of(supervisor)
        assert await supervisor.stop() == 0
        assert [line["pid"] for line in supervisor.log_lines("worker_died")] == [victim]
    assert not any(exists(pid) for pid in last)


def write_trust(file: Path, account: int) -> None:
    """An identity provider that speaks for an account."""
    file.write_text(
        f'[[issuer]]\nissuer = "x"\naudience = "y"\njwks_url = "https://127.0.0.1:1/"\n'
        f'account = {account}\nclaims = {{ user_id = "sub" }}\n'
    )


@pytest.fixture
def trust(home: Path) -> Path:
    """A file in a folder that only we can write to."""
    return home / "jwt.toml"


@pytest.mark.slow
async def test_a_fault_that_stops_every_worker_is_one_line(database_url: str, trust: Path) -> None:
    """As with one process; no worker is restarted."""
    write_trust(trust, 77)
    environment = {"DATABASE_URL": database_url, "COLLOQUY_JWT": str(trust)}
    told = set()
    for workers in ("1", "3"):
        code, out, err = await colloquy(environment, "serve", "--port", "0", "--workers", workers)
        lines = [line for line in err.splitlines() if "database_unsafe" not in line]
        assert (code, out, len(lines)) == (1, "", 1), err
        told.add(lines[0])
    assert told == {"colloquy: COLLOQUY_JWT: issuer x: there is no account 77"}


@pytest.mark.slow
async def test_the_other_workers_continue_until_none_can_be_started(
    database_url: str, trust: Path
) -> None:
    """A file that breaks later is reported in the log, as long as a worker serves."""
    tokens = await demo_tokens(database_url)
    write_trust(trust, 1)
    environment = {"DATABASE_URL": database_url, "COLLOQUY_JWT": str(trust)}
    async with service_process(environment, "--workers", "2") as supervisor:
        victim, other = children_of(supervisor)
        write_trust(trust, 77)
        os.kill(victim, signal.SIGKILL)
        await eventually(lambda: [d["code"] for d in deaths(supervisor)][-1:] == [REFUSED])
        reason = deaths(supervisor)[-1]["reason"]
        assert reason == "COLLOQUY_JWT: issuer x: there is no account 77"
        async with client(supervisor.url, tokens, database_url) as service:
            await service.open()
        os.kill(other, signal.SIGKILL)
        async with asyncio.timeout(30):
            assert await supervisor.process.wait() == 1
        assert supervisor.log.rstrip("\n").splitlines()[-1] == f"colloquy: {reason}"


def deaths(process: ServiceProcess) -> list[dict[str, Any]]:
    return process.log_lines("worker_died")


@pytest.mark.slow
async def test_stopping_workers_refuse_connections(database_url: str) -> None:
    """While turns end, so that a load balancer sends new requests elsewhere."""
    tokens = await demo_tokens(database_url)
    async with FakeAnthropic() as fake:
        environment = {"DATABASE_URL": database_url, "ANTHROPIC_BASE_URL": fake.url}
        async with (
            service_process(environment, "--workers", "2") as supervisor,
            client(supervisor.url, tokens, database_url) as service,
        ):
            conversation = await service.open()
            fake.script(Stall(after=1))
            posting = asyncio.create_task(service.say(conversation["id"], "One last thing"))
            await fake.wait_until(lambda: fake.stalled == 1)
            assert not await is_refused(supervisor.url)
            stopping = asyncio.create_task(supervisor.stop())
            await eventually(lambda: is_refused(supervisor.url))
            assert not posting.done()
            assert not stopping.done()
            fake.release()
            assert (await posting)[0] == 200
            assert await stopping == 0


async def is_refused(url: str) -> bool:
    """Whether nothing listens there; an accepted connection that is not served is not refused."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    try:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
        await reader.read(1)
        writer.close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        pass  # it was let in before
    return False


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("COLLOQUY_JWT: wrong"), REFUSED),
        (KeyRefused("no key"), REFUSED),
        (PathUntrusted("another user's"), REFUSED),
        (DatabaseUnfit("of a newer version"), REFUSED),
        (ProjectionRefused("no"), REFUSED),
        (FileNotFoundError(2, "No such file", "/nowhere"), REFUSED),
        (DatabaseUnreachable("cannot use the database"), AWAY),
        (ConnectionRefusedError(111, "Connect call failed"), AWAY),
        (TimeoutError(), AWAY),
        (asyncpg.InvalidPasswordError("password authentication failed"), AWAY),
        (asyncpg.InsufficientPrivilegeError("permission denied\nDETAIL: x"), AWAY),
        (asyncpg.TooManyConnectionsError("too many clients"), AWAY),
        (asyncpg.InterfaceError("closed"), AWAY),
    ],
)
def test_a_worker_says_in_one_line_why_it_cannot_serve(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        report(error)
    assert ended.value.code == code
    told = capsys.readouterr().out
    assert told.strip()
    assert told.count("\n") == 1


def test_an_unexpected_error_is_not_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """The process ends with its traceback."""
    report(RuntimeError("a bug"))
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
async def test_workers_do_not_outlive_a_supervisor_that_is_killed(database_url: str) -> None:
    async with service_process({"DATABASE_URL": database_url}, "--workers", "2") as supervisor:
        workers = children_of(supervisor)
        assert len(workers) == 2
        await supervisor.kill()
        try:
            await eventually(lambda: not any(exists(pid) for pid in workers))
        finally:
            for pid in filter(exists, workers):
                os.kill(pid, signal.SIGKILL)


async def test_a_service_ends_with_code_0_and_waits_for_the_turn_under_way(
    demo_url: str,
) -> None:
    tokens = await demo_tokens(demo_url)
    async with FakeAnthropic() as fake:
        environment = {"DATABASE_URL": demo_url, "ANTHROPIC_BASE_URL": fake.url}
        async with (
            service_process(environment) as process,
            client(process.url, tokens, demo_url) as service,
        ):
            conversation = await service.open()
            fake.script(Stall(after=1))
            posting = asyncio.create_task(service.say(conversation["id"], "One last thing"))
            await fake.wait_until(lambda: fake.stalled == 1)
            stopping = asyncio.create_task(process.stop())
            await eventually(lambda: bool(process.log_lines("stopping")))
            fake.release()
            status, body = await posting
            assert await stopping == 0
            log = await service.history()
    assert status == 200
    assert body["messages"][-2]["text"] == "One last thing"
    assert_lawful(log)
    assert types_of(log)[-1] == "reply_completed"


async def test_a_used_port_is_reported_in_one_line(database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environment = {"DATABASE_URL": database_url, "COLLOQUY_PORT": str(port)}
        code, out, err = await colloquy(environment, "serve")
    assert (code, out) == (1, "")
    assert err.startswith(f"colloquy: cannot listen on 127.0.0.1:{port}: Address already in use")
    assert err.endswith("; choose another with --host and --port\n")
    assert err.count("\n") == 1


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home directly in /tmp, which the server's user can enter; it is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="colloquy-", dir="/tmp")).resolve()
    yield folder
    while postmaster := live_postmaster(folder / "postgres"):
        kill_postgres(postmaster.pid)
    shutil.rmtree(folder)


async def test_killed_postgres_is_started_again_and_nothing_acknowledged_is_lost(
    home: Path,
) -> None:
    """Three learners talk without pause while the server is killed twice."""
    async with service_process({"COLLOQUY_HOME": str(home)}, "--demo") as process:
        async with Talk(process, home) as talk:
            for restarts in (1, 2):
                await talk.goes_on()
                kill_postgres(postmaster_of(home))
                await eventually(lambda n=restarts: restarts_told(process) == n)
            await talk.goes_on()
        await talk.assert_kept()
        assert not process.log_lines("background_task_died")
        assert not process.log_lines("request_broke")


@pytest.mark.slow
async def test_after_a_kill_of_the_service_and_postgres_together_everything_is_there(
    home: Path,
) -> None:
    """As after a power cut: the next start finds a complete log and no stuck conversation."""
    async with (
        service_process({"COLLOQUY_HOME": str(home)}, "--demo") as process,
        Talk(process, home) as talk,
    ):
        await talk.goes_on()
        pid = postmaster_of(home)
        await process.kill()
        kill_postgres(pid)
    async with service_process({"COLLOQUY_HOME": str(home)}, "--demo") as process:
        talk.moved_to(process)
        await talk.assert_kept()
        assert await process.stop() == 0
    assert live_postmaster(home / "postgres") is None


class Talk:
    """The demo's learners, who post one message after another and record the acknowledged ones."""

    def __init__(self, process: ServiceProcess, home: Path) -> None:
        self.url = process.url
        self.home = home
        self.tokens = msgspec.json.decode((home / TOKENS_FILE).read_bytes(), type=dict[str, str])
        self.acknowledged: dict[int, list[str]] = {learner: [] for learner in LEARNERS}
        self.conversations: dict[int, int] = {}
        self.statuses: Counter[int] = Counter()
        self._speakers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Talk":
        async with client(self.url, self.tokens) as service:
            for learner in LEARNERS:
                self.conversations[learner] = (await service.open(learner))["id"]
        self._speakers = [asyncio.create_task(self._speak(learner)) for learner in LEARNERS]
        return self

    async def __aexit__(self, *_: object) -> None:
        for speaker in self._speakers:
            speaker.cancel()
        for outcome in await asyncio.gather(*self._speakers, return_exceptions=True):
            assert isinstance(outcome, asyncio.CancelledError), repr(outcome)

    def moved_to(self, process: ServiceProcess) -> None:
        """Sends further messages to another process."""
        self.url = process.url

    async def goes_on(self) -> None:
        """Waits until every learner has got further replies."""
        before = {learner: len(said) for learner, said in self.acknowledged.items()}
        await eventually(
            lambda: all(len(self.acknowledged[n]) >= before[n] + 5 for n in LEARNERS), within=60
        )

    async def assert_kept(self) -> None:
        """Every acknowledged message is in the log once, and every conversation continues."""
        async with client(self.url, self.tokens, await database_url_of(self.home)) as service:
            for learner, conversation_id in self.conversations.items():
                status, body = await service.say(conversation_id, "Still there?", learner)
                assert status == 200, body
            log = await service.history()
        assert_lawful(log)
        kept = Counter(answered(log))
        assert [kept[text] for texts in self.acknowledged.values() for text in texts] == [1] * sum(
            map(len, self.acknowledged.values())
        )
        assert set(self.statuses) <= {200, 409, 503}, self.statuses

    async def _speak(self, learner: int) -> None:
        async with client(self.url, self.tokens) as service:
            number = 0
            while True:
                number += 1
                text = f"{self.conversations[learner]}: thought {number}"
                with suppress(aiohttp.ClientError):  # the service is killed in one of the tests
                    status, _ = await service.say(self.conversations[learner], text, learner)
                    self.statuses[status] += 1
                    if status == 200:
                        self.acknowledged[learner].append(text)
                        continue
                await asyncio.sleep(0.02)


async def database_url_of(home: Path) -> str:
    code, out, err = await colloquy({"COLLOQUY_HOME": str(home)}, "db", "url")
    assert code == 0, err
    return out.strip()


def postmaster_of(home: Path) -> int:
    postmaster = live_postmaster(home / "postgres")
    assert postmaster is not None, "no server runs"
    return postmaster.pid


def kill_postgres(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def restarts_told(process: ServiceProcess) -> int:
    return len(process.log_lines("postgres_restarted"))


def children_of(process: ServiceProcess) -> set[int]:
    pid = process.process.pid
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def exists(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # init may be slow to take note of it


@asynccontextmanager
async def paused(pid: int) -> AsyncIterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
