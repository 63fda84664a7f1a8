"""Runs only a projection runner: ``python -m tests.projections.runner_process URL``."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from eventstore.connections import close_pool, open_pool
from eventstore.notifier import Notifier
from projections.projection_runner import ProjectionRunner


async def follow(url: str) -> None:
    """Runs a runner until the process is killed."""
    pool = await open_pool(url, "colloquy_worker", 4)
    notifier = Notifier(url)
    await notifier.start()
    try:
        print("following", flush=True)
        await ProjectionRunner(pool, notifier).run()
    finally:
        await notifier.close()
        await close_pool(pool)


@asynccontextmanager
async def following(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A running process of this kind, which ends with the context."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.projections.runner_process", url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            assert await process.stdout.readline() == b"following\n"
        yield process
    finally:
        if process.returncode is None:
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()


if __name__ == "__main__":
    asyncio.run(follow(sys.argv[1]))
