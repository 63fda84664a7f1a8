"""The bare aiohttp handler: one indexed row, passed through."""

import os

from aiohttp import web

from eventstore.connections import open_pool
from service.process.event_loop import run
from service.process.server import listen
from service.process.stop_signals import stop_event


async def _main() -> None:
    pool = await open_pool(os.environ["DATABASE_URL"], None, 16)

    async def pass_through(_request: web.Request) -> web.Response:
        row = await pool.fetchrow("SELECT body FROM bare_rows WHERE id = $1", 1)
        assert row is not None
        headers = {"Content-Type": "application/json; charset=utf-8"}
        return web.Response(body=row["body"].encode(), headers=headers)

    app = web.Application()
    app.router.add_get("/{path:.*}", pass_through)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stop = stop_event()
    with listen("127.0.0.1", 0) as sock:
        sock.setblocking(False)
        await web.SockSite(runner, sock).start()
        print(sock.getsockname()[1], flush=True)
        await stop.wait()
        await runner.cleanup()
    await pool.close()


if __name__ == "__main__":
    run(_main())
