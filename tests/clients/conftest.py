"""A service whose model can be made to wait, for clients that block; packages from npm."""

import asyncio
import fcntl
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from eventstore.connections import connect
from service.identity.tokens import create_token
from tests.clients.programs import program, run
from tests.databases import HOME, cloned_database
from tests.fake_anthropic import Behaviour, FakeAnthropic, Received, Speech, Stall
from tests.running import TEACHER, Service, running_service

SOURCES = Path(__file__).parent / "npm"

LIMIT = 5
"""Conversations that a user may create in a day."""

SCOPE = "url:GET|/api/v1/courses/:course_id/ai_experiences/:ai_experience_id/conversations"


class Replies:
    """Replies; one stays unfinished where the learner asks for that, but not its retry."""

    def __init__(self) -> None:
        self._unfinished: set[str] = set()

    def __call__(self, received: Received) -> Behaviour:
        """The reply to a request."""
        asked = str(received.body["messages"])
        if "Hold on" not in asked or asked in self._unfinished:
            return Speech()
        self._unfinished.add(asked)
        return Stall(after=1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fake() -> AsyncIterator[FakeAnthropic]:
    async with FakeAnthropic(default=Replies()) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(fake: FakeAnthropic, server_url: str) -> AsyncIterator[Service]:
    """The token "admin" is an administrator's; "reader" may only read conversations."""
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url, anthropic_base_url=fake.url, max_creates=LIMIT) as running,
    ):
        connection = await connect(database_url)
        running.tokens["admin"] = await create_token(connection, 1, TEACHER, admin=True)
        running.tokens["reader"] = await create_token(connection, 1, TEACHER, (SCOPE,))
        await connection.close()
        yield running


@pytest.fixture(scope="session")
def installed() -> Path:
    """The packages of the lock file, installed once for all processes of the run."""
    npm, folder = program("npm"), Path(os.environ[HOME]) / "npm"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "node_modules").exists():
            draft = shutil.copytree(SOURCES, folder.with_suffix(".draft"), dirs_exist_ok=True)
            install = (npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
            asyncio.run(run(*install, folder=draft, environment=dict(os.environ)))
            draft.rename(folder)
    return folder
