"""Appending to the log and reading from it."""

import asyncio
from datetime import timedelta
from hashlib import sha256
from uuid import uuid4

import msgspec
import pytest

from eventstore.connections import Connection
from eventstore.dialogue_events import ReplyFailed
from eventstore.envelope import NO_STREAM, Actor, Metadata, NewEvent
from eventstore.errors import AppendRefused, WrongExpectedRevision
from eventstore.log import EventLog
from tests.eventstore.building import (
    TEXTS,
    Learner,
    add_account,
    append,
    append_steps,
    dialogue,
    message,
    messages,
    positions,
    whole_log,
)
from tests.eventstore.log_reading import read_all, read_conversation

LOST_HALF = "\ud83d"  # of a surrogate pair: no UTF-8 has it


async def test_events_are_read_as_they_were_appended(log: EventLog) -> None:
    appended = await append(log, "s", *messages(3))
    assert await log.read_stream(1, "s") == appended
    assert await whole_log(log) == appended
    assert [event.revision for event in appended] == [1, 2, 3]
    assert positions(appended) == [1, 2, 3]


async def test_an_empty_log_has_head_0_and_no_events(log: EventLog) -> None:
    assert await log.head(1) == 0
    assert await whole_log(log) == []
    assert await log.read_stream(1, "s") == []


async def test_the_head_is_the_position_of_the_last_event(log: EventLog) -> None:
    await append(log, "s", *messages(3))
    await append(log, "t", message())
    assert await log.head(1) == 4


async def test_an_append_at_the_right_revision_succeeds(log: EventLog) -> None:
    await append(log, "s", *messages(2), expected=NO_STREAM)
    (third,) = await append(log, "s", message(), expected=2)
    assert third.revision == 3


async def test_an_append_without_an_expected_revision_succeeds_at_any(log: EventLog) -> None:
    for revision in (1, 2, 3):
        (event,) = await append(log, "s", message(), expected=None)
        assert event.revision == revision


@pytest.mark.parametrize("expected", [NO_STREAM, 1, 3, 2**40])
async def test_an_append_at_a_wrong_revision_stores_nothing_and_names_the_current_one(
    log: EventLog, expected: int
) -> None:
    before = await append(log, "s", *messages(2))
    with pytest.raises(WrongExpectedRevision) as failure:
        await append(log, "s", *messages(2), expected=expected)
    assert (failure.value.expected, failure.value.current) == (expected, 2)
    assert await whole_log(log) == before


async def test_an_append_to_a_stream_that_should_exist_and_does_not_is_refused(
    log: EventLog,
) -> None:
    with pytest.raises(WrongExpectedRevision) as failure:
        await append(log, "s", message(), expected=1)
    assert failure.value.current == 0


async def test_no_event_of_an_append_is_stored_if_one_is_bad(log: EventLog) -> None:
    with pytest.raises(AppendRefused):
        await append(log, "s", message(), message("\0"), message())
    assert await whole_log(log) == []
    (event,) = await append(log, "s", message(), expected=NO_STREAM)
    assert event.position == 1


async def test_an_append_without_events_is_refused(log: EventLog) -> None:
    with pytest.raises(ValueError, match="at least one event"):
        await append(log, "s")


async def test_an_append_for_an_unknown_account_is_refused_and_says_why(log: EventLog) -> None:
    with pytest.raises(AppendRefused, match="ForeignKeyViolationError 23503"):
        await append(log, "s", message(), account_id=99)


async def test_each_account_has_its_own_log(log: EventLog, owner: Connection) -> None:
    await add_account(owner, 2)
    mine = await append(log, "s", *messages(2))
    theirs = await append(log, "s", *messages(3), account_id=2)
    assert positions(theirs) == [1, 2, 3]
    assert await whole_log(log, 1) == mine
    assert await log.read_stream(2, "s") == theirs
    assert await read_conversation(log, 2, 1) == theirs


async def test_every_text_is_stored_byte_for_byte(log: EventLog, owner: Connection) -> None:
    texts = [*TEXTS, "\r\n\ufeff\u200f\U0010ffff", "ß" * 300_000]
    await append(log, "s", *map(message, texts))
    assert [event.content for event in await log.read_stream(1, "s")] == texts
    stored = await owner.fetch(
        "SELECT convert_to(content, 'UTF8') FROM event_content ORDER BY position"
    )
    assert [row[0] for row in stored] == [text.encode() for text in texts]


async def test_the_event_commits_to_its_content_with_a_salt(
    log: EventLog, owner: Connection
) -> None:
    (event,) = await append(log, "s", message("naïve 🧪"))
    row = await owner.fetchrow("SELECT salt, content, subject_id FROM event_content")
    assert row is not None
    assert len(row["salt"]) == 16
    assert row["subject_id"] == 101
    assert event.content_hash == sha256(row["salt"] + row["content"].encode()).digest()
    assert event.content_hash == await owner.fetchval("SELECT content_hash FROM events")


async def test_equal_texts_have_different_hashes(log: EventLog) -> None:
    first, second = await append(log, "s", message("Yes"), message("Yes"))
    assert first.content_hash != second.content_hash


async def test_an_event_without_content_has_no_hash_and_no_row_of_content(
    log: EventLog, owner: Connection
) -> None:
    (bare, empty) = await append(log, "s", message(None), message(""))
    assert (bare.content, bare.content_hash) == (None, None)
    assert empty.content == ""
    assert empty.content_hash is not None
    assert await owner.fetchval("SELECT array_agg(position) FROM event_content") == [2]


async def test_the_events_table_has_no_content(log: EventLog, owner: Connection) -> None:
    await append(log, "s", message("a very private thought"))
    assert "private" not in str(await owner.fetch("SELECT e::text FROM events e"))


async def test_the_metadata_of_an_event_is_stored(log: EventLog) -> None:
    metadata = Metadata(
        actor=Actor(5, "teacher"),
        token_id=7,
        request_id="r-1",
        causation_id=str(uuid4()),
        correlation_id="c-1",
        idempotency_key="again and again",
    )
    await append(log, "s", message(), metadata=metadata)
    (event,) = await log.read_stream(1, "s")
    kept = msgspec.structs.replace(metadata, idempotency_key=event.metadata.idempotency_key)
    assert event.metadata == kept
    assert str(event.metadata.idempotency_key).startswith("hmac-sha256 ")


async def test_an_event_keeps_the_id_that_it_was_given(log: EventLog) -> None:
    new = message()
    await append(log, "s", new)
    assert (await log.read_stream(1, "s"))[0].event_id == new.event_id


async def test_times_in_the_log_never_decrease_even_if_the_clock_does(
    log: EventLog, owner: Connection
) -> None:
    (first,) = await append(log, "s", message())
    ahead = first.recorded_at + timedelta(hours=1)
    await owner.execute("UPDATE log_heads SET recorded_at = $1", ahead)
    (second,) = await append(log, "s", message())
    assert second.recorded_at == ahead


async def test_a_stream_can_be_read_from_a_revision_on(log: EventLog) -> None:
    appended = await append(log, "s", *messages(4))
    await append(log, "t", message())
    assert await log.read_stream(1, "s", after=2) == appended[2:]
    assert await log.read_stream(1, "s", after=4) == []


async def test_a_stream_can_be_read_since_its_last_event_of_a_type(log: EventLog) -> None:
    learner = Learner()
    await append_steps(log, dialogue(learner))
    appended = await append_steps(log, [*dialogue(learner), learner.says()])
    read = await log.read_stream(1, learner.stream, since_last="conversation_started.v1")
    assert read == appended[2:]  # from the second start on, which ended the first conversation
    nothing_since = await log.read_stream(1, learner.stream, since_last="opening_failed.v1")
    assert nothing_since == await log.read_stream(1, learner.stream)


async def test_the_whole_log_is_read_in_pages(log: EventLog) -> None:
    appended = [*await append(log, "s", *messages(3)), *await append(log, "t", *messages(2))]
    assert await read_all(log, 1, limit=2) == appended[:2]
    assert await read_all(log, 1, after=2, limit=2) == appended[2:4]
    assert await read_all(log, 1, after=4, limit=2) == appended[4:]


async def test_one_conversation_is_read_in_pages_from_whatever_streams(log: EventLog) -> None:
    first = await append(log, "s", *messages(2, conversation_id=7))
    await append(log, "s", message(conversation_id=8))
    second = await append(log, "t", *messages(2, conversation_id=7))
    assert await read_conversation(log, 1, 7) == [*first, *second]
    assert await read_conversation(log, 1, 7, limit=3) == [*first, *second][:3]
    assert await read_conversation(log, 1, 7, after=second[0].position) == second[1:]


BAD_APPENDS = {
    "a NUL in the content": ("bad", message("a\0b")),
    "half a character in the content": ("bad", message(LOST_HALF)),
    "a NUL in the data": (
        "bad",
        NewEvent(event=ReplyFailed(conversation_id=1, turn_id="t", code="\0")),
    ),
    "a NUL in the stream": ("b\0d", message()),
    "a person beyond all numbers": ("bad", message(user_id=2**63)),
}


@pytest.mark.parametrize("bad", BAD_APPENDS)
async def test_a_bad_append_fails_alone_among_those_that_share_its_batch(
    log: EventLog, bad: str
) -> None:
    stream, event = BAD_APPENDS[bad]
    good = [append(log, f"s{n % 20}", *messages(1 + n % 2)) for n in range(50)]
    results = await asyncio.gather(
        *good[:20], append(log, stream, event), *good[20:], return_exceptions=True
    )
    refusals = [result for result in results if isinstance(result, BaseException)]
    assert [type(refusal) for refusal in refusals] == [AppendRefused]
    assert isinstance(results[20], AppendRefused)
    assert positions(await whole_log(log)) == list(range(1, 76))


@pytest.mark.parametrize("word", ["secret\0", f"secret{LOST_HALF}"])
async def test_a_refusal_does_not_quote_the_content(log: EventLog, word: str) -> None:
    with pytest.raises(AppendRefused) as refusal:
        await append(log, "s", message(word))
    error: BaseException | None = refusal.value
    while error:
        assert "secret" not in repr(error)
        error = error.__cause__ or error.__context__


async def test_an_append_that_lost_its_race_fails_alone_among_those_that_share_its_batch(
    log: EventLog,
) -> None:
    results = await asyncio.gather(
        append(log, "a", message(), expected=NO_STREAM),
        append(log, "b", *messages(2), expected=7),
        append(log, "c", *messages(2)),
        append(log, "c", *messages(1)),
        return_exceptions=True,
    )
    assert isinstance(results[1], WrongExpectedRevision)
    stored = [result for result in results if not isinstance(result, BaseException)]
    assert [positions(events) for events in stored] == [[1], [2, 3], [4]]
    assert await whole_log(log) == [event for events in stored for event in events]


async def test_an_event_cannot_be_appended_twice(log: EventLog) -> None:
    new = message()
    stored = await append(log, "s", new)
    with pytest.raises(AppendRefused):
        await append(log, "t", msgspec.structs.replace(new, content="Another text"))
    assert await whole_log(log) == stored
