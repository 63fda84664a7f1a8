"""The service as benchmarks run it: in a process of its own, on a database that is ready."""

import os

from service.process.event_loop import run
from service.process.logging import configure_logging
from service.process.server import listen, serve
from service.process.stop_signals import stop_event
from service.settings import read_settings


async def _main() -> None:
    settings = read_settings(os.environ)
    assert settings.database_url
    with listen("127.0.0.1", 0) as sock:
        sock.setblocking(False)
        port = sock.getsockname()[1]
        await serve(
            settings, settings.database_url, sock, stop_event(), lambda: print(port, flush=True)
        )


if __name__ == "__main__":
    configure_logging()
    run(_main())
