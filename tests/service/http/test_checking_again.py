"""A request is carried out anew where what it rests on has changed, so long as it did nothing."""

from collections.abc import AsyncIterator
from typing import Literal

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from eventstore.errors import GuardBroken
from service.http.middleware import answer_errors, check_again, identify_and_log
from service.http.request_keys import RECORDED

Client = TestClient[web.Request, web.Application]


class Handler:
    """Is refused so often because of `changed`; tells how often it was called, with which body."""

    def __init__(self) -> None:
        self.changed: Literal["token", "role", "stream"] = "stream"
        self.refusals = 0
        self.recorded = False
        self.bodies: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.text())
        if self.recorded:
            request[RECORDED] = True
        if len(self.bodies) <= self.refusals:
            raise GuardBroken(self.changed)
        return web.Response(text="done")


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
async def client(handler: Handler) -> AsyncIterator[Client]:
    app = web.Application(middlewares=[identify_and_log, answer_errors, check_again])
    app.router.add_post("/", handler.answer)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize("refusals", [0, 1, 3])
async def test_what_changes_a_few_times_is_looked_at_again(
    client: Client, handler: Handler, refusals: int
) -> None:
    handler.refusals = refusals
    response = await client.post("/", data="body")
    assert response.status == 200
    assert handler.bodies == ["body"] * (refusals + 1)


async def test_what_changes_on_and_on_is_refused_and_is_no_error_of_ours(
    client: Client, handler: Handler
) -> None:
    handler.refusals = 100
    with capture_logs() as logs:
        response = await client.post("/", data="body")
    assert response.status == 503
    assert (await response.json())["code"] == "busy"
    assert len(handler.bodies) == 4
    assert [line for line in logs if line["log_level"] == "error"] == []


@pytest.mark.parametrize(("changed", "status"), [("token", 401), ("role", 403)])
async def test_what_is_plainly_lost_is_not_looked_at_again(
    client: Client, handler: Handler, changed: Literal["token", "role"], status: int
) -> None:
    handler.refusals, handler.changed = 1, changed
    assert (await client.post("/")).status == status
    assert len(handler.bodies) == 1


async def test_what_is_on_record_is_not_done_twice(client: Client, handler: Handler) -> None:
    handler.refusals, handler.recorded = 1, True
    assert (await client.post("/")).status == 503
    assert len(handler.bodies) == 1
