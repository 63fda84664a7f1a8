"""Whatever a provider sends: an answer of the contract, a readable log, and a next turn."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from eventstore.connections import connect
from eventstore.dialogue_events import AssessmentFailed, ReplyCompleted
from eventstore.evaluation_events import EvaluationFailed
from eventstore.events import AnyEvent
from eventstore.provider_values import storable
from eventstore.reply_records import Usage
from projections.compare import compare
from projections.definitions import definitions
from projections.rebuild import rebuild_all
from service.model.errors import LEARNER_SENTENCES
from tests.databases import cloned_database
from tests.fake_anthropic import FakeAnthropic, RawAnswer, Speech
from tests.json_values import JSON, TEXT
from tests.running import CONVERSATIONS, TEACHER, Service, eventually, fetch_value, running_service
from tests.service.kept_messages import without_ids
from tests.service.reading_streams import pieces_of, talk_of

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # In a process of its own the service sees to that; tests have filters of theirs.
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),
]

Json = dict[str, Any]
Path = tuple[Any, ...]

some = settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
"""Each example is a few real turns; what fails is not made smaller, which would take as long."""

GOOD = "What do you know?"
USAGE = {
    "input_tokens": 12,
    "output_tokens": 7,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 2048,
}


def events_of(text: str) -> list[Json]:
    """The events of an answer, as the protocol has them."""
    message: Json = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": USAGE,
    }
    half = len(text) // 2
    deltas = [{"type": "text_delta", "text": piece} for piece in (text[:half], text[half:])]
    ending = {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": None}
    block = {"type": "text", "text": ""}
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ending, "usage": USAGE},
        {"type": "message_stop"},
    ]


def paths_of(value: Any, path: Path = ()) -> list[Path]:
    """The places of all values in a value, its own included."""
    if not isinstance(value, dict | list):
        return [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(place for key, one in inner for place in paths_of(one, (*path, key)))]


def with_value(value: Any, path: Path, told: Any) -> Any:
    """The value with another one at a place, if that is still there."""
    if not path:
        return told
    key, *rest = path
    if isinstance(value, dict) and key in value:
        return value | {key: with_value(value[key], tuple(rest), told)}
    if isinstance(value, list) and isinstance(key, int) and key < len(value):
        return [*value[:key], with_value(value[key], tuple(rest), told), *value[key + 1 :]]
    return value


def streamed(events: Sequence[Any]) -> RawAnswer:
    """The events as bytes; names of events are told rightly, whatever they hold."""
    names = [event["type"] for event in events_of("")]
    names += ["message_stop"] * (len(events) - len(names))
    frames = (
        f"event: {name}\ndata: {json.dumps(event)}\n\n".encode()
        for name, event in zip(names, events, strict=False)
    )
    return RawAnswer(b"".join(frames), "text/event-stream")


PLACES = [path for path in paths_of(events_of(GOOD)) if path]
COUNTS = [path for path in PLACES if "usage" in path]
CHANGES = st.lists(
    st.tuples(st.sampled_from(PLACES) | st.sampled_from(COUNTS), JSON), min_size=1, max_size=3
)


def changed(changes: Sequence[tuple[Path, Any]], text: str = GOOD) -> RawAnswer:
    """A stream with this text and other values in it."""
    events: list[Any] = events_of(text)
    for path, value in changes:
        events = with_value(events, path, value)
    return streamed(events)


def everywhere(name: str, value: Any) -> RawAnswer:
    """A stream with this value at each place of that name."""
    return changed([(path, value) for path in PLACES if path[-1] == name])


ANY_BODY = st.one_of(
    st.binary(max_size=50),
    st.one_of(JSON, st.fixed_dictionaries({"error": JSON | st.fixed_dictionaries({"type": JSON})}))
    .map(json.dumps)
    .map(str.encode),
    JSON.map(lambda value: json.dumps({"type": "message", "content": value}).encode()),
)
ANY_HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "retry-after": st.sampled_from(
            ["1e308", "-1", "nan", "inf", "soon", "9" * 400, "Fri, 31 Dec 9999 23:59:59 -9999"]
        ),
        "request-id": st.sampled_from(["req_1", "x" * 3000, "re\xffq"]),
        "content-encoding": st.sampled_from(["gzip", "identity"]),
    },
)
UNSTREAMED = st.builds(
    RawAnswer,
    ANY_BODY,
    st.sampled_from(["application/json", "text/event-stream", "text/html"]),
    st.sampled_from([200, 204, 301, 400, 401, 404, 413, 429, 500, 503, 529]),
    ANY_HEADERS,
)
ANSWERS = CHANGES.map(changed) | UNSTREAMED


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(fake: FakeAnthropic, server_url: str) -> AsyncIterator[Service]:
    """A service that asks once, so that no second answer covers up for the first."""
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url, anthropic_base_url=fake.url, max_attempts=1) as running,
    ):
        yield running


async def stored(service: Service, after: int) -> list[AnyEvent]:
    """The events above a position, by the decoder alone: nothing in them needs to be mended."""
    statement = "SELECT data FROM events WHERE account_id = 1 AND position > $1 ORDER BY position"
    connection = await connect(service.database_url)
    try:
        rows = await connection.fetch(statement, after)
    finally:
        await connection.close()
    decoder = msgspec.json.Decoder(AnyEvent)
    return [decoder.decode(row["data"]) for row in rows]


def assert_of_the_contract(status: int, body: Any) -> None:
    if status != 200:
        assert (status, body["error"]) == (503, LEARNER_SENTENCES[body["code"]])
        assert without_ids(body, kept="turn_id" in body).keys() == {"error", "code", "retryable"}
        assert body["code"] != "internal_error", "the provider is to blame"


async def assert_all_is_well(
    service: Service, other: Service, learner: int, after: int
) -> list[AnyEvent]:
    """The log is readable, another process sees the same, and the next turn works."""
    events = await stored(service, after)
    shown = await service.active(learner)
    assert await other.active(learner) == shown
    status, body = await other.say(shown["id"], "And now?", learner)
    assert status == 200, body
    assert [m["id"] for m in body["messages"][:-2]] == [m["id"] for m in shown["messages"]]
    assert not any("state" in message for message in body["messages"])
    return events


async def answered(service: Service, fake: FakeAnthropic, answer: RawAnswer, learner: int) -> int:
    """The status of a message that gets this answer."""
    conversation = await service.active(learner)
    fake.script(answer)
    status, body = await service.say(conversation["id"], "Hello", learner)
    assert_of_the_contract(status, body)
    return status


@some
@given(answer=ANSWERS)
async def test_any_answer_to_a_message(
    service: Service, other: Service, fake: FakeAnthropic, answer: RawAnswer
) -> None:
    learner = await service.enroll()
    await service.open(learner)
    head = await service.head()
    await answered(service, fake, answer, learner)
    events = await assert_all_is_well(service, other, learner, head)
    assert len(events) >= 2, "the message and the end of its turn"


@some
@given(answer=ANSWERS)
async def test_any_answer_to_a_request_for_a_conversation(
    service: Service, other: Service, fake: FakeAnthropic, answer: RawAnswer
) -> None:
    learner = await service.enroll()
    fake.script(answer)
    head = await service.head()
    status, body = await service.call("POST", CONVERSATIONS, user=learner)
    if status != 201:
        assert_of_the_contract(status, body)
        await service.open(learner)
    assert len(await assert_all_is_well(service, other, learner, head)) >= 2


VERDICT = {"covered": [{"objective": 1, "message": 3}]}


@some
@given(
    answer=ANSWERS
    | JSON.map(lambda told: changed([], json.dumps(told)))
    | st.tuples(st.sampled_from(paths_of(VERDICT)), JSON).map(
        lambda change: changed([], json.dumps(with_value([VERDICT], (0, *change[0]), change[1])[0]))
    )
)
async def test_any_answer_to_a_question_about_objectives(
    service: Service, other: Service, fake: FakeAnthropic, answer: RawAnswer
) -> None:
    """The reply does not depend on it, and what became of it is on record."""
    learner = await service.enroll()
    conversation = await service.open(learner)
    head = await service.head()
    fake.script_judgements(answer)
    status, body = await service.say(conversation["id"], "It is the Moon", learner)
    assert status == 200, body
    events = await assert_all_is_well(service, other, learner, head)
    failures = [event for event in events if isinstance(event, AssessmentFailed)]
    assert all(failure.code != "internal_error" for failure in failures)


@some
@given(answer=ANSWERS | JSON.map(lambda told: changed([], json.dumps(told))))
async def test_any_answer_to_a_question_for_an_evaluation(
    service: Service, other: Service, fake: FakeAnthropic, answer: RawAnswer
) -> None:
    learner = await service.enroll()
    conversation = await service.open(learner)
    await service.say(conversation["id"], "It is the Moon", learner)
    head = await service.head()
    path = f"{CONVERSATIONS}/{conversation['id']}/evaluation"
    fake.script_judgements(answer)
    assert_of_the_contract(*await service.call("POST", path, user=TEACHER))
    events = await assert_all_is_well(service, other, learner, head)
    ends = [event for event in events if isinstance(event, EvaluationFailed)]
    assert all(end.code != "internal_error" for end in ends)
    assert (await service.call("POST", path, user=TEACHER))[0] == 200


@pytest.mark.parametrize(
    ("name", "value", "usage"),
    [
        ("output_tokens", 7.5, Usage(12, 0, 0, 2048)),
        ("output_tokens", 7.0, Usage(12, 7, 0, 2048)),
        ("output_tokens", -5, Usage(12, 0, 0, 2048)),
        ("output_tokens", 2**63, Usage(12, 0, 0, 2048)),
        ("output_tokens", {"n": 7}, Usage(12, 0, 0, 2048)),
        ("output_tokens", [7], Usage(12, 0, 0, 2048)),
        ("output_tokens", float("nan"), Usage(12, 0, 0, 2048)),
        ("input_tokens", "many", Usage(0, 7, 0, 2048)),
        ("cache_read_input_tokens", [], Usage(12, 7)),
        ("stop_reason", 5, Usage(**USAGE)),
        ("stop_reason", {"n": 7}, Usage(**USAGE)),
        ("model", 5, Usage(**USAGE)),
        ("model", {"n": 7}, Usage(**USAGE)),
        ("model", "another\0model\ud83c", Usage(**USAGE)),
    ],
)
async def test_what_is_no_part_of_the_words_keeps_nobody_from_them(
    service: Service, other: Service, fake: FakeAnthropic, name: str, value: Any, usage: Usage
) -> None:
    """And what is no count counts as not told: it lowers no bill."""
    learner = await service.enroll()
    await service.open(learner)
    head = await service.head()
    assert await answered(service, fake, everywhere(name, value), learner) == 200
    events = await assert_all_is_well(service, other, learner, head)
    reply = next(event.reply for event in events if isinstance(event, ReplyCompleted))
    assert reply.usage == reply.attempt_records[0].usage == usage
    assert reply.model in ("claude-haiku-5-5", "another\ufffdmodel\ufffd")
    assert reply.stop_reason in ("end_turn", "5", "dict")
    assert reply.cost_microusd is None or reply.cost_microusd >= 0


@some
@given(pieces=st.lists(TEXT, max_size=6), after=st.integers(0, 7))
async def test_pieces_joined_are_the_reply_however_a_text_is_cut(
    service: Service, other: Service, fake: FakeAnthropic, pieces: list[str], after: int
) -> None:
    """Also where a stream is taken up again, and as another process reads it."""
    talk = await talk_of(service)
    fake.script(Speech(pieces=("x", *pieces)))
    events = await talk.read()
    assert events[-1].name == "done", events[-1]
    reply = events[-1].data["messages"][-1]["text"]
    assert "".join(pieces_of(events)) == reply == storable("".join(("x", *pieces)))
    assert (await other.active(talk.learner))["messages"][-1]["text"] == reply
    known = min(after, len(events) - 1)
    if known < len(events):
        async with talk.take_up(events[0], known) as (_, stream):
            assert [e.raw for e in await stream.rest()] == [e.raw for e in events[known:]]


async def test_an_emoji_that_is_cut_in_two_arrives_whole(
    service: Service, fake: FakeAnthropic
) -> None:
    talk = await talk_of(service)
    fake.script(Speech(pieces=("A \ud83c", "\udf0a\0 and \ud83c", "half \ud83c")))
    events = await talk.read()
    assert pieces_of(events) == ["A ", "\U0001f30a\ufffd and ", "\ufffdhalf ", "\ufffd"]
    assert events[-1].data["messages"][-1]["text"] == "".join(pieces_of(events))


async def test_the_log_of_all_these_tests_makes_every_view(service: Service) -> None:
    """The last of them: nobody who follows is stopped, and what is built anew is the same."""
    await stored(service, 0)
    behind = "SELECT count(*) FROM analytics.freshness WHERE lag_events > 0 AND last_error IS NULL"
    stopped = "SELECT string_agg(last_error, '; ') FROM analytics.freshness"

    async def caught_up() -> bool:
        return bool(await fetch_value(service.database_url, behind) == 0)

    await eventually(caught_up)
    assert await fetch_value(service.database_url, stopped) is None
    for definition in definitions().values():
        comparison = await compare(service.database_url, definition)
        assert comparison.equal, list(comparison.lines())
    everything = list(definitions().values())
    built = [name async for name, _ in rebuild_all(service.database_url, everything)]
    assert sorted(built) == sorted(definitions())
