"""One process that serves: from the listening socket to the graceful stop."""

import asyncio
import socket
from collections.abc import Callable

import msgspec
import structlog
from aiohttp import web

from service.app import running_app, uses_provider
from service.errors import SettingsError
from service.hosts import is_host
from service.http.acceptor import Acceptor
from service.http.connection_bounds import Connections, bounds_of, raise_descriptors
from service.http.middleware import always_answered
from service.settings import Settings
from service.timing import USUAL, Timing

BACKLOG = 1024
_CHOOSE = "choose another with --host and --port"
_CLOSING = 5.0

log = structlog.get_logger("colloquy")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        SettingsError: The address cannot be used.
    """
    plain = host.partition("%")[0]  # without a link-local address' interface
    if host and not is_host(f"[{plain}]" if ":" in host else host):
        raise SettingsError(f"cannot listen on {host}:{port}: it is not a host; {_CHOOSE}")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:  # a part of a name may be too long
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SettingsError(f"cannot listen on {host}:{port}: {reason}; {_CHOOSE}") from error


async def serve(
    settings: Settings,
    url: str,
    sock: socket.socket,
    stop: asyncio.Event,
    ready: Callable[[], None],
    timing: Timing = USUAL,
) -> None:
    """Serves until `stop` is set; then refuses new requests and lets turns end.

    Args:
        url: The owner's connection URL of a database that is ready.
        sock: A listening socket, which is closed at the end.
        ready: Called once requests are answered.
    """
    settings = msgspec.structs.replace(settings, port=sock.getsockname()[1])
    bounds = bounds_of(settings, raise_descriptors(), provider=uses_provider(settings))
    async with running_app(settings, url, timing) as app:
        runner = web.AppRunner(app, shutdown_timeout=_CLOSING)
        await runner.setup()
        assert runner.server is not None, "it is set up"
        runner.server.request_handler = always_answered(runner.server.request_handler)
        try:
            await Acceptor(runner, sock, Connections(bounds)).start()
            ready()
            await stop.wait()
            log.info("stopping")
        finally:
            await runner.cleanup()
