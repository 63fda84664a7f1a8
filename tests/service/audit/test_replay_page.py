"""The page of a replay: complete, without external resources, with escaped texts."""

import re
from collections.abc import AsyncIterator
from html import unescape

import pytest

from service.audit.replay_page import PAGE
from tests.fake_anthropic import FakeAnthropic, Speech
from tests.running import CONVERSATIONS, Service, running_service

AUDITOR = 900
NASTY = "<script>alert('x')</script> & \"quoted\" <img src=x onerror=y> $number ${steps}"
AS_PAGE = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
async def service(demo_url: str) -> AsyncIterator[Service]:
    async with (
        FakeAnthropic(Speech(pieces=(NASTY,))) as fake,
        running_service(demo_url, anthropic_base_url=fake.url) as running,
    ):
        yield running


async def page_of(service: Service, number: int) -> tuple[str, str]:
    """The page of a conversation, and its content security policy."""
    path = f"/api/v1/audit/conversations/{number}/replay"
    response = await service.request("GET", path, user=AUDITOR, headers=AS_PAGE)
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    return await response.text(), response.headers["Content-Security-Policy"]


async def test_texts_are_escaped(service: Service) -> None:
    number = (await service.open())["id"]
    assert (await service.say(number, NASTY))[0] == 200
    path = f"{CONVERSATIONS}/{number}"
    reply = (await service.active())["messages"][1]["id"]
    vote = {"vote": "liked", "feedback_message": NASTY}
    assert (await service.call("POST", f"{path}/messages/{reply}/feedback", json=vote))[0] == 200
    page, _ = await page_of(service, number)
    tags = set(re.findall(r"<(\w+)", page))
    assert not tags & {"script", "img", "iframe", "link", "form", "a"}
    assert not re.search(r"<[^>]*\s(on\w+|src|href)\s*=", page)
    assert unescape(page).count(NASTY) >= 6


async def test_the_page_is_complete_and_loads_nothing(service: Service) -> None:
    number = (await service.open())["id"]
    page, policy = await page_of(service, number)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert PAGE.style in page
    assert "url(" not in page
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    for heading in ("What the learner saw", "The experience that it keeps", "Step by step"):
        assert heading in page
