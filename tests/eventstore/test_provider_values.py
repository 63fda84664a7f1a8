import asyncio
import json
import math
from collections.abc import Coroutine
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore.codec import encode, read_event
from eventstore.connections import Connection
from eventstore.dialogue_events import ReplyCompleted, ReplyFailed
from eventstore.envelope import Actor, Metadata, NewEvent
from eventstore.errors import EventUnstorable
from eventstore.event import Unreadable
from eventstore.log import EventLog
from eventstore.provider_values import MAX_COUNT, MAX_LABEL, StorableStream, count, label, storable
from eventstore.reply_records import AttemptRecord, PromptVersion, ReplyRecord, Usage
from tests.json_values import JSON, TEXT

ATTEMPT = AttemptRecord(model="m", outcome="completed", usage=Usage(1, 2, 3, 4), cost_microusd=5)
REPLY = ReplyRecord(
    model_requested="m",
    model="m",
    max_tokens=1,
    prompt=PromptVersion("p", "00"),
    stop_reason="end_turn",
    usage=Usage(1, 2, 3, 4),
    provider_request_id="r",
    first_token_ms=1,
    duration_ms=2,
    attempt_records=(ATTEMPT,),
    cost_microusd=5,
)
TURN = str(UUID(int=1))
ANSWERED = ReplyCompleted(conversation_id=1, turn_id=TURN, message_id=TURN, reply=REPLY)
FAILED = ReplyFailed(
    conversation_id=1, turn_id=TURN, code="c", model="m", usage=Usage(1), attempt_records=(ATTEMPT,)
)
SYSTEM = Metadata(actor=Actor(None, "system"))

COUNTS = [
    ("0", 0),
    ("7", 7),
    ("7.0", 7),
    ("1e3", 1000),
    (str(MAX_COUNT), MAX_COUNT),
    (str(MAX_COUNT + 1), None),
    (str(2**63), None),
    ("1e300", None),
    ("7.5", None),
    ("1e-9", None),
    ("-5", None),
    ("-0.5", None),
    ("true", None),
    ("null", None),
    ('"7"', None),
    ("[7]", None),
    ("[]", None),
    ('{"n": 7}', None),
]


@pytest.mark.parametrize(("reported", "counted"), COUNTS, ids=[reported for reported, _ in COUNTS])
async def test_a_count_is_the_same_here_and_in_the_database(
    owner: Connection, reported: str, counted: int | None
) -> None:
    assert count(json.loads(reported)) == counted
    statement = "SELECT whole_number_v1($1::text::jsonb)"
    assert await owner.fetchval(statement, reported) == counted


@pytest.mark.parametrize("reported", [math.nan, math.inf, -math.inf, 10**4000])
def test_a_value_that_no_column_can_hold_is_not_a_count(reported: float) -> None:
    assert count(reported) is None


@pytest.mark.parametrize(
    ("reported", "text"),
    [
        (None, None),
        ("end_turn", "end_turn"),
        (5, "5"),
        (7.5, "7.5"),
        ({"n": 7}, "dict"),
        ("a\0b\ud83c", "a\ufffdb\ufffd"),
        ("x" * 1000, "x" * MAX_LABEL),
    ],
)
def test_a_label_is_a_short_text_that_can_be_stored(reported: object, text: str | None) -> None:
    assert label(reported) == text


@given(st.lists(TEXT))
def test_the_joined_pieces_equal_the_whole_storable_text(pieces: list[str]) -> None:
    """Also if a piece ends inside a character."""
    coming = StorableStream()
    given_back = [*map(coming.take, pieces), coming.rest()]
    assert "".join(given_back) == storable("".join(pieces))
    for piece in given_back:
        assert "\0" not in piece
        piece.encode()


def test_a_split_character_is_returned_with_its_second_half() -> None:
    coming = StorableStream()
    assert [coming.take("a\ud83c"), coming.take("\udf0ab")] == ["a", "\U0001f30ab"]


STORED = JSON.filter(lambda reported: "\\u0000" not in json.dumps(reported) and _is_jsonb(reported))
"""What PostgreSQL took as a value in an event."""


def _is_jsonb(reported: object) -> bool:
    try:
        json.dumps(reported, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return True


def insert_reported(answer: dict[str, Any], reported: dict[str, Any], tokens: Any) -> None:
    """Inserts a provider's values unchecked, as earlier releases did."""
    usage = dict.fromkeys(answer["usage"], tokens)
    answer.update({key: reported[key] for key in reported if key in answer} | {"usage": usage})
    for attempt in answer["attempt_records"]:
        attempt["usage"] = usage


@given(model=STORED, stop_reason=STORED, cost=STORED, tokens=STORED)
def test_values_that_earlier_releases_stored_unchecked_are_normalized(
    model: Any, stop_reason: Any, cost: Any, tokens: Any
) -> None:
    reported = {
        "model": model or "m",
        "stop_reason": stop_reason or "end_turn",
        "cost_microusd": cost,
    }
    for event, part in ((ANSWERED, "reply"), (FAILED, None)):
        data = json.loads(encode(event))
        insert_reported(data[part] if part else data, reported, tokens)
        read = read_event(json.dumps(data))
        assert type(read) is type(event)
        assert not isinstance(read, Unreadable)
        assert read_event(encode(read)) == read, "it could be stored again"
        answer = read.reply if isinstance(read, ReplyCompleted) else read
        assert answer.usage == Usage(*[count(tokens) or 0] * 4)
        assert answer.attempt_records[0].usage == answer.usage
        assert (read.conversation_id, read.turn_id) == (1, TURN)


@pytest.mark.parametrize(
    "event",
    [
        ReplyCompleted(**{**msgspec.structs.asdict(ANSWERED), "message_id": 7}),
        ReplyCompleted(**{**msgspec.structs.asdict(ANSWERED), "turn_id": "\ud83c"}),
        msgspec.structs.replace(FAILED, usage=Usage(output_tokens=-5)),
        msgspec.structs.replace(FAILED, usage=Usage(output_tokens=2**63)),
        msgspec.structs.replace(FAILED, duration_ms=7.5),
        msgspec.structs.replace(FAILED, detail={"a": object()}),
    ],
    ids=["number", "half", "negative", "huge", "fraction", "object"],
)
async def test_an_event_that_cannot_be_decoded_again_is_not_stored(
    log: EventLog, event: Any
) -> None:
    """Concurrent appends succeed."""

    def append(*events: Any) -> Coroutine[Any, Any, object]:
        new = [NewEvent(event=one) for one in events]
        return log.append(1, "s", new, expected=None, metadata=SYSTEM)

    bad = append(ANSWERED, event)
    others = [append(ANSWERED) for _ in range(3)]
    refused, *stored = await asyncio.gather(bad, *others, return_exceptions=True)
    assert isinstance(refused, EventUnstorable)
    assert not any(isinstance(one, BaseException) for one in stored)
    assert [e.event for e in await log.read_stream(1, "s")] == [ANSWERED] * 3


async def test_an_unreadable_event_does_not_hide_the_others(
    log: EventLog, owner: Connection
) -> None:
    await plant(owner, {"type": "conversation_paused.v1", "conversation_id": 1})
    await log.append(1, "s", [NewEvent(event=ANSWERED)], expected=1, metadata=SYSTEM)
    unreadable, answered = [e.event for e in await log.read_stream(1, "s")]
    assert isinstance(unreadable, Unreadable)
    assert unreadable.type == "conversation_paused.v1"
    assert answered == ANSWERED


async def plant(owner: Connection, *facts: dict[str, Any]) -> None:
    """Appends data that this program would not write, to the stream "s"."""
    await owner.execute(
        "SELECT append_facts_v1(1, $1, $2::text[]::jsonb[], $3::text::jsonb)",
        ["s"] * len(facts),
        [json.dumps(fact) for fact in facts],
        encode(SYSTEM),
    )
