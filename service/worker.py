"""One of several serving processes: ``python -m service.worker SOCKET ALIVE`` (file descriptors).

The supervisor starts it. It writes a line to standard output when it serves, and stops when
it is told to or when the supervisor is gone.
"""

import asyncio
import os
import signal
import socket
import sys

from service.event_loop import run
from service.logs import configure_logging, show_fault
from service.server import serve, stop_event
from service.settings import read_settings


def main() -> None:
    """Serves on the given socket until the end."""
    configure_logging()
    sys.excepthook = show_fault
    run(_serve(int(sys.argv[1]), int(sys.argv[2])))


async def _serve(listening: int, alive: int) -> None:
    settings = read_settings(os.environ)
    assert settings.database_url is not None, "the supervisor names the database"
    stop = stop_event()
    # The pipe is never written to: it becomes readable when its other end is closed.
    loop = asyncio.get_running_loop()

    def orphaned() -> None:
        loop.remove_reader(alive)
        if stop.is_set():  # the supervisor was told a second time
            os.kill(os.getpid(), signal.SIGTERM)
        stop.set()

    loop.add_reader(alive, orphaned)
    with socket.socket(fileno=listening) as sock:
        sock.setblocking(False)
        await serve(settings, settings.database_url, sock, stop, lambda: print("ready", flush=True))  # noqa: T201


if __name__ == "__main__":
    main()
