"""A real HTTP server that speaks the provider's Messages protocol, on script.

In a test:

    async with FakeAnthropic() as fake:
        fake.script("overloaded_529", Stall(after=1))   # one behaviour a reply, then `default`
        fake.script_judgements(covering((1, 3)))        # one a judgement, then `judgement`
        model = AnthropicModel(None, fake.url, stall_timeout=1.0, max_connections=100)

A request with `output_config` asks for a judgement; all others are for replies.

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
    Chooser,
    Cut,
    EarlyEnd,
    HttpError,
    Json,
    RawAnswer,
    Received,
    Speech,
    Stall,
    StreamError,
    begin,
    behaviour_named,
    covering,
    ending_bytes,
    error_json,
    evaluation_speech,
    event_bytes,
    judgement_named,
    message_json,
    say,
)

__all__ = [
    "BEHAVIOURS",
    "Behaviour",
    "Chooser",
    "Cut",
    "EarlyEnd",
    "FakeAnthropic",
    "HttpError",
    "RawAnswer",
    "Received",
    "Speech",
    "Stall",
    "StreamError",
    "covering",
    "evaluation_speech",
]


class Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /control`; behaviours by name."""

    behaviours: tuple[str, ...] = ()
    default: str | None = None
    judgements: tuple[str, ...] = ()
    judgement_default: str | None = None
    release: bool = False


class FakeAnthropic:
    """The server; an async context manager on a free port of 127.0.0.1 (or the given port).

    With `reuse_port`, also on a port that a socket of the test keeps from others meanwhile.
    `default` answers when the script is used up: a behaviour, its name, or a function of the
    request. `requests` holds what came in, `disconnects` counts clients that went away early,
    `stalled` those that are kept waiting now. Judgements have the same of their own: `judgement`,
    `judgements`, `disconnected_judgements` and `stalled_judgements`.
    """

    def __init__(
        self,
        default: Behaviour | str | Chooser = "good",
        port: int = 0,
        *,
        reuse_port: bool = False,
    ) -> None:
        self.default = default
        self.requests: list[Received] = []
        self.disconnects = 0
        self.stalled = 0
        self.judgement: Behaviour | str | Chooser = "valid"
        self.judgements: list[Received] = []
        self.disconnected_judgements = 0
        self.stalled_judgements = 0
        self._script: deque[Behaviour] = deque()
        self._judgement_script: deque[Behaviour | Chooser] = deque()
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
        self._reuse_port = reuse_port

    async def __aenter__(self) -> "FakeAnthropic":
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_port=self._reuse_port)
        await site.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """The base URL for a client."""
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    def script(self, *behaviours: Behaviour | str) -> None:
        """Queue behaviours, objects or names, one for each of the next requests for replies."""
        self._script.extend(behaviour_named(behaviour) for behaviour in behaviours)

    def script_judgements(self, *behaviours: Behaviour | str | Chooser) -> None:
        """Queue behaviours for the next judgements; "valid" is what fits the request."""
        self._judgement_script.extend(judgement_named(behaviour) for behaviour in behaviours)

    def release(self) -> None:
        """Let everybody go on who is stalled now."""
        self._gate.set()
        self._gate = asyncio.Event()

    async def wait_until(self, condition: Callable[[], bool], within: float = 20.0) -> None:
        """Wait for a condition on this server's attributes, `within` seconds or `TimeoutError`."""
        async with asyncio.timeout(within):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        received = self._receive(await request.json(), request)
        self._changed.set()
        try:
            return await self._answer(request, received, self._next(received))
        except (asyncio.CancelledError, ConnectionError):
            if request.transport is None or request.transport.is_closing():
                if received.is_judgement:
                    self.disconnected_judgements += 1
                else:
                    self.disconnects += 1
                self._changed.set()
            raise

    def _receive(self, body: Json, request: web.Request) -> Received:
        headers = {name.lower(): value for name, value in request.headers.items()}
        kind = "judge" if "output_config" in body else "fake"
        log = self.judgements if kind == "judge" else self.requests
        log.append(Received(body, headers, f"req_{kind}_{len(log) + 1:06d}"))
        return log[-1]

    def _next(self, received: Received) -> Behaviour:
        if received.is_judgement:
            script = self._judgement_script
            chosen = script.popleft() if script else judgement_named(self.judgement)
        elif self._script:
            chosen = self._script.popleft()
        else:
            chosen = self.default if callable(self.default) else behaviour_named(self.default)
        return chosen(received) if callable(chosen) else chosen

    async def _answer(
        self, request: web.Request, received: Received, behaviour: Behaviour
    ) -> web.StreamResponse:
        match behaviour:
            case RawAnswer():
                return web.Response(
                    body=behaviour.body,
                    content_type=behaviour.content_type,
                    status=behaviour.status,
                    headers=behaviour.headers,
                )
            case HttpError():
                return self._error(received, behaviour)
            case Speech():
                return await self._speak(request, received, behaviour)
            case Stall(after=None):
                await self._stall(received)
                return await self._speak(request, received, behaviour.speech)
            case Stall() | Cut() | EarlyEnd() | StreamError():
                return await self._falter(request, received, behaviour)
            case _:
                assert_never(behaviour)

    def _error(self, received: Received, error: HttpError) -> web.Response:
        headers = {"request-id": received.request_id}
        if error.retry_after is not None:
            headers["retry-after"] = error.retry_after
        return web.json_response(error_json(error.error_type), status=error.status, headers=headers)

    async def _speak(
        self, request: web.Request, received: Received, speech: Speech
    ) -> web.StreamResponse:
        if received.body.get("stream") is not True:
            await asyncio.sleep(speech.first_delay + speech.delay * (len(speech.pieces) - 1))
            message = message_json(received.body["model"], speech, "".join(speech.pieces))
            return web.json_response(message, headers={"request-id": received.request_id})
        response = await begin(request, received, speech)
        return await say(response, speech.pieces, speech, ending_bytes(speech))

    async def _falter(
        self, request: web.Request, received: Received, how: Stall | Cut | EarlyEnd | StreamError
    ) -> web.StreamResponse:
        speech = how.speech
        response = await begin(request, received, speech)
        match how:
            case Stall():
                await say(response, speech.pieces[: how.after], speech)
                await self._stall(received)
                await say(response, speech.pieces[how.after :], speech, ending_bytes(speech))
            case Cut():
                await say(response, speech.pieces, speech)
                if request.transport is not None:
                    request.transport.abort()
            case EarlyEnd():
                await say(response, speech.pieces, speech)
            case StreamError():
                error = event_bytes("error", error_json(how.error_type))
                await say(response, speech.pieces, speech, error)
            case _:
                assert_never(how)
        return response

    async def _stall(self, received: Received) -> None:
        self._count_stalled(received, 1)
        try:
            await self._gate.wait()
        finally:
            self._count_stalled(received, -1)

    def _count_stalled(self, received: Received, change: int) -> None:
        if received.is_judgement:
            self.stalled_judgements += change
        else:
            self.stalled += change
        self._changed.set()

    async def _control(self, request: web.Request) -> web.Response:
        try:
            control = msgspec.json.decode(await request.read(), type=Control)
            behaviours = [behaviour_named(name) for name in control.behaviours]
            judgements = [judgement_named(name) for name in control.judgements]
            if control.default is not None:
                self.default = behaviour_named(control.default)
            if control.judgement_default is not None:
                self.judgement = judgement_named(control.judgement_default)
        except (msgspec.DecodeError, KeyError) as error:
            return web.json_response({"error": str(error)}, status=400)
        self.script(*behaviours)
        self.script_judgements(*judgements)
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
                "judgements": len(self.judgements),
                "disconnected_judgements": self.disconnected_judgements,
                "stalled_judgements": self.stalled_judgements,
                "scripted_judgements": len(self._judgement_script),
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
