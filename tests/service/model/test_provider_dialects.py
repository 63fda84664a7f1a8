"""Streams and errors of servers that deviate from the protocol."""

import json
from collections.abc import AsyncIterator

import pytest

from eventstore.reply_records import Usage
from service.model.anthropic_provider import AnthropicModel
from service.model.errors import ModelFailure
from service.model.provider_errors import provider_error
from service.model.response import Reply, StreamedResponse
from tests.fake_anthropic import FakeAnthropic, HttpError, RawAnswer
from tests.service.model.test_anthropic_provider import (
    HAIKU,
    LEARNERS_TEXT,
    PATIENT,
    REQUEST,
    SECRET_KEY,
)

Json = dict[str, object]

MESSAGE: Json = {"id": "m", "type": "message", "role": "assistant", "model": "llama", "content": []}
USAGE: Json = {"input_tokens": 3, "output_tokens": 1}
DELTA: Json = {"stop_reason": "end_turn", "stop_sequence": None}
BOM = "\ufeff".encode()


def event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


START = event("message_start", message={**MESSAGE, "usage": USAGE})
BLOCK = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
WORDS = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Why so?"})
THOUGHT = event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "Hm"})
END = event("message_delta", delta=DELTA, usage={"output_tokens": 5})
STOP = event("message_stop")


@pytest.fixture
async def fake() -> AsyncIterator[FakeAnthropic]:
    async with FakeAnthropic() as server:
        yield server


@pytest.fixture
async def model(fake: FakeAnthropic) -> AsyncIterator[AnthropicModel]:
    made = AnthropicModel(SECRET_KEY, fake.url, PATIENT, max_connections=10)
    await made.warm_up()
    yield made
    await made.close()


async def answer_to(fake: FakeAnthropic, model: AnthropicModel, body: bytes) -> Reply:
    fake.script(RawAnswer(body, "text/event-stream"))
    response = StreamedResponse(HAIKU)
    await model.answer(REQUEST, response, 60.0)
    return response.reply()


async def failure_of(fake: FakeAnthropic, model: AnthropicModel, error: object) -> ModelFailure:
    """The failure for an error within a stream."""
    data = error if isinstance(error, str) else json.dumps(error)
    body = START + BLOCK + WORDS + f"event: error\ndata: {data}\n\n".encode()
    with pytest.raises(ModelFailure) as caught:
        await answer_to(fake, model, body)
    assert caught.value.partial_text == "Why so?"
    return caught.value


async def test_missing_fields_of_a_stream_do_not_fail_a_reply(
    fake: FakeAnthropic, model: AnthropicModel
) -> None:
    whole = START + BLOCK + WORDS + END + STOP
    streams = {
        whole: Usage(input_tokens=3, output_tokens=5),
        BOM + whole: Usage(output_tokens=5),  # the first event counts as none
        START + WORDS + END: Usage(input_tokens=3, output_tokens=5),
        START + BLOCK + THOUGHT + WORDS + END: Usage(input_tokens=3, output_tokens=5),
        START + WORDS + event("message_delta", delta=DELTA): Usage(input_tokens=3, output_tokens=1),
        START + WORDS + event("message_delta", delta=DELTA, usage=None): Usage(
            input_tokens=3, output_tokens=1
        ),
        event("message_start", message=MESSAGE) + WORDS + END: Usage(output_tokens=5),
        event("message_start") + WORDS + END: Usage(output_tokens=5),
        START + event("vendor_note", text=7) + WORDS + END: Usage(input_tokens=3, output_tokens=5),
    }
    for body, usage in streams.items():
        reply = await answer_to(fake, model, body)
        assert (reply.text, reply.stop_reason, reply.usage) == ("Why so?", "end_turn", usage), body


async def test_a_stream_that_breaks_the_protocol_is_the_providers_failure(
    fake: FakeAnthropic, model: AnthropicModel
) -> None:
    broken = b"event: content_block_delta\ndata: "
    for body in (
        START + broken + b"[" * 100_000 + b"\n\n",
        START + broken + b"1" * 100_000 + b"\n\n",
        START + broken + b'{"type": "content_block_delta", "delta": {"text": "\xff"}}\n\n',
        START + event("content_block_delta", index=0, delta={"type": "text_delta", "text": 7}),
        START + BLOCK + WORDS + STOP,
        BOM,
    ):
        with pytest.raises(ModelFailure) as caught:
            await answer_to(fake, model, body)
        assert (caught.value.code, caught.value.retryable) == ("model_interrupted", True), body


async def test_an_error_in_another_format_keeps_its_known_words(
    fake: FakeAnthropic, model: AnthropicModel
) -> None:
    words = "Context size has been exceeded"
    full = {"code": 400, "message": words, "type": "exceed_context_size_error"}
    of_anthropic = {"type": "overloaded_error", "message": words}
    untyped = "without a type"
    for error, code, detail in (
        ({"error": full}, "model_misconfigured", f"exceed_context_size_error: {words}"),
        (full, "model_misconfigured", f"exceed_context_size_error: {words}"),
        ({"error": words}, "model_unavailable", f"{untyped}: {words}"),
        ({"message": f"{words}\n\n\0 3"}, "model_unavailable", f"{untyped}: {words}"),
        ({"error": {"code": 503, "message": words}}, "model_overloaded", f"{untyped}: {words}"),
        ({"error": {"type": 7, "message": [words]}}, "model_unavailable", untyped),
        (words, "model_unavailable", f"{untyped}: {words}"),
        ([1], "model_unavailable", untyped),
        ({"error": of_anthropic}, "model_overloaded", "overloaded_error"),
    ):
        failure = await failure_of(fake, model, error)
        assert (failure.code, failure.detail) == (code, f"HTTP 200 {detail}"), error


UNTYPED = "HTTP 200 without a type"


async def test_no_recorded_error_quotes_the_learner(
    fake: FakeAnthropic, model: AnthropicModel
) -> None:
    for error in (
        {"message": f"cannot parse: {LEARNERS_TEXT}"},
        {"message": f"near {LEARNERS_TEXT[3:16]}"},
        {"type": LEARNERS_TEXT},
        {"type": LEARNERS_TEXT.replace(" ", "_").replace("'", "")[:40], "message": "refused"},
    ):
        failure = await failure_of(fake, model, {"error": error})
        assert failure.detail in (
            UNTYPED,
            f"{UNTYPED}: cannot parse:",
            f"{UNTYPED}: refused",
        )
    fake.script(HttpError(400, "invalid_request_error"))
    with pytest.raises(ModelFailure) as caught:
        await model.answer(REQUEST, StreamedResponse(HAIKU), 60.0)
    assert caught.value.detail == "HTTP 400 invalid_request_error"


def test_a_gateways_error_is_truncated() -> None:
    error = provider_error(502, {"error": {"type": "x" * 40, "message": "error " * 1000}})
    assert error.kind is None
    assert error.words is not None
    assert len(error.words) == 200
    assert provider_error(502, {"code": 400}).status == 502
    assert provider_error(200, {"code": 12}).status == 200
