"""The made-up term is one that the service could have written."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import pytest_asyncio

from eventstore.codec import decode_event, encode
from eventstore.connections import Connection, connect
from eventstore.dialogue_events import (
    ConversationCompleted,
    ConversationStarted,
    ReplyCancelled,
    ReplyCompleted,
    ReplyFailed,
)
from eventstore.envelope import Metadata
from eventstore.events import AnyEvent
from eventstore.privacy_events import TextExpired
from eventstore.sealing.verify_log import TrustAnchors, verify_log
from projections.parallel_build import silent
from service.dialogue.state import fold
from tests.bench.term import Term, write_term
from tests.bench.term.founding import found
from tests.bench.term.plan import START, shares
from tests.bench.term.writing import history
from tests.databases import TEMPLATE, cloned_database
from tests.running import Service, read_log, running_service
from tests.service.histories import assert_lawful

SMALL = Term(events=3_000, courses=6, accounts=2, days=14)
LARGER = Term(events=30_000, courses=20, accounts=3, days=56, seed=2)
MESSAGES = """
SELECT conversation_id, count(*) FROM read.conversation_messages WHERE account_id = 1 GROUP BY 1
"""
ACTIVE = "SELECT conversation_id FROM read.active_conversations WHERE account_id = 1"

Rows = Sequence[tuple[Any, ...]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def written(server_url: str) -> AsyncIterator[str]:
    """The URL of a database with a small term, which these tests share."""
    async with cloned_database(server_url, TEMPLATE) as url:
        await write_term(url, SMALL)
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def auditor(written: str) -> AsyncIterator[Connection]:
    connection = await connect(written, "colloquy_auditor")
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
def larger() -> Rows:
    """The events of a larger term, which is written nowhere."""
    return events_of(LARGER)


def events_of(term: Term) -> Rows:
    houses = [found(term, share) for share in shares(term)]
    return [row for house in houses for batch in history(house) for row in batch.events]


def fingerprint(term: Term) -> bytes:
    """Of all rows of a term, texts and salts included."""
    whole = sha256()
    for share in shares(term):
        for batch in history(found(term, share)):
            whole.update(repr((batch.events, batch.texts, batch.gone)).encode())
    return whole.digest()


def test_the_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    assert fingerprint(SMALL) == fingerprint(SMALL)
    other = msgspec.structs.replace(SMALL, seed=2)
    assert fingerprint(other) != fingerprint(SMALL)


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_term_has_as_many_events_as_were_asked_for(seed: int) -> None:
    term = Term(seed=seed, events=2_500, courses=5, accounts=3, days=14)
    rows = events_of(term)
    assert len(rows) == 2_500
    for share in shares(term):
        own = [row for row in rows if row[0] == share.account_id]
        assert [row[1] for row in own] == list(range(1, share.events + 1))
        assert all(one[-1] <= other[-1] for one, other in pairwise(own))


def test_every_event_is_one_of_the_services_own(larger: Rows) -> None:
    for row in larger:
        event = decode_event(row[7])
        assert encode(event) == row[7]
        assert getattr(event, "conversation_id", None) == row[6]
        msgspec.json.decode(row[8], type=Metadata)


def test_every_kind_of_event_happens(larger: Rows) -> None:
    kinds = {str(kind.__struct_config__.tag) for kind in get_args(AnyEvent)}
    assert {row[5] for row in larger} == kinds


def test_work_has_a_rhythm(larger: Rows) -> None:
    """Few work at night, and more before a deadline than long before it."""
    asked = [row[-1] for row in larger if row[5] == "message_posted.v1"]
    hours = Counter(moment.hour for moment in asked)
    assert sum(hours[n] for n in range(1, 5)) * 5 < sum(hours[n] for n in range(18, 22))
    days = Counter((moment - START).days for moment in asked)
    assert max(days.values()) > 3 * min(days.get(n, 0) for n in range(3, LARGER.days))


def test_things_go_wrong_in_proportion(larger: Rows) -> None:
    """Most replies come at once; some after retries or from a fallback, some never."""
    events = [decode_event(row[7]) for row in larger]
    kinds = Counter(type(event).__name__ for event in events)
    assert 0.85 < kinds["ReplyCompleted"] / kinds["MessagePosted"] < 0.99
    assert 0.8 < kinds["ConversationStarted"] / kinds["OpeningRequested"] < 0.995
    replies = [event.reply for event in events if isinstance(event, ReplyCompleted)]
    assert 0.01 < sum(reply.attempts > 1 for reply in replies) / len(replies) < 0.15
    assert any(reply.fallback for reply in replies)
    assert any(reply.cost_microusd is None for reply in replies)
    assert any(reply.usage.cache_read_input_tokens > 2_000 for reply in replies)


def test_turns_conversations_and_texts_end_for_every_reason(larger: Rows) -> None:
    events = [decode_event(row[7]) for row in larger]
    codes = {event.code for event in events if isinstance(event, ReplyFailed)}
    assert {"model_overloaded", "abandoned"} <= codes
    cancelled = {event.reason for event in events if isinstance(event, ReplyCancelled)}
    assert cancelled == {"conversation_completed", "requested"}
    completed = {event.reason for event in events if isinstance(event, ConversationCompleted)}
    assert completed == {"superseded", "deleted"}
    assert {e.rule for e in events if isinstance(e, TextExpired)} == {"erasure", "course"}


@pytest.mark.asyncio(loop_scope="module")
async def test_the_log_is_one_that_verifies(auditor: Connection, tmp_path: Path) -> None:
    for share in shares(SMALL):
        report = await verify_log(auditor, share.account_id, TrustAnchors([], tmp_path), silent)
        assert (report.problem, report.events) == (None, share.events)
        assert report.removed
        assert report.texts > share.events / 5


@pytest.mark.asyncio(loop_scope="module")
async def test_the_log_is_lawful_and_the_views_stand_for_it(
    written: str, auditor: Connection
) -> None:
    log = await read_log(written)
    assert_lawful(log, ended=False)
    shown = {row[0]: row[1] for row in await auditor.fetch(MESSAGES)}
    active = await auditor.fetch(ACTIVE)
    dialogues = {e.stream for e in log if e.stream.startswith("dialogue-")}
    states = [fold(e for e in log if e.stream == stream) for stream in dialogues]
    wanted = {s.active.id: len(s.active.messages) for s in states if s.active}
    assert wanted == {row[0]: shown[row[0]] for row in active}
    assert len(wanted) > 10


@pytest.mark.asyncio(loop_scope="module")
async def test_the_service_goes_on_where_the_term_has_ended(server_url: str) -> None:
    async with cloned_database(server_url, TEMPLATE) as url:
        await write_term(url, SMALL)
        async with running_service(url) as service:
            await _goes_on(service)


async def _goes_on(service: Service) -> None:
    last = await service.head()
    opened = await service.open()
    started = [e.event for e in await service.history() if isinstance(e.event, ConversationStarted)]
    assert opened["id"] == max(event.conversation_id for event in started)
    status, answer = await service.say(opened["id"], "It follows from the axis.")
    assert (status, len(answer["messages"])) == (200, 4)
    assert await service.active() == answer
    assert (await service.history(after=last))[0].position == last + 1
