"""`colloquy serve`."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import click
import msgspec
import structlog

from eventstore.errors import PathUntrusted
from service.cli.context import owner
from service.cli.progress import progress_bar
from service.cli.terminal import print_line
from service.embedded_postgres import EmbeddedPostgres
from service.embedded_postgres.errors import EmbeddedPostgresError
from service.process.database import Database, open_database, prepare
from service.process.event_loop import run
from service.process.logging import configure_logging
from service.process.server import listen
from service.process.server_checks import server_findings
from service.process.stop_signals import stop_event
from service.settings import Settings, check_files, read_settings

_WATCH_INTERVAL = 0.5

log = structlog.get_logger("colloquy")


class ServeOptions(msgspec.Struct, frozen=True):
    """Options that are not settings."""

    demo: bool
    workers: int


@click.command()
@click.option("--demo", is_flag=True, help="Create the demo courses and show their tokens.")
@click.option("--host", help="Address to listen on (default: COLLOQUY_HOST, else 127.0.0.1).")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port (default: COLLOQUY_PORT, else 8080); 0 takes a free one.",
)
@click.option(
    "--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes."
)
def serve(demo: bool, host: str | None, port: int | None, workers: int) -> None:
    """Serve the API, until SIGTERM or Ctrl-C.

    Prepares the database first. Once it answers requests, its last line on standard output is
    "Colloquy is ready on http://HOST:PORT". Logs go to standard error.
    """
    configure_logging()
    settings = read_settings(os.environ)
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = msgspec.structs.replace(settings, **given)
    check_files(settings)
    with (
        listen(settings.host, settings.port) as sock,
        open_database(settings, make=True) as database,
    ):
        sock.setblocking(False)
        run(_serve(settings, database, sock, ServeOptions(demo, workers)))


async def _serve(
    settings: Settings, database: Database, sock: socket.socket, options: ServeOptions
) -> None:
    stop = stop_event()
    await prepare(database.url, progress_bar("building views"), settings.projections)
    await _check_server(database, options.workers)
    if settings.seal_seconds:
        from service.audit.sealing import make_sealer

        make_sealer(settings, database.url)  # refuses a wrong key before each worker does
    address = _address(settings.host, sock)
    greeting = await _demo(settings, database, address) if options.demo else []

    def ready() -> None:
        for line in [*greeting, f"Colloquy is ready on {address}"]:
            print_line(line)

    async with _watched(database.embedded):
        if options.workers > 1:
            from service.process.supervisor import Supervisor

            supervisor = Supervisor(options.workers, sock, database.url, settings.stop_timeout)
            await supervisor.run(stop, ready)
        else:
            from service.process.server import serve

            await serve(settings, database.url, sock, stop, ready)


async def _check_server(database: Database, processes: int) -> None:
    async with owner(database.url) as connection:
        for finding in await server_findings(connection, processes):
            log.error("database_unsafe", finding=finding)


async def _demo(settings: Settings, database: Database, address: str) -> list[str]:
    from service.app import make_model
    from service.process.demo import greeting, make_demo

    async with owner(database.url) as connection:
        tokens = await make_demo(connection, database.url, settings.home)
    lines = greeting(tokens, address, make_model(settings)[1].reply)
    return lines.removesuffix("\n").split("\n")


@asynccontextmanager
async def _watched(server: EmbeddedPostgres | None) -> AsyncIterator[None]:
    """Starts the embedded server again whenever it dies."""
    task = asyncio.create_task(_watch(server)) if server else None
    try:
        yield
    finally:
        if task:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _watch(server: EmbeddedPostgres) -> None:
    while True:
        await asyncio.sleep(_WATCH_INTERVAL)
        try:
            if await asyncio.to_thread(server.ensure_running):
                log.warning("postgres_restarted")
        except (EmbeddedPostgresError, PathUntrusted) as error:
            log.error("postgres_down", error=str(error))


def _address(host: str, sock: socket.socket) -> str:
    port = sock.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
