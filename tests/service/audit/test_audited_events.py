"""The events that an auditor gets, compared with a plain filter over the whole log."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from itertools import combinations, count
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from yarl import URL

from eventstore.codec import decode_event
from eventstore.connections import connect
from eventstore.dialogue_events import OpeningRequested
from eventstore.envelope import NewEvent, RecordedEvent
from eventstore.events import type_name
from eventstore.experience_events import ExperienceCreated
from eventstore.privacy_events import HistoryRead, HoldPlaced, RetentionRuleSet
from eventstore.running_log import running_log
from tests.databases import cloned_database
from tests.eventstore.building import add_account, append, append_steps, history, message
from tests.running import Service, eventually, running_service

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUDITOR = 900
EVENTS = "/api/v1/audit/events"
HISTORIES = (3, 4)
READ = "history_read.v1"
HOLDS = count(1_000_000)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(server_url: str) -> AsyncIterator[Service]:
    """A service whose log has some random histories."""
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url) as running,
    ):
        async with running_log(database_url) as (log, _, _):
            for seed in HISTORIES:
                await append_steps(log, history(seed))
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def events(service: Service) -> list[RecordedEvent]:
    """The log before any read."""
    return await service.history()


class Owners:
    """The learner, course and experience of each conversation, from its first event."""

    def __init__(self, events: list[RecordedEvent]) -> None:
        self.opened = {
            e.event.conversation_id: e.event
            for e in events
            if isinstance(e.event, OpeningRequested)
        }
        self.courses = {
            e.event.experience_id: e.event.course_id
            for e in events
            if isinstance(e.event, ExperienceCreated)
        }

    def of(self, event: RecordedEvent, field: str) -> object:
        number = getattr(event.event, "conversation_id", None)
        if number in self.opened:
            return getattr(self.opened[number], field)
        if field == "user_id" and not event.stream.startswith(("learner-", "access-")):
            return None
        return getattr(event.event, field, None)


Rule = Callable[[RecordedEvent], bool]


def rules_of(events: list[RecordedEvent]) -> dict[str, tuple[list[tuple[str, str]], Rule]]:
    """Filters by name: as query parameters, and as plain Python."""
    owners = Owners(events)
    chance = random.Random(5)
    number = chance.choice(sorted(owners.opened))
    opened = owners.opened[number]
    early, late = sorted(chance.sample(range(len(events)), 2))
    since, until = events[early].recorded_at, events[late].recorded_at
    types = ("message_posted.v1", "experience_edited.v1")
    return {
        "conversation": (
            [("conversation_id", str(number))],
            lambda e: getattr(e.event, "conversation_id", None) == number,
        ),
        "learner": (
            [("user_id", str(opened.user_id))],
            lambda e: owners.of(e, "user_id") == opened.user_id,
        ),
        "experience": (
            [("experience_id", str(opened.experience_id))],
            lambda e: owners.of(e, "experience_id") == opened.experience_id,
        ),
        "course": (
            [("course_id", str(opened.course_id))],
            lambda e: owners.of(e, "course_id") == opened.course_id,
        ),
        "types": ([("type", t) for t in types], lambda e: type_name(e.event) in types),
        "actor": ([("actor_id", "101")], lambda e: e.metadata.actor.id == 101),
        "from": ([("from", since.isoformat())], lambda e: e.recorded_at >= since),
        "to": ([("to", until.isoformat())], lambda e: e.recorded_at <= until),
        "after": ([("after", str(early))], lambda e: e.position > early),
    }


def matching(events: list[RecordedEvent], *rules: Rule) -> list[int]:
    """Positions of the events that match all rules, without reads by other tests."""
    return [
        e.position
        for e in events
        if not isinstance(e.event, HistoryRead) and all(rule(e) for rule in rules)
    ]


def positions(found: list[dict[str, Any]], known: list[RecordedEvent]) -> list[int]:
    """Positions without later events of the service, such as ends of abandoned turns."""
    return [event["position"] for event in found if event["position"] <= len(known)]


async def lines(service: Service, *parameters: tuple[str, str]) -> list[dict[str, Any]]:
    """The matching events as lines, without the reads that these requests recorded."""
    response = await service.request(
        "GET",
        EVENTS,
        user=AUDITOR,
        params=parameters,
        headers={"Accept": "application/x-ndjson"},
    )
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/x-ndjson"
    found = [msgspec.json.decode(line) for line in (await response.text()).split("\n") if line]
    return [event for event in found if event["type"] != READ]


async def pages(service: Service, size: int, *parameters: tuple[str, str]) -> list[dict[str, Any]]:
    """The same page by page, by the links."""
    path, asked = EVENTS, [*parameters, ("per_page", str(size))]
    found: list[dict[str, Any]] = []
    while True:
        response = await service.request("GET", path, user=AUDITOR, params=asked)
        assert response.status == 200
        page = await response.json()
        assert len(page) <= size
        found += page
        link = response.links.get("next")
        if link is None:
            return [event for event in found if event["type"] != READ]
        url = URL(str(link["url"]))
        assert str(url.origin()) == service.url
        path, asked = url.path, list(url.query.items())


async def test_each_filter_returns_the_events_of_a_plain_one(
    service: Service, events: list[RecordedEvent]
) -> None:
    for name, (asked, rule) in rules_of(events).items():
        expected = matching(events, rule)
        assert expected, name
        assert positions(await lines(service, *asked), events) == expected, name
        size = 100 if len(expected) > 100 else 7
        assert positions(await pages(service, size, *asked), events) == expected, name


async def test_two_filters_return_the_events_that_match_both(
    service: Service, events: list[RecordedEvent]
) -> None:
    found = 0
    for (_, (one, first)), (_, (other, second)) in combinations(rules_of(events).items(), 2):
        expected = matching(events, first, second)
        found += bool(expected)
        assert positions(await lines(service, *one, *other), events) == expected
    assert found > 20


async def test_the_whole_log_as_lines_is_the_log(
    service: Service, events: list[RecordedEvent]
) -> None:
    found = await lines(service)
    assert len(found) >= len(events)
    for line, event in zip(found, events, strict=False):
        assert line["position"] == event.position
        assert (line["stream"], line["revision"]) == (event.stream, event.revision)
        assert line["event_id"] == str(event.event_id)
        assert decode_event(msgspec.json.encode(line["data"]).decode()) == event.event
        assert msgspec.convert(line["metadata"], type(event.metadata)) == event.metadata
        assert line["content"] == event.content
        assert line["content_hash"] == (event.content_hash and event.content_hash.hex())
        assert line["erased"] is event.erased
        assert msgspec.convert(line["recorded_at"], type(event.recorded_at)) == event.recorded_at


async def test_another_institutions_events_are_not_returned(
    service: Service, events: list[RecordedEvent]
) -> None:
    connection = await connect(service.database_url)
    await add_account(connection, 2)
    await connection.close()
    async with running_log(service.database_url) as (log, _, _):
        await append(log, "dialogue-1-777", message("Foreign", 777, 777), account_id=2)
    assert await lines(service, ("conversation_id", "777")) == []
    assert await lines(service, ("user_id", "777")) == []
    path = "/api/v1/audit/conversations/777/replay"
    assert (await service.call("GET", path, user=AUDITOR))[0] == 404


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ("course_id=x", "course_id"),
        ("user_id=0", "user_id"),
        ("conversation_id=-1", "conversation_id"),
        ("actor_id=99999999999999999999", "actor_id"),
        ("from=yesterday", "from"),
        ("to=2031-13-01", "to"),
        ("after=x", "after"),
        ("per_page=0", "per_page"),
        ("type=%00", "type"),
        ("colour=red", "colour"),
        ("after=1&after=2", "after"),
    ],
)
async def test_an_invalid_parameter_is_named_and_nothing_is_recorded(
    service: Service, parameters: str, named: str
) -> None:
    head = await service.head()
    status, body = await service.call("GET", f"{EVENTS}?{parameters}", user=AUDITOR)
    assert (status, named in body["error"]) == (400, True), body
    assert not any(isinstance(e.event, HistoryRead) for e in await service.history(head))


def hold(user: int) -> NewEvent:
    return NewEvent(event=HoldPlaced(hold_id=next(HOLDS), user_id=user, reason="A case"))


def rule(course: int) -> NewEvent:
    return NewEvent(event=RetentionRuleSet(course_id=course, days=9))


class Tail:
    """A live tail of the log, read in the background."""

    def __init__(self, service: Service, after: int, **query: str) -> None:
        self.frames: list[tuple[int, Any]] = []
        self.ended = False
        self._task = asyncio.create_task(self._read(service, after, query))

    async def _read(self, service: Service, after: int, query: dict[str, str]) -> None:
        headers = {
            "Accept": "text/event-stream",
            "Last-Event-ID": str(after),
            "Authorization": f"Bearer {service.tokens[str(AUDITOR)]}",
        }
        url = service.url + EVENTS
        async with service._http.get(url, headers=headers, params=query) as response:
            assert response.status == 200
            assert response.content_type == "text/event-stream"
            fields: dict[str, str] = {}
            while line := await response.content.readline():
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                elif "data" in fields:
                    event = msgspec.json.decode(fields["data"])
                    self.frames.append((int(fields["id"]), event))
                    fields = {}
        self.ended = True

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


async def test_a_tail_sends_each_event_once_during_many_appends(service: Service) -> None:
    start = await service.head()
    tail = Tail(service, start - 20)
    async with running_log(service.database_url) as (log, _, _):

        async def storm(user: int) -> None:
            for _ in range(40):
                await append(log, f"learner-{user}", hold(user))

        await asyncio.gather(*(storm(3000 + n) for n in range(20)))
        head = await service.head()
    await eventually(lambda: bool(tail.frames) and tail.frames[-1][0] >= head)
    middle = len(tail.frames) // 2
    first = start - 19
    assert [number for number, _ in tail.frames] == list(range(first, first + len(tail.frames)))
    assert all(number == event["position"] for number, event in tail.frames)
    again = Tail(service, tail.frames[middle][0])
    await eventually(lambda: bool(again.frames) and again.frames[-1][0] >= head)
    rest = tail.frames[middle + 1 :]
    assert again.frames[: len(rest)] == rest
    await tail.close()
    await again.close()


async def test_a_tail_with_filters_sends_only_matching_events(service: Service) -> None:
    head = await service.head()
    tail = Tail(service, head, user_id="4444", type="hold_placed.v1")
    async with running_log(service.database_url) as (log, _, _):
        for user in (4444, 4445, 4444):
            await append(log, f"learner-{user}", hold(user), rule(user))
    await eventually(lambda: len(tail.frames) == 2)
    assert {event["stream"] for _, event in tail.frames} == {"learner-4444"}
    await tail.close()


async def test_a_tail_ends_in_order_when_the_service_stops(demo_url: str) -> None:
    async with running_service(demo_url) as service:
        tail = Tail(service, 0)
        await eventually(lambda: bool(tail.frames))
        assert service.stop
        service.stop()
        await eventually(lambda: tail.ended)


async def test_a_tail_to_a_time_is_refused(service: Service) -> None:
    status, body = await service.call(
        "GET",
        f"{EVENTS}?to=2031-01-01",
        user=AUDITOR,
        headers={"Accept": "text/event-stream"},
    )
    assert (status, "to cannot be given" in body["error"]) == (400, True)


async def test_a_from_time_between_two_events_returns_the_later_ones(
    service: Service, events: list[RecordedEvent]
) -> None:
    moment = events[50].recorded_at + timedelta(microseconds=1)
    found = await lines(service, ("from", moment.isoformat()))
    expected = matching(events, lambda e: e.recorded_at >= moment)
    assert positions(found, events) == expected
