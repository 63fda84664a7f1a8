"""A learning record store and a Caliper endpoint, over real HTTP, with faults on demand."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import msgspec
from aiohttp import web

from service.process.server import listen
from tests.running import address_of

USER, PASSWORD = "colloquy", "s3cret-of-the-store"
TOKEN = "t0ken-of-the-endpoint"


class Fault(msgspec.Struct, frozen=True):
    """A fault of one request.

    Attributes:
        cut: Whether the connection breaks, before the records are stored or after.
    """

    status: int = 503
    headers: dict[str, str] = {}
    body: str = ""
    cut: Literal["", "before", "after"] = ""


class Store:
    """Stores records by id, whole batches or nothing; a known id must have the same content.

    Attributes:
        faults: Of the next requests; None lets one pass.
        knows_ids: Refuses an id that it has, whatever comes with it, as some stores do.
        given: Answers whoever asks for a statement; None for what there is.
        given_once: The same, of the next requests only.
        gate: Closed, requests wait once there have been `free` of them.
    """

    def __init__(self) -> None:
        self.url = ""
        self.records: dict[str, Any] = {}
        self.requests: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.envelopes: list[dict[str, Any]] = []
        self.faults: list[Fault | None] = []
        self.knows_ids = False
        self.given: Fault | None = None
        self.given_once: list[Fault] = []
        self.free = 1_000_000
        self.gate = asyncio.Event()
        self.waiting = asyncio.Event()

    @property
    def xapi(self) -> str:
        return f"{self.url}/xapi/"

    @property
    def caliper(self) -> str:
        return f"{self.url}/caliper"

    async def take_statements(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("X-Experience-API-Version") != "1.0.3":
            raise web.HTTPBadRequest(text="X-Experience-API-Version")
        return await self._take(request, msgspec.json.decode)

    async def take_envelope(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise web.HTTPUnauthorized
        return await self._take(request, self._open)

    async def give(self, request: web.Request) -> web.StreamResponse:
        if fault := self.given_once.pop(0) if self.given_once else self.given:
            return self._fail(request, fault)
        result = self.records.get(request.query["statementId"])
        if result is None:
            raise web.HTTPNotFound
        stored = result | {"stored": "2026-01-01T00:00:00Z", "version": "1.0.0"}
        return web.json_response(stored)

    def _open(self, body: bytes) -> Sequence[Any]:
        envelope = msgspec.json.decode(body)
        self.envelopes.append(envelope)
        return envelope["data"]  # type: ignore[no-any-return]

    async def _take(
        self, request: web.Request, read: Callable[[bytes], Sequence[Any]]
    ) -> web.StreamResponse:
        body = await request.read()
        self.requests.append(dict(request.headers))
        self.bodies.append(body)
        if len(self.requests) > self.free:
            self.waiting.set()
            await self.gate.wait()
        fault = self.faults.pop(0) if self.faults else None
        if fault and fault.cut != "after":
            return self._fail(request, fault)
        records = read(body)
        ids = [record["id"] for record in records]
        assert len(set(ids)) == len(ids)
        for record in records:
            known = self.records.get(record["id"])
            if known is not None and (self.knows_ids or known != record):
                raise web.HTTPConflict(text=f"there is another\n{record['id']}")
        self.records |= dict(zip(ids, records, strict=True))
        return self._fail(request, fault) if fault else web.json_response(ids)

    def _fail(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.cut and request.transport is not None:
            request.transport.abort()
        return web.Response(status=fault.status, headers=fault.headers, text=fault.body)


@asynccontextmanager
async def running_store() -> AsyncIterator[Store]:
    """A store on a free port."""
    store = Store()
    app = web.Application(client_max_size=64 * 1024**2)
    app.router.add_post("/xapi/statements", store.take_statements)
    app.router.add_get("/xapi/statements", store.give)
    app.router.add_post("/caliper", store.take_envelope)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    with listen("127.0.0.1", 0) as sock:
        sock.setblocking(False)
        await web.SockSite(runner, sock).start()
        store.url = address_of(sock)
        try:
            yield store
        finally:
            store.gate.set()
            await runner.cleanup()
