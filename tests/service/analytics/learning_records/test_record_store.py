"""Deliveries to a store that is slow, refuses records, disconnects, or has them already."""

import asyncio
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import aiohttp
import pytest
from structlog.testing import capture_logs

from service.analytics.errors import ExportStopped, StatementsRefused
from service.analytics.learning_records.batches import Batch, Format, Record
from service.analytics.learning_records.http_client import authorization_of
from service.analytics.learning_records.record_store import Erased, RecordStore, includes_all_of
from service.analytics.learning_records.retry_delays import RetryDelays
from service.errors import SettingsError
from tests.running import address_of, eventually
from tests.service.analytics.course_history import NAMES
from tests.service.analytics.learning_records.store import TOKEN, Fault, Store, running_store

QUICK = RetryDelays(attempts=4, first=0.001, longest=0.01, longest_asked=0.01)
STAMP = "2026-01-02T03:04:05.000006Z"


async def nobody(_people: Collection[int], _position: int) -> frozenset[int]:
    return frozenset()


def record(number: int, what: str = "done") -> Record:
    """The record of an event at a position, about a user."""
    event_id = f"00000000-0000-7000-8000-{number:012}"
    line = f'{{"id":"{event_id}","what":"{what}","timestamp":"{STAMP}"}}'
    return Record(event_id, number, line.encode(), frozenset({number}))


def batch(*numbers: int) -> Batch:
    return Batch([record(number) for number in numbers], max(numbers))


@asynccontextmanager
async def posting(
    store: Store,
    kind: Format = "xapi",
    secret: str | None = None,
    stop: asyncio.Event | None = None,
    delays: RetryDelays = QUICK,
    url: str | None = None,
    erased: Erased = nobody,
) -> AsyncIterator[RecordStore]:
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        yield RecordStore(
            http,
            url or (store.xapi if kind == "xapi" else store.caliper),
            kind,
            NAMES,
            authorization_of(secret),
            erased,
            stop or asyncio.Event(),
            delays,
        )


async def test_a_batch_is_one_request_with_version_and_credentials() -> None:
    async with running_store() as store, posting(store, secret="user:pässword") as to:
        await to.deliver(batch(1, 2, 3))
        assert list(store.records) == [record(n).id for n in (1, 2, 3)]
        [headers] = store.requests
        assert headers["X-Experience-API-Version"] == "1.0.3"
        assert headers["Authorization"] == "Basic dXNlcjpww6Rzc3dvcmQ="
        assert headers["Content-Type"] == "application/json"


async def test_an_empty_batch_sends_no_request() -> None:
    async with running_store() as store, posting(store) as to:
        await to.deliver(Batch([], 9))
        assert store.requests == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault(503),
        Fault(500),
        Fault(429, {"Retry-After": "0"}),
        Fault(429, {"Retry-After": "3600"}),
        Fault(408),
        Fault(cut="before"),
        Fault(cut="after"),
    ],
    ids=str,
)
async def test_temporary_errors_are_retried(fault: Fault) -> None:
    async with running_store() as store, posting(store) as to:
        store.faults = [fault, fault]
        await to.deliver(batch(1, 2))
        assert len(store.records) == 2
        assert len(store.requests) == 3


async def test_a_store_that_does_not_recover_ends_the_export() -> None:
    async with running_store() as store, posting(store) as to:
        store.faults = [Fault(503, body="under\nrepair")] * 9
        with pytest.raises(StatementsRefused, match=r"after 4 attempts: 503: under repair"):
            await to.deliver(batch(1))
        assert len(store.requests) == QUICK.attempts


async def test_an_unreachable_store_ends_the_export() -> None:
    """Its port is bound, so that no other process uses it, and nobody listens on it."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        async with posting(Store(), url=f"{address_of(deaf)}/xapi/") as to:
            with pytest.raises(StatementsRefused, match="after 4 attempts"):
                await to.deliver(batch(1))


async def test_a_stop_ends_the_wait_before_a_retry() -> None:
    stop = asyncio.Event()
    delays = RetryDelays(first=3600, longest=3600)
    async with running_store() as store, posting(store, stop=stop, delays=delays) as to:
        store.faults = [Fault(503)]
        sending = asyncio.create_task(to.deliver(batch(1)))
        await eventually(lambda: bool(store.requests))
        stop.set()
        with pytest.raises(ExportStopped):
            await asyncio.wait_for(sending, 10)


async def test_retries_are_logged() -> None:
    with capture_logs() as told:
        async with running_store() as store, posting(store) as to:
            store.faults = [Fault(503, body="under repair"), Fault(cut="before")]
            await to.deliver(batch(1))
    assert [(line["event"], line["attempt"], line["of"]) for line in told] == [
        ("store_tried_again", 1, QUICK.attempts),
        ("store_tried_again", 2, QUICK.attempts),
    ]
    assert told[0]["answer"] == "503: under repair"
    assert told[0]["store"] == f"{store.xapi}statements"


async def test_people_erased_meanwhile_are_left_out_of_the_next_attempt() -> None:
    asked: list[tuple[set[int], int]] = []

    async def erased(people: Collection[int], position: int) -> frozenset[int]:
        asked.append((set(people), position))
        return frozenset({2, 9}) if len(asked) > 1 else frozenset()

    async with running_store() as store, posting(store, erased=erased) as to:
        store.faults = [Fault(503)]
        assert await to.deliver(batch(1, 2, 3)) == 2
        assert list(store.records) == [record(1).id, record(3).id]
    assert asked == [({1, 2, 3}, 3)] * 2


async def test_a_batch_of_erased_people_sends_no_request() -> None:
    async def erased(people: Collection[int], _position: int) -> frozenset[int]:
        return frozenset(people)

    async with running_store() as store, posting(store, erased=erased) as to:
        assert await to.deliver(batch(1, 2)) == 0
        assert store.requests == []


async def test_the_look_up_of_a_known_statement_is_retried() -> None:
    async with running_store() as store, posting(store) as to:
        await to.deliver(batch(1))
        store.knows_ids, store.given_once = True, [Fault(503), Fault(cut="before")]
        assert await to.deliver(batch(1)) == 1


async def test_a_statement_with_other_content_under_the_id_is_named() -> None:
    async with running_store() as store, posting(store) as to:
        store.records[record(5).id] = {"id": record(5).id, "what": "something else"}
        with pytest.raises(StatementsRefused, match=record(5).id) as refused:
            await to.deliver(batch(1, 2, 3, 4, 5, 6, 7))
        assert "position 5" in str(refused.value)
        assert "other content" in str(refused.value)
        assert "\n" not in str(refused.value)
        assert store.records[record(5).id]["what"] == "something else"


async def test_known_statements_are_no_conflict() -> None:
    """Some stores refuse every known id."""
    async with running_store() as store, posting(store) as to:
        await to.deliver(batch(1, 2))
        store.knows_ids = True
        await to.deliver(batch(1, 2, 3, 4))
        assert len(store.records) == 4


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Fault(404), "the store refuses record .*: 409: there is another .*[0-9]$"),
        (Fault(500), r"409: there is another .* \(and asked for its version, .* 500\)"),
        (Fault(401), r"409: there is another .* \(and asked for its version, .* 401\)"),
        (Fault(200, body="<h1>"), "already, with other content"),
        (Fault(cut="before"), r"409: there is another .* it answered: .*isconnected\)"),
    ],
    ids=str,
)
async def test_a_conflict_is_explained(answer: Fault, told: str) -> None:
    async with running_store() as store, posting(store) as to:
        store.records[record(1).id] = {"id": record(1).id, "what": "something else"}
        store.given = answer
        with pytest.raises(StatementsRefused, match=told):
            await to.deliver(batch(1))


async def test_a_refused_record_is_named_with_the_stores_text() -> None:
    async with running_store() as store, posting(store) as to:
        store.faults = [Fault(400, body="bad verb")] * 9
        with pytest.raises(
            StatementsRefused, match=r"refuses record \S+1 \(position 1\): 400: bad"
        ):
            await to.deliver(batch(1, 2, 3))


async def test_a_batch_that_is_too_large_is_sent_in_parts() -> None:
    async with running_store() as store, posting(store) as to:
        store.faults = [Fault(413), None]
        await to.deliver(batch(1, 2, 3))
        assert len(store.records) == 3


@pytest.mark.parametrize("status", [401, 403])
async def test_credentials_are_never_repeated(status: int) -> None:
    secret = "colloquy:s3cret"
    async with running_store() as store, posting(store, secret=secret) as to:
        store.faults = [Fault(status, body=f"{secret} is wrong")]
        with pytest.raises(StatementsRefused, match="COLLOQUY_LRS_AUTH") as refused:
            await to.deliver(batch(1, 2))
        assert "s3cret" not in str(refused.value)


async def test_a_redirect_is_not_followed() -> None:
    """It would be requested with GET and the credentials."""
    async with running_store() as store, posting(store) as to:
        store.faults = [Fault(302, {"Location": "/elsewhere"})]
        with pytest.raises(StatementsRefused, match="302"):
            await to.deliver(batch(1))
        assert len(store.requests) == 1


async def test_an_answer_of_another_kind_of_server_is_refused() -> None:
    async with running_store() as store, posting(store) as to:
        store.faults = [Fault(200, body="<h1>Welcome</h1>")]
        with pytest.raises(StatementsRefused, match="is it a learning record store"):
            await to.deliver(batch(1))


OPEN = {
    "nothing": Fault(204),
    "an empty body": Fault(200),
    "no ids": Fault(200, body="[]"),
    "one of two": Fault(200, body=f'["{record(2).id}"]'),
    "ids in capitals, the other way round": Fault(
        200, body=f'["{record(2).id.upper()}", "{record(1).id.upper()}"]'
    ),
}


@pytest.mark.parametrize("answer", OPEN)
async def test_records_missing_from_an_answer_are_looked_up(answer: str) -> None:
    """A store may answer like this to statements that it has already."""
    async with running_store() as store, posting(store) as to:
        await to.deliver(batch(1, 2))
        store.faults = [OPEN[answer]]
        assert await to.deliver(batch(1, 2)) == 2
        assert len(store.records) == 2


async def test_a_success_without_stored_records_is_refused() -> None:
    async with running_store() as store, posting(store) as to:
        await to.deliver(batch(1))
        store.faults = [Fault(204)]
        with pytest.raises(StatementsRefused, match=r"position 2.*: 404.*learning record store"):
            await to.deliver(batch(1, 2))


async def test_another_statement_with_the_id_is_refused() -> None:
    async with running_store() as store, posting(store) as to:
        store.records[record(1).id] = {"id": record(1).id, "what": "something else"}
        store.faults = [Fault(204)]
        with pytest.raises(StatementsRefused, match="does not have it as it is"):
            await to.deliver(batch(1))


async def test_caliper_events_are_sent_in_an_envelope_with_a_token() -> None:
    async with running_store() as store, posting(store, "caliper", f"Bearer {TOKEN}") as to:
        store.faults = [Fault(503), None]
        await to.deliver(batch(1, 2))
        [sent] = store.envelopes
        assert [event["id"] for event in sent["data"]] == [record(n).id for n in (1, 2)]
        assert "X-Experience-API-Version" not in store.requests[0]


def test_credentials_have_two_forms() -> None:
    assert authorization_of(None) is None
    assert authorization_of("Bearer abc") == "Bearer abc"
    for wrong in ("abc", "Bearer a\nb:c", "Bearer "):
        with pytest.raises(SettingsError, match="COLLOQUY_LRS_AUTH") as refused:
            authorization_of(wrong)
        assert "abc" not in str(refused.value)


def test_waits_grow_to_a_maximum_and_a_store_may_ask_for_more() -> None:
    delays = RetryDelays(first=1, longest=60, longest_asked=600)
    pauses = [delays.pause(attempt, None) for attempt in range(1, 12)]
    assert all(0.5 * min(2.0**n, 60) <= pause <= min(2.0**n, 60) for n, pause in enumerate(pauses))
    assert [delays.pause(1, asked) for asked in (0, 300, 9_000, -5)] == [0, 300, 600, 0]


def test_a_store_may_add_to_a_statement_but_not_change_it() -> None:
    sent = {"id": "1", "at": "2026-01-01T00:00:00.000Z", "of": [{"a": 1.0}]}
    stored = {"id": "1", "at": "2026-01-01T01:00:00+01:00", "of": [{"a": 1, "b": 2}], "more": 3}
    assert includes_all_of(stored, sent)
    others: list[dict[str, object]] = [
        {"id": "2"},
        {"of": []},
        {"of": [{"a": 2}]},
        {"at": "2026-01-01T00:00:01Z"},
    ]
    for other in others:
        assert not includes_all_of(stored | other, sent)
    assert not includes_all_of({"id": "1"}, sent)
    assert not includes_all_of([], sent)
