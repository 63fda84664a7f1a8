"""A real browser: the page of documentation, and pages of other sites that call the API."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from service.routes import ENDPOINTS
from tests.clients.programs import program, run
from tests.running import CONVERSATIONS, LEARNER, Service, running_service

pytestmark = pytest.mark.chromium

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--disable-dev-shm-usage"),
)
PAGE = """<!doctype html><title>A chat</title><script>
const told = TOLD;
const headers = {Authorization: `Bearer ${told.token}`};
const call = (path, options) => fetch(told.url + path, {headers, ...options});
async function chat() {
  const first = await (await call(told.base)).json();
  const created = await call(told.base, {method: "POST"});
  const conversation = await created.json();
  const said = await call(`${told.base}/${conversation.id}/messages`, {
    method: "POST",
    headers: {...headers, Accept: "text/event-stream", "Content-Type": "application/json",
              "Idempotency-Key": "one"},
    body: JSON.stringify({message: "The Moon pulls the water."}),
  });
  const stream = await said.text();
  const shown = await call(told.base);
  const seen = {tag: shown.headers.get("ETag"), id: shown.headers.get("X-Request-Id")};
  const refused = await call(told.base + "/987654");
  const ended = await call(`${told.base}/${conversation.id}`, {method: "DELETE"});
  return {first, stream, seen, messages: (await shown.json()).messages.length,
          statuses: [created, said, shown, refused, ended].map(r => r.status)};
}
chat().catch(error => ({error: String(error)}))
      .then(result => fetch("/result", {method: "POST", body: JSON.stringify(result)}));
</script>"""


class Words(HTMLParser):
    """What a page says."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def handle_data(self, data: str) -> None:
        self.text += data


class Site:
    """A site whose page talks with the service and hands in what came of it."""

    def __init__(self) -> None:
        self.origin = ""
        self.told: Mapping[str, str] = {}
        self.result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def page(self, _request: web.Request) -> web.Response:
        text = PAGE.replace("TOLD", msgspec.json.encode(self.told).decode())
        return web.Response(text=text, content_type="text/html")

    async def take(self, request: web.Request) -> web.Response:
        self.result.set_result(await request.json())
        return web.Response()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.add_routes([web.get("/", site.page), web.post("/result", site.take)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    site.origin = f"http://{host}:{port}"
    yield site
    await runner.cleanup()


@asynccontextmanager
async def browser(url: str, folder: Path) -> AsyncIterator[None]:
    """A browser with this page open."""
    process = await asyncio.create_subprocess_exec(
        *(program("chromium"), *FLAGS, f"--user-data-dir={folder}", url),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.kill()
        await process.wait()


async def visited(service: Service, site: Site, folder: Path) -> Any:
    """What came of the page's conversation with the service."""
    site.told = {
        "url": service.url,
        "token": service.tokens[str(LEARNER)],
        "base": CONVERSATIONS,
    }
    async with browser(site.origin, folder), asyncio.timeout(60):
        return await site.result


async def test_a_page_of_an_allowed_site_holds_a_whole_conversation(
    demo_url: str, site: Site, tmp_path: Path
) -> None:
    async with running_service(demo_url, cors_origins=site.origin) as service:
        result = await visited(service, site, tmp_path)
    assert result.pop("statuses") == [201, 200, 200, 404, 200]
    stream = result.pop("stream")
    assert stream.startswith("id: 1\nevent: accepted\n")
    assert "event: done\n" in stream
    assert result["seen"]["tag"]
    assert result["seen"]["id"]
    assert (result["first"], result["messages"]) == ({}, 4)


async def test_a_page_of_a_site_that_is_not_allowed_learns_nothing(
    demo_url: str, site: Site, tmp_path: Path
) -> None:
    async with running_service(demo_url, cors_origins="https://lms.example") as service:
        result = await visited(service, site, tmp_path)
        assert result == {"error": "TypeError: Failed to fetch"}
        assert await service.active() == {}


async def test_the_documentation_reads_well_and_the_browser_has_no_complaint(
    demo_url: str, tmp_path: Path
) -> None:
    async with running_service(demo_url) as service:
        command = (program("chromium"), *FLAGS, f"--user-data-dir={tmp_path}", "--dump-dom")
        out = await run(*command, f"{service.url}/docs", folder=tmp_path, environment={})
    assert "CONSOLE" not in out
    words = Words()
    words.feed(out)
    for operation in ENDPOINTS:
        assert operation.summary in words.text, operation.name
