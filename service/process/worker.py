"""One of several serving processes: ``python -m service.process.worker SOCKET ALIVE``.

The supervisor starts it; the arguments are file descriptors. It writes a line to standard output:
`READY` when it serves, or why it cannot. It stops at a signal, or when the supervisor is gone.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress

from eventstore.database_errors import DATABASE_ERRORS
from service.process.event_loop import run
from service.process.logging import configure_logging, show_fault
from service.process.server import serve
from service.process.stop_signals import stop_event
from service.settings import read_settings

READY = "ready"
REFUSED, AWAY = 78, 75
"""Exit codes of `sysexits.h`: wrong configuration, and a temporary failure."""


def main() -> None:
    """Serves on the given socket until the end.

    Exit codes: `REFUSED` if the next worker would fail too, `AWAY` if the database cannot be
    used, 1 for an unexpected error.
    """
    configure_logging()
    sys.excepthook = show_fault
    try:
        run(_serve(int(sys.argv[1]), int(sys.argv[2])))
    except Exception as error:
        report(error)
        raise


def report(error: Exception) -> None:
    """Prints why the worker cannot serve and ends the process; ignores an unexpected error."""
    from service.process.errors import DatabaseUnreachable
    from service.process.exit_errors import EXPLAINED_ERRORS

    words = " ".join(str(error).split()) or "no answer in time"
    of_file = isinstance(error, OSError) and error.filename is not None
    if of_file or (
        isinstance(error, EXPLAINED_ERRORS) and not isinstance(error, DatabaseUnreachable)
    ):
        print(words, flush=True)  # noqa: T201
        sys.exit(REFUSED)
    if isinstance(error, (DatabaseUnreachable, *DATABASE_ERRORS)):
        print(f"cannot use the database: {words}", flush=True)  # noqa: T201
        sys.exit(AWAY)


async def _serve(listening: int, alive: int) -> None:
    settings = read_settings(os.environ)
    url = settings.database_url
    assert url is not None, "the supervisor names the database"
    stop = stop_event()
    # The pipe is never written to: it becomes readable when its other end is closed.
    loop = asyncio.get_running_loop()

    def orphaned() -> None:
        loop.remove_reader(alive)
        if stop.is_set():  # a second signal ended the supervisor
            os.kill(os.getpid(), signal.SIGTERM)
        stop.set()

    loop.add_reader(alive, orphaned)
    with socket.socket(fileno=listening) as sock:
        sock.setblocking(False)
        await _until(stop, lambda ready: serve(settings, url, sock, stop, ready))


async def _until(
    stop: asyncio.Event, serving: Callable[[Callable[[], None]], Coroutine[object, object, None]]
) -> None:
    """Serves; a stop before that takes effect at once, since no request is under way."""
    begun = asyncio.Event()

    def ready() -> None:
        begun.set()
        print(READY, flush=True)  # noqa: T201

    task = asyncio.create_task(serving(ready))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not begun.is_set():
        task.cancel()
    with suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    main()
