"""The client of the API guide keeps its key until the same failure has come twice."""

import http.server
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from tests.docs.__main__ import DOCS
from tests.docs.markdown import blocks

Answer = tuple[int, dict[str, Any]]
LOST: Answer = (0, {})
"""The connection is closed without an answer."""


class Server(http.server.ThreadingHTTPServer):
    """Gives the answers one after another, and keeps the keys that it was sent."""

    def __init__(self, answers: list[Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.keys = answers, list[str | None]()


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.keys.append(self.headers["Idempotency-Key"])
        status, body = self.server.answers.pop(0)
        if not status:
            return
        text = msgspec.json.encode(body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        if status == 503:
            self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def client() -> dict[str, Any]:
    """The names of the example, which waits no time."""
    (code,) = (code for code in blocks(DOCS / "api.md", "python") if "def post_once" in code)
    names: dict[str, Any] = {}
    exec(code, names)
    waited: list[float] = []
    names |= {"time": SimpleNamespace(sleep=waited.append), "waited": waited}
    return names


@pytest.fixture
def server() -> Iterator[Server]:
    with Server([]) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def refusal(status: int, code: str, *, retryable: bool, reference: str = "r") -> Answer:
    told = {"error": "…", "code": code, "retryable": retryable, "reference_id": reference}
    return status, told


def test_which_failures_keep_the_key(client: dict[str, Any], server: Server) -> None:
    url = f"http://127.0.0.1:{server.server_port}/messages"
    server.answers += [
        LOST,
        refusal(503, "database_unavailable", retryable=True, reference="1"),
        refusal(503, "model_overloaded", retryable=True, reference="2"),
        LOST,
        refusal(503, "model_overloaded", retryable=True, reference="2"),
        refusal(503, "busy", retryable=True, reference="3"),
        (504, {}),
        (200, {"messages": []}),
    ]
    posted = client["post_once"](url, "token", {"message": "hello"}, attempts=8)
    assert posted == {"messages": []}
    numbers = {key: number for number, key in enumerate(dict.fromkeys(server.keys))}
    assert [numbers[key] for key in server.keys] == [0, 0, 0, 0, 0, 1, 1, 1]
    assert client["waited"] == [1, 7, 7, 8, 7, 7, 30]


def test_what_must_not_be_repeated_is_not(client: dict[str, Any], server: Server) -> None:
    url = f"http://127.0.0.1:{server.server_port}/messages"
    server.answers += [refusal(409, "turn_is_over", retryable=False)]
    with pytest.raises(RuntimeError, match="409"):
        client["post_once"](url, "token", {"message": "hello"})
    assert len(server.keys) == 1
