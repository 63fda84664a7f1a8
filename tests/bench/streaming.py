"""Streams: the delay that we add to the first words, turns a second, memory of 1,000 streams.

The model is the real SDK against the tests' provider, which runs in a process of its own and
answers at once. Beside ours: a bare loop of the same calls of the SDK, in a process of its own
too. The conversations have no objectives, so that a turn is one call.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from eventstore.connections import connect
from eventstore.running_log import running_log
from service.identity.roster import Enrollment, import_roster
from service.identity.tokens import create_token
from tests.bench.dialogues import start_dialogue
from tests.bench.load import http_request, run_load
from tests.bench.measuring import Row, fresh_database, percentile, scaled
from tests.bench.reading import server, server_process
from tests.bench.starting import resident_mib
from tests.running import CONVERSATIONS, demo_tokens

AT_ONCE = 50
STREAMS = scaled(1_000, at_least=2 * AT_ONCE)
ALONE = scaled(300)
MESSAGES = 8
_BODY = b'{"message": "I think that the Moon pulls the near side more strongly."}'
_SSE = b"\r\nAccept: text/event-stream\r\n"
_DELTA = b"event: delta"


async def bench_stream(server_url: str) -> list[Row]:
    """Delay of the first words, turns a second, memory."""
    async with fresh_database(server_url) as url:
        await demo_tokens(url)
        requests = await _learners(url, STREAMS)
        with _provider("good") as provider:
            environment = {"ANTHROPIC_BASE_URL": provider, "ANTHROPIC_API_KEY": ""}
            with server("tests.bench.serving", url, **environment) as port:
                first = [await _first_delta(port, requests[n % AT_ONCE]) for n in range(ALONE)]
                plain = requests[AT_ONCE : 2 * AT_ONCE]
                times, bad = await asyncio.to_thread(run_load, port, plain, AT_ONCE, 60.0, MESSAGES)
                assert bad == 0, f"{bad} of {len(times)} requests failed"
            alone, rate = await asyncio.to_thread(_bare, provider)
        with _provider("patient") as provider:
            environment |= {"ANTHROPIC_BASE_URL": provider, "COLLOQUY_REPLY_TIMEOUT": "600"}
            started, memory = await _memory(url, environment, requests)
    ours = len(times) / (sum(times) / 1000 / AT_ONCE)
    return [
        *(
            Row(
                f"first words of a streamed reply, one learner, {name}",
                f"{percentile(first, percent):.1f} ms",
                f"bare SDK {percentile(alone, percent):.1f} ms",
                f"+ {percentile(first, percent) - percentile(alone, percent):.1f} ms",
            )
            for name, percent in (("p50", 50.0), ("p99", 99.0))
        ),
        Row(
            f"turns with the SDK, {AT_ONCE} learners",
            f"{ours:,.0f}/s",
            f"bare SDK {rate:,.0f}/s",
            f"{ours / rate:.0%}",
        ),
        Row(
            f"memory of one process, {STREAMS:,} open streams",
            f"{memory} MiB",
            f"started, with the SDK {started} MiB",
            f"{1024 * (memory - started) / STREAMS:.0f} KiB a stream",
            "≤ 200 MiB",
        ),
    ]


async def _learners(url: str, number: int) -> list[bytes]:
    """Requests of as many learners, each in a conversation of its own."""
    users = range(1001, 1001 + number)
    connection = await connect(url)
    roster = [
        Enrollment(course_id=1, user_id=u, name=f"Learner {u}", role="learner", status="active")
        for u in users
    ]
    await import_roster(connection, 1, roster)
    tokens = [await create_token(connection, 1, user) for user in users]
    await connection.close()
    async with running_log(url) as (log, _pool, _notifier):
        for user in users:
            await start_dialogue(
                log, conversation_id=user, user_id=user, exchanges=2, objectives=()
            )
    return [
        http_request("POST", f"{CONVERSATIONS}/{user}/messages", token, _BODY)
        for user, token in zip(users, tokens, strict=True)
    ]


@contextmanager
def _provider(behaviour: str) -> Iterator[str]:
    """The URL of a provider in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fake_anthropic", "--behaviour", behaviour],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(30)


@asynccontextmanager
async def _stream(port: int, request: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A message whose reply is streamed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**16)
    writer.write(request.replace(b"\r\n", _SSE, 1))
    try:
        yield reader
    finally:
        writer.close()


async def _first_delta(port: int, request: bytes) -> float:
    """Milliseconds to the reply's first words; the reply is read to its end."""
    began = time.perf_counter()
    async with _stream(port, request) as reader:
        await reader.readuntil(_DELTA)
        took = (time.perf_counter() - began) * 1000
        await reader.readuntil(b"event: done")
    return took


async def _memory(url: str, environment: dict[str, str], requests: list[bytes]) -> tuple[int, int]:
    """Resident MiB of the service with its SDK loaded, and with all streams open."""
    with server_process("tests.bench.serving", url, **environment) as (port, pid):
        async with _stream(port, requests[0]) as reader:
            await reader.readuntil(_DELTA)
            started = resident_mib(pid)
        gate = asyncio.Semaphore(100)
        under_way = asyncio.Event()
        open_streams = 0

        async def hold(request: bytes) -> None:
            nonlocal open_streams
            async with gate:
                stream = _stream(port, request)
                reader = await stream.__aenter__()
                await reader.readuntil(_DELTA)
            open_streams += 1
            if open_streams == len(requests) - 1:
                under_way.set()
            await under_way.wait()
            await reader.readuntil(_DELTA)  # it goes on while all the others are open
            await stream.__aexit__(None, None, None)

        holding = [asyncio.create_task(hold(request)) for request in requests[1:]]
        async with asyncio.timeout(120):
            await under_way.wait()
            memory = resident_mib(pid)
            await asyncio.gather(*holding)
    return started, memory


def _bare(provider: str) -> tuple[list[float], float]:
    """The SDK alone: milliseconds to the first words, one call after another; calls a second."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.bare_sdk"],
        input=json.dumps([provider, ALONE, AT_ONCE, MESSAGES]).encode(),
        capture_output=True,
        check=True,
        timeout=300,
    )
    alone, rate = json.loads(done.stdout)
    return alone, rate
