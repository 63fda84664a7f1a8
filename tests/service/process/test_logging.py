"""What a running service writes to standard error: one JSON line a request, and no secrets."""

import asyncio
import os
import pty
import re
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from yarl import URL

from service.process.logging import show_fault
from tests.databases import cloned_database
from tests.fake_anthropic import FakeAnthropic, Speech, StreamError
from tests.running import (
    CONVERSATIONS,
    ROOT,
    Service,
    client,
    demo_tokens,
    environment_of,
    messages_of,
    service_process,
)

MESSAGE, PARTIAL, REPLY = "Wilhelmina said so", "Thinking of Theodora", "Quite so, Ludmilla"
FIELD, TITLE, KEY = "unheard_of_field", "Why the tide comes back", "sk-secret-of-the-school"
FORGED, OFFENDING = "colloquy_forged-by-somebody", "Brunhilde-in-no-http"


class Written(msgspec.Struct, frozen=True):
    """All that a service wrote while the requests of `run_through` were made."""

    text: str
    tokens: dict[str, str]
    database_url: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Each line decoded: all are JSON."""
        return [msgspec.json.decode(line) for line in self.text.splitlines()]

    def requests(self) -> list[dict[str, Any]]:
        """The canonical lines."""
        return [line for line in self.lines if line["event"] == "request"]

    def request(self, name: str) -> dict[str, Any]:
        """The one canonical line of a request."""
        (line,) = [line for line in self.requests() if line["request_id"] == id_of(name)]
        return line


def id_of(name: str) -> str:
    """The id of the request with this name."""
    return str(uuid5(NAMESPACE_URL, name))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def written(server_url: str) -> AsyncIterator[Written]:
    async with FakeAnthropic(Speech(pieces=(REPLY,))) as fake, cloned_database(server_url) as url:
        tokens = await demo_tokens(url)
        environment = {
            "DATABASE_URL": url,
            "ANTHROPIC_BASE_URL": fake.url,
            "ANTHROPIC_API_KEY": KEY,
        }
        async with (
            service_process(environment) as process,
            client(process.url, tokens, url) as service,
        ):
            await run_through(service, fake)
            assert await process.stop() == 0
            yield Written(process.log, tokens, url)


async def run_through(service: Service, fake: FakeAnthropic) -> None:
    """Good requests and bad ones, each with an id of its own."""
    named = {"headers": {"X-Request-Id": id_of("opening")}}
    _, body = await service.call("POST", CONVERSATIONS, **named)  # type: ignore[arg-type]
    path = messages_of(body["id"])

    async def say(name: str, **options: Any) -> None:
        headers = {"X-Request-Id": id_of(name)} | options.pop("headers", {})
        await service.request("POST", path, headers=headers, **options)

    await say("good", json={"message": MESSAGE})
    await say("good-form", data={"message": MESSAGE})
    fake.script(StreamError(speech=Speech(pieces=(PARTIAL,))))
    await say("failed", json={"message": MESSAGE})
    await say("too-long", json={"message": MESSAGE * 1000})
    await say("unknown", json={"message": MESSAGE, FIELD: MESSAGE})
    await say("nul", json={"message": f"{MESSAGE}\0"})
    broken = b'{"message": "%s' % MESSAGE.encode()
    await say("broken", data=broken, headers={"Content-Type": "application/json"})
    await say("forged", user=None, headers={"Authorization": f"Bearer {FORGED}"})
    await service.request("GET", "/no/such/path", headers={"X-Request-Id": id_of("nowhere")})
    for probe in ("/healthz", "/readyz"):
        await service.request("GET", probe, user=None, headers={"X-Request-Id": id_of("probe")})
    host, port = service.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"{OFFENDING} {FORGED}\r\n\r\n".encode())
    await reader.read()
    writer.close()


def test_every_line_is_json_with_a_level_and_a_time(written: Written) -> None:
    for line in written.lines:
        assert {"event", "level", "timestamp"} <= set(line)
        assert datetime.fromisoformat(line["timestamp"]).utcoffset() is not None


def test_every_request_has_one_line_with_all_its_facts(written: Written) -> None:
    """The user, the endpoint, the duration, and the request's id, which its turn shares."""
    line = written.request("good")
    assert set(line) == {
        *("event", "level", "timestamp", "request_id", "method", "path", "status"),
        *("duration_ms", "account_id", "user_id", "token_id"),
    }
    assert (line["method"], line["status"], line["level"]) == ("POST", 200, "info")
    assert line["path"] == messages_of(1)
    assert (line["account_id"], line["user_id"]) == (1, 101)
    assert line["token_id"] > 0
    assert line["duration_ms"] > 0


@pytest.mark.parametrize(
    ("request_id", "status"),
    [
        *(("opening", 201), ("good", 200), ("good-form", 200), ("failed", 503)),
        *(("too-long", 422), ("unknown", 400), ("nul", 400), ("broken", 400)),
        *(("forged", 401), ("nowhere", 404)),
    ],
)
def test_the_line_has_the_status_that_the_client_got(
    request_id: str, status: int, written: Written
) -> None:
    """A client's error is not a warning; a failure of the service is."""
    line = written.request(request_id)
    assert (line["status"], line["level"]) == (status, "warning" if status >= 500 else "info")


def test_the_line_of_an_unauthenticated_request_names_no_user(written: Written) -> None:
    for request_id in ("forged", "nowhere"):
        line = written.request(request_id)
        assert (line["account_id"], line["user_id"], line["token_id"]) == (None, None, None)


def test_probes_are_not_logged(written: Written) -> None:
    assert not [line for line in written.lines if line.get("request_id") == id_of("probe")]


def test_a_failed_reply_says_why_and_whose_it_was(written: Written) -> None:
    (line,) = [line for line in written.lines if line["event"] == "reply_failed"]
    assert (line["code"], line["request_id"]) == ("model_overloaded", id_of("failed"))
    assert line["conversation_id"] == 1
    assert line["turn_id"]


@pytest.mark.parametrize(
    "secret", [MESSAGE, PARTIAL, REPLY, FIELD, TITLE, KEY, FORGED, OFFENDING], ids=str.split
)
def test_no_text_of_users_or_models_is_logged(secret: str, written: Written) -> None:
    """Nor is a key, a token, or bytes that are not a request."""
    assert secret not in written.text
    assert secret.split("-")[-1] not in written.text


def test_no_token_and_no_password_is_logged(written: Written) -> None:
    for token in written.tokens.values():
        assert token.removeprefix("colloquy_") not in written.text
    password = written.database_url.split("@")[0].rpartition(":")[2]
    assert len(password) > 20
    assert password not in written.text


PATH = "/\x1b[2J\x1b[1;1H\x7f\u009b31m\u202e\u2028\nverified: nothing is wrong\r"


@pytest.mark.parametrize("terminal", [True, False])
async def test_control_characters_of_a_requested_path_reach_no_terminal(
    server_url: str, terminal: bool
) -> None:
    """Nor if a terminal shows the log's JSON lines."""
    async with cloned_database(server_url) as url:
        ours, theirs = pty.openpty() if terminal else os.pipe()
        environment = environment_of({"DATABASE_URL": url})
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service.cli", "serve", "--port", "0"),
            env=environment,
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=theirs,
        )
        os.close(theirs)
        try:
            assert process.stdout is not None
            async with asyncio.timeout(60):
                while b"ready on" not in (line := await process.stdout.readline()):
                    assert line
            address = line.decode().split()[-1]
            async with aiohttp.ClientSession() as http:
                for path in (quote(PATH), quote(PATH) + "%ff%fe%ed%a0%80"):
                    target = URL(address + path, encoded=True)
                    assert (await http.get(target)).status == 404
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 30) == 0
            printed = await asyncio.to_thread(_all_of, ours)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            os.close(ours)
    lines = printed.replace("\r\n", "\n").split("\n")
    plain = [re.sub("\x1b\\[[0-9;]*m", "", line) if terminal else line for line in lines]
    assert sum("status=404" in line or '"status":404' in line for line in plain) == 2
    assert [line for line in plain if not line.isprintable()] == []
    assert [line for line in lines if line.startswith("verified")] == []
    assert [line for line in lines if "\x1b[2J" in line or "\x1b[1;1H" in line] == []


def _all_of(descriptor: int) -> str:
    """All output of an ended process."""
    result = b""
    try:
        while piece := os.read(descriptor, 65536):
            result += piece
    except OSError:  # a terminal whose other end is closed
        pass
    return result.decode()


def test_each_line_of_a_traceback_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    """An error's message may have any number of lines."""
    with pytest.raises(ValueError) as fault:
        _fail()
    show_fault(ValueError, fault.value, fault.tb)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 2
    assert all(line.startswith("| ") and line.isprintable() for line in lines)


def _fail() -> None:
    raise ValueError(PATH)
