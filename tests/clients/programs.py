"""Programs from elsewhere that drive the service."""

import asyncio
import shutil
from pathlib import Path

import pytest

PACKAGES = {
    "node": "install Node.js 18.17 or newer with npm (Debian: nodejs and npm)",
    "npm": "install Node.js 18.17 or newer with npm (Debian: nodejs and npm)",
    "chromium": "install a Chromium browser (Debian: chromium)",
}


def program(name: str) -> str:
    """The path of a program; without it the test fails, for nobody notices what is skipped."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"{name} is not there: {PACKAGES[name]}")
    return path


async def run(*command: str, folder: Path, environment: dict[str, str]) -> str:
    """What a program writes, which must end well."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(240):
            out, _ = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, out.decode()
    return out.decode()
