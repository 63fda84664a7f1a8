"""GET active conversation of 20 messages, next to a bare aiohttp handler.

The bare handler fetches one row by its key, from the same server through a pool of the same
kind, and passes the text in it through. Both run in a process of their own under the same load,
in turns, so that other load on the machine affects both.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from eventstore.connections import connect
from eventstore.running_log import running_log
from tests.bench.dialogues import start_dialogue
from tests.bench.load import http_request, run_load
from tests.bench.measuring import SCALE, Row, fresh_database, percentile, scaled
from tests.running import CONVERSATIONS, LEARNER, demo_tokens

ROUNDS = scaled(5)
SECONDS = max(2.0 * SCALE, 0.2)
CONNECTIONS = 16

_BARE = """
CREATE TABLE IF NOT EXISTS bare_rows (id bigint PRIMARY KEY, body text NOT NULL)
"""


async def bench_get(server_url: str) -> list[Row]:
    """Requests per second of both, and their ratio."""
    rows: list[Row] = []
    async with fresh_database(server_url) as url:
        token = (await demo_tokens(url))[str(LEARNER)]
        request = http_request("GET", CONVERSATIONS, token)
        for process in ("first process of a fresh database", "restarted process"):
            with server("tests.bench.serving", url) as port:
                if not rows:
                    await _converse(url)
                ours, bare = await asyncio.to_thread(_measure, url, port, request)
            rate, floor = (len(times) / (ROUNDS * SECONDS) for times in (ours, bare))
            rows.append(
                Row(
                    f"GET active conversation, 20 messages, {process}",
                    f"{rate:,.0f}/s (p50 {percentile(ours, 50):.1f} ms)",
                    f"bare aiohttp handler {floor:,.0f}/s (p50 {percentile(bare, 50):.1f} ms)",
                    f"{rate / floor:.0%}",
                    "≥ 85 %",
                )
            )
    return rows


async def _converse(url: str) -> None:
    async with running_log(url) as (log, _pool, _notifier):
        await start_dialogue(log, conversation_id=1, user_id=LEARNER, exchanges=9)


def _measure(url: str, service_port: int, request: bytes) -> tuple[list[float], list[float]]:
    ours: list[float] = []
    bare: list[float] = []
    body = _one(service_port, request)
    asyncio.run(_store(url, body))
    with server("tests.bench.bare", url) as bare_port:
        assert _one(bare_port, request) == body
        for port in (service_port, bare_port):
            run_load(port, [request], CONNECTIONS, 1.0)
        for _ in range(ROUNDS):
            for port, times in ((service_port, ours), (bare_port, bare)):
                measured, bad = run_load(port, [request], CONNECTIONS, SECONDS)
                assert bad == 0
                times += measured
    return ours, bare


async def _store(url: str, body: str) -> None:
    connection = await connect(url)
    await connection.execute(_BARE)
    await connection.execute("INSERT INTO bare_rows VALUES (1, $1) ON CONFLICT DO NOTHING", body)
    await connection.close()


def _one(port: int, request: bytes) -> str:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(request.replace(b"HTTP/1.1", b"HTTP/1.0"))
        received = b""
        while part := sock.recv(65536):
            received += part
    body = received.partition(b"\r\n\r\n")[2].decode()
    assert len(json.loads(body)["messages"]) == 20
    return body


@contextmanager
def server(module: str, url: str, **environment: str) -> Iterator[int]:
    """The port of a server process that prints it; ended at the end."""
    with server_process(module, url, **environment) as (port, _pid):
        yield port


@contextmanager
def server_process(module: str, url: str, **environment: str) -> Iterator[tuple[int, int]]:
    """Port and process id of a server process that prints its port; ended at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        env={**os.environ, "DATABASE_URL": url, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline()), process.pid
    finally:
        process.terminate()
        process.wait(30)
