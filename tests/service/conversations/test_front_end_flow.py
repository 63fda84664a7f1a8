"""A chat front end's exchanges, as they were recorded, replayed against the service.

In `exchanges/*.json`, an expected value may be a pattern: `$int`, `$uuid`, `$time` or `$text`,
with `:name` to remember what came; `{name}` stands for what was remembered. A body must have the
fields that are named and no others.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.conversations.turn_stream import LAST_ID
from tests.fake_anthropic import FakeAnthropic, covering
from tests.running import TEACHER, Service, running_service
from tests.service.conversations.test_handlers import MOMENT, UUID

EXCHANGES = sorted((Path(__file__).parent / "exchanges").glob("*.json"))
EXPERIENCES = "/api/v1/courses/1/ai_experiences"
EXPERIENCE = {
    "title": "Seasons",
    "learning_objective": "Explain winter\nCompare the hemispheres",
    "pedagogical_guidance": "Begin outside.",
    "workflow_state": "published",
}
PATTERNS = {"uuid": UUID, "time": MOMENT, "text": re.compile(r"(?s).+")}
NAME = re.compile(r"\{([^}]+)\}")


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the front end sends."""

    method: str
    path: str
    headers: dict[str, str] = {}
    body: dict[str, str] | None = None


class Streamed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What comes as events; `deltas` is the text of all of them."""

    accepted: Any
    deltas: str
    done: Any


class Response(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What it must get."""

    status: int
    body: Any = None
    events: Streamed | None = None


class Exchange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`judgement` lists (objective, message) that the model finds covered."""

    what: str
    request: Request
    response: Response
    judgement: list[tuple[int, int]] | None = None


class Recording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file."""

    description: str
    exchanges: list[Exchange]


class Names:
    """What was remembered, by name."""

    def __init__(self, **known: Any) -> None:
        self._known = known

    def fill(self, text: str) -> str:
        """The text with names replaced by what they stand for."""
        return NAME.sub(lambda found: str(self._known[found[1]]), text)

    def check(self, expected: Any, given: Any, where: str) -> None:
        """Compares, and remembers what is named."""
        match expected:
            case dict():
                assert isinstance(given, dict), where
                assert set(given) == set(expected), where
                for name, value in expected.items():
                    self.check(value, given[name], f"{where}.{name}")
            case list():
                assert isinstance(given, list), where
                assert len(given) == len(expected), where
                for number, value in enumerate(expected):
                    self.check(value, given[number], f"{where}[{number}]")
            case str() if expected.startswith("$"):
                self._match(expected[1:], given, where)
            case str() if found := NAME.fullmatch(expected):
                assert given == self._known[found[1]], where
            case _:
                assert (type(given), given) == (type(expected), expected), where

    def _match(self, pattern: str, given: Any, where: str) -> None:
        kind, _, name = pattern.partition(":")
        if kind == "int":
            assert type(given) is int, where
        else:
            assert PATTERNS[kind].fullmatch(given), where
        if name:
            assert name not in self._known, f"{where}: {name} is taken"
            fresh = kind == "text" or given not in self._known.values()
            assert fresh, f"{where}: {given} was there before"
            self._known[name] = given


def events_in(text: str) -> Iterator[tuple[int, str, Any]]:
    """Id, name and data of a stream's events."""
    for block in text.strip().split("\n\n"):
        if not block.startswith(":"):
            number, name, data = (line.partition(": ")[2] for line in block.splitlines())
            yield int(number), name, msgspec.json.decode(data)


def check_events(names: Names, expected: Streamed, text: str, what: str) -> None:
    numbers, kinds, data = zip(*events_in(text), strict=True)
    assert numbers == (*range(1, len(numbers)), LAST_ID), what
    assert kinds == ("accepted", *["delta"] * (len(kinds) - 2), "done"), what
    names.check(expected.accepted, data[0], f"{what}: accepted")
    said = "".join(delta["text"] for delta in data[1:-1])
    names.check(expected.deltas, said, f"{what}: deltas")
    names.check(expected.done, data[-1], f"{what}: done")


async def replay(service: Service, base: str, user: int, names: Names, exchange: Exchange) -> None:
    asked, expected = exchange.request, exchange.response
    response = await service.request(
        asked.method,
        base + names.fill(asked.path),
        user=user,
        headers=asked.headers,
        json=asked.body,
    )
    text = await response.text()
    assert response.status == expected.status, (exchange.what, text)
    if expected.events:
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        check_events(names, expected.events, text, exchange.what)
    else:
        assert response.headers["Content-Type"] == "application/json; charset=utf-8"
        names.check(expected.body, msgspec.json.decode(text), exchange.what)


@pytest.mark.parametrize("path", EXCHANGES, ids=lambda path: path.stem)
async def test_the_exchanges_are_as_they_were_recorded(path: Path, demo_url: str) -> None:
    recording = msgspec.json.decode(path.read_bytes(), type=Recording)
    assert recording.exchanges
    async with (
        FakeAnthropic() as fake,
        running_service(demo_url, anthropic_base_url=fake.url) as service,
    ):
        _, made = await service.call("POST", EXPERIENCES, user=TEACHER, json=EXPERIENCE)
        learner = await service.enroll()
        names = Names(**{"learner": learner, "learner as text": str(learner)})
        for exchange in recording.exchanges:
            if exchange.judgement is not None:
                fake.script_judgements(covering(*exchange.judgement))
            await replay(service, f"{EXPERIENCES}/{made['id']}", learner, names, exchange)


def test_there_are_recordings() -> None:
    assert EXCHANGES
