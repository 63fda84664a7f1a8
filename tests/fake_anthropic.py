"""A real HTTP server that speaks the provider's Messages protocol, on script.

In a test:

    async with FakeAnthropic() as fake:
        fake.script("overloaded_529", Stall(after=1))   # one behaviour a request, then `default`
        model = AnthropicModel("claude-haiku-5-5", None, fake.url, stall_timeout=1.0)

As a program, scripted from outside through `POST /control`:

    python -m tests.fake_anthropic --port 0 --behaviour good
    curl -d '{"behaviours": ["overloaded_529", "good"], "default": "slow"}' $URL/control
"""

import argparse
import asyncio
import signal
from collections import deque
from collections.abc import Callable
from typing import assert_never

import msgspec
from aiohttp import web

from tests.fake_anthropic_behaviours import (
    BEHAVIOURS,
    Behaviour,
    Cut,
    EarlyEnd,
    HttpError,
    Json,
    RawAnswer,
    Speech,
    Stall,
    StreamError,
    beginning_bytes,
    behaviour_named,
    ending_bytes,
    error_json,
    event_bytes,
    message_json,
    piece_bytes,
)

__all__ = [
    "BEHAVIOURS",
    "Behaviour",
    "Cut",
    "EarlyEnd",
    "FakeAnthropic",
    "HttpError",
    "RawAnswer",
    "Received",
    "Speech",
    "Stall",
    "StreamError",
]


class Received(msgspec.Struct, frozen=True):
    """A request as it came in; header names are in lower case."""

    body: Json
    headers: dict[str, str]


class Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /control`; behaviours by name."""

    behaviours: tuple[str, ...] = ()
    default: str | None = None
    release: bool = False


Chooser = Callable[[Received], Behaviour]


class FakeAnthropic:
    """The server; an async context manager on a free port of 127.0.0.1 (or the given port).

    `default` answers when the script is used up: a behaviour, its name, or a function of the
    request. `requests` holds what came in, `disconnects` counts clients that went away early,
    `stalled` those that are kept waiting now.
    """

    def __init__(self, default: Behaviour | str | Chooser = "good", port: int = 0) -> None:
        self.default = default
        self.requests: list[Received] = []
        self.disconnects = 0
        self.stalled = 0
        self._script: deque[Behaviour] = deque()
        self._gate = asyncio.Event()
        self._changed = asyncio.Event()
        app = web.Application(client_max_size=32 * 1024 * 1024)
        app.router.add_post("/v1/messages", self._messages)
        app.router.add_post("/control", self._control)
        app.router.add_get("/control", self._status)
        # Handlers end with their clients only with `handler_cancellation`.
        self._runner = web.AppRunner(
            app, handler_cancellation=True, shutdown_timeout=0.0, access_log=None
        )
        self._port = port

    async def __aenter__(self) -> "FakeAnthropic":
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """The base URL for a client."""
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    def script(self, *behaviours: Behaviour | str) -> None:
        """Queue behaviours, objects or names, one for each of the next requests."""
        self._script.extend(behaviour_named(behaviour) for behaviour in behaviours)

    def release(self) -> None:
        """Let everybody go on who is stalled now."""
        self._gate.set()
        self._gate = asyncio.Event()

    async def wait_until(self, condition: Callable[[], bool], within: float = 5.0) -> None:
        """Wait for a condition on this server's attributes, `within` seconds or `TimeoutError`."""
        async with asyncio.timeout(within):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(body=await request.json(), headers=headers)
        self.requests.append(received)
        self._changed.set()
        try:
            return await self._answer(request, received, self._next(received))
        except (asyncio.CancelledError, ConnectionError):
            if request.transport is None or request.transport.is_closing():
                self.disconnects += 1
                self._changed.set()
            raise

    def _next(self, received: Received) -> Behaviour:
        if self._script:
            return self._script.popleft()
        return self.default(received) if callable(self.default) else behaviour_named(self.default)

    async def _answer(
        self, request: web.Request, received: Received, behaviour: Behaviour
    ) -> web.StreamResponse:
        match behaviour:
            case RawAnswer():
                return web.Response(body=behaviour.body, content_type=behaviour.content_type)
            case HttpError():
                return self._error(behaviour)
            case Speech():
                return await self._speak(request, received, behaviour)
            case Stall(after=None):
                await self._stall()
                return await self._speak(request, received, behaviour.speech)
            case Stall() | Cut() | EarlyEnd() | StreamError():
                return await self._falter(request, received, behaviour)
            case _:
                assert_never(behaviour)

    def _request_id(self) -> dict[str, str]:
        return {"request-id": f"req_fake_{len(self.requests):06d}"}

    def _error(self, error: HttpError) -> web.Response:
        pause = {} if error.retry_after is None else {"retry-after": error.retry_after}
        return web.json_response(
            error_json(error.error_type), status=error.status, headers=self._request_id() | pause
        )

    async def _speak(
        self, request: web.Request, received: Received, speech: Speech
    ) -> web.StreamResponse:
        if received.body.get("stream") is not True:
            await asyncio.sleep(speech.first_delay + speech.delay * (len(speech.pieces) - 1))
            message = message_json(received.body["model"], speech, "".join(speech.pieces))
            return web.json_response(message, headers=self._request_id())
        response = await self._begin(request, received, speech)
        return await self._say(response, speech.pieces, speech, ending_bytes(speech))

    async def _falter(
        self, request: web.Request, received: Received, how: Stall | Cut | EarlyEnd | StreamError
    ) -> web.StreamResponse:
        speech = how.speech
        response = await self._begin(request, received, speech)
        match how:
            case Stall():
                await self._say(response, speech.pieces[: how.after], speech)
                await self._stall()
                await self._say(response, speech.pieces[how.after :], speech, ending_bytes(speech))
            case Cut():
                await self._say(response, speech.pieces, speech)
                if request.transport is not None:
                    request.transport.abort()
            case EarlyEnd():
                await self._say(response, speech.pieces, speech)
            case StreamError():
                error = event_bytes("error", error_json(how.error_type))
                await self._say(response, speech.pieces, speech, error)
            case _:
                assert_never(how)
        return response

    async def _begin(
        self, request: web.Request, received: Received, speech: Speech
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=self._request_id())
        response.content_type = "text/event-stream"
        await response.prepare(request)
        await response.write(beginning_bytes(received.body["model"], speech))
        if speech.first_delay:
            await asyncio.sleep(speech.first_delay)
        return response

    async def _say(
        self,
        response: web.StreamResponse,
        pieces: tuple[str, ...],
        speech: Speech,
        ending: bytes = b"",
    ) -> web.StreamResponse:
        if not speech.delay:  # one write for all: benchmarks should not measure this server
            await response.write(b"".join(map(piece_bytes, pieces)) + ending)
            return response
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(speech.delay)
            await response.write(piece_bytes(piece))
        await response.write(ending)
        return response

    async def _stall(self) -> None:
        self.stalled += 1
        self._changed.set()
        try:
            await self._gate.wait()
        finally:
            self.stalled -= 1
            self._changed.set()

    async def _control(self, request: web.Request) -> web.Response:
        try:
            control = msgspec.json.decode(await request.read(), type=Control)
            behaviours = [behaviour_named(name) for name in control.behaviours]
            self.default = (
                self.default if control.default is None else behaviour_named(control.default)
            )
        except (msgspec.DecodeError, KeyError) as error:
            return web.json_response({"error": str(error)}, status=400)
        self.script(*behaviours)
        if control.release:
            self.release()
        return await self._status(request)

    async def _status(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "requests": len(self.requests),
                "disconnects": self.disconnects,
                "stalled": self.stalled,
                "scripted": len(self._script),
            }
        )


async def _serve(port: int, behaviour: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with FakeAnthropic(behaviour, port) as fake:
        print(fake.url, flush=True)
        await stop.wait()


def main() -> None:
    """Serve until a signal; prints the URL as its only line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fake_anthropic")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--behaviour", choices=sorted(BEHAVIOURS), default="good")
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments.port, arguments.behaviour))


if __name__ == "__main__":
    main()
