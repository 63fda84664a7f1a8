"""A small HTTP load generator: keep-alive connections, one request each at a time.

It runs in a process of its own, so that its work is not counted as the server's: reads its job
as JSON from standard input, writes the milliseconds of every request and the number of bad answers.
"""

import asyncio
import json
import subprocess
import sys
import time
from functools import partial
from typing import Any


def run_load(
    port: int,
    requests: list[bytes],
    connections: int,
    seconds: float,
    each: int = sys.maxsize,
    per_second: float | None = None,
) -> tuple[list[float], int]:
    """Sends the requests repeatedly, from another process.

    Args:
        requests: Whole HTTP requests; connection n sends the nth of them, modulo their number.
        seconds: For how long at most.
        each: How many requests a connection sends at most.
        per_second: Requests of all connections together; None: as many as get answers.

    Returns:
        The milliseconds of each answered request, from when it was due, and how many answers
        were not 2xx.
    """
    job = {
        "port": port,
        "requests": [request.decode("latin-1") for request in requests],
        "connections": connections,
        "seconds": seconds,
        "each": each,
        "pause": connections / per_second if per_second else 0.0,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.load"],
        input=json.dumps(job).encode(),
        capture_output=True,
        check=True,
        timeout=seconds + 60,
    )
    result = json.loads(done.stdout)
    return result["times"], result["bad"]


def http_request(method: str, path: str, token: str, body: bytes = b"") -> bytes:
    """One request as bytes."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Client(asyncio.Protocol):
    def __init__(
        self, request: bytes, times: list[float], until: float, each: int, pause: float
    ) -> None:
        self.request = request
        self.times = times
        self.until = until
        self.left = each
        self.pause = pause
        self.bad = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.began = time.perf_counter()
        self.transport.write(self.request)

    def send(self) -> None:
        """Sends the next request now or when it is due; a late one counts from when it was due."""
        now = time.perf_counter()
        self.began = self.began + self.pause if self.pause else now
        if self.began <= now:
            self.transport.write(self.request)
        else:
            wait = self.began - now
            asyncio.get_running_loop().call_later(wait, self.transport.write, self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        now = time.perf_counter()
        self.times.append((now - self.began) * 1000)
        self.bad += not head.startswith(b"HTTP/1.1 2")
        self.buffer = b""
        self.left -= 1
        if now < self.until and self.left:
            self.send()
        else:
            self.transport.close()
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("closed"))


def _same(client: _Client) -> _Client:
    return client


async def _main(job: dict[str, Any]) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    times: list[float] = []
    until = time.perf_counter() + job["seconds"]
    clients = []
    for number in range(job["connections"]):
        request = job["requests"][number % len(job["requests"])].encode("latin-1")
        client = _Client(request, times, until, job["each"], job["pause"])
        await loop.create_connection(partial(_same, client), "127.0.0.1", job["port"])
        clients.append(client)
    await asyncio.gather(*(client.done for client in clients))
    return {"times": times, "bad": sum(client.bad for client in clients)}


if __name__ == "__main__":
    from service.process.event_loop import run

    print(json.dumps(run(_main(json.load(sys.stdin)))))
