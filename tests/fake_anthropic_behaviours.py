"""What the fake provider can do, and the bytes in which it does it."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

Json = dict[str, Any]


class Received(msgspec.Struct, frozen=True):
    """A request as it came in; header names are in lower case."""

    body: Json
    headers: dict[str, str]
    request_id: str = ""

    @property
    def is_judgement(self) -> bool:
        """Whether it asks for a structured answer."""
        return "output_config" in self.body


class Speech(msgspec.Struct, frozen=True, kw_only=True):
    """A whole reply. Delays are in seconds: before the first piece, and between pieces."""

    pieces: tuple[str, ...] = ("What do you ", "already know ", "about it?")
    first_delay: float = 0.0
    delay: float = 0.0
    model: str | None = None  # None answers with the model that was asked for
    stop_reason: str = "end_turn"
    stop_details: Json | None = None
    input_tokens: int = 12
    output_tokens: int = 7
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 2048


HALF = Speech(pieces=("What do you ", "already "))


class HttpError(msgspec.Struct, frozen=True):
    """An error status with the provider's error body; `retry_after` goes out as it is."""

    status: int
    error_type: str
    retry_after: str | None = None


class Stall(msgspec.Struct, frozen=True, kw_only=True):
    """Silence until `release()`, then the speech goes on. `after` pieces; None: before headers."""

    after: int | None = None
    speech: Speech = Speech()


class Cut(msgspec.Struct, frozen=True):
    """The connection breaks after the speech's pieces."""

    speech: Speech = HALF


class EarlyEnd(msgspec.Struct, frozen=True):
    """The stream ends cleanly after the speech's pieces, without a `message_delta`."""

    speech: Speech = HALF


class StreamError(msgspec.Struct, frozen=True):
    """An error event after the speech's pieces."""

    error_type: str = "overloaded_error"
    speech: Speech = HALF


class RawAnswer(msgspec.Struct, frozen=True):
    """These bytes, whatever they are."""

    body: bytes
    content_type: str
    status: int = 200
    headers: dict[str, str] = {}


Behaviour = Speech | HttpError | Stall | Cut | EarlyEnd | StreamError | RawAnswer
Chooser = Callable[[Received], Behaviour]

BEHAVIOURS: dict[str, Behaviour] = {
    "good": Speech(),
    "slow": Speech(first_delay=0.3, delay=0.2),
    "patient": Speech(pieces=("and ",) * 100, delay=2.0),
    "drip": Speech(pieces=("and ",) * 100_000, delay=0.02),
    "max_tokens": Speech(stop_reason="max_tokens"),
    "context_window": Speech(stop_reason="model_context_window_exceeded"),
    "tool_use": Speech(stop_reason="tool_use"),
    "refusal": Speech(
        pieces=("I ",), stop_reason="refusal", stop_details={"type": "refusal", "category": "bio"}
    ),
    "empty_text": Speech(pieces=("",)),
    "blank_text": Speech(pieces=(" ", "\n")),
    "bad_request_400": HttpError(400, "invalid_request_error"),
    "unauthenticated_401": HttpError(401, "authentication_error"),
    "payment_402": HttpError(402, "billing_error"),
    "forbidden_403": HttpError(403, "permission_error"),
    "not_found_404": HttpError(404, "not_found_error"),
    "too_large_413": HttpError(413, "request_too_large"),
    "unprocessable_422": HttpError(422, "invalid_request_error"),
    "rate_limited_429": HttpError(429, "rate_limit_error", retry_after="2"),
    "spending_cap_429": HttpError(429, "rate_limit_error"),
    "server_error_500": HttpError(500, "api_error"),
    "unavailable_503": HttpError(503, "api_error"),
    "overloaded_529": HttpError(529, "overloaded_error"),
    "stall_before_headers": Stall(),
    "stall_in_stream": Stall(after=1),
    "cut": Cut(),
    "early_end": EarlyEnd(),
    "sse_overloaded": StreamError("overloaded_error"),
    "sse_api_error": StreamError("api_error"),
    "empty_200": RawAnswer(b"", "text/event-stream"),
    "plain_text_200": RawAnswer(b"It works!", "text/plain"),
    "wrong_json_200": RawAnswer(b'{"choices": [{"text": "hello"}]}', "application/json"),
    "malformed_stream": RawAnswer(b"event: message_start\ndata: {nope\n\n", "text/event-stream"),
}


def behaviour_named(behaviour: Behaviour | str) -> Behaviour:
    return BEHAVIOURS[behaviour] if isinstance(behaviour, str) else behaviour


def judgement_named(behaviour: Behaviour | str | Chooser) -> Behaviour | Chooser:
    """As for replies; "valid" is what fits the request."""
    if behaviour == "valid":
        return valid_judgement
    return behaviour if callable(behaviour) else behaviour_named(behaviour)


def covering(*pairs: tuple[int, int]) -> Speech:
    """An assessment by which each (objective, message) is covered; both count from 1."""
    covered = [{"objective": objective, "message": message} for objective, message in pairs]
    return _json_speech({"covered": covered})


def evaluation_speech(objectives: int = 1, **changes: object) -> Speech:
    """A valid evaluation with so many entries, all of them met, and with `changes` of fields."""
    entry = {"explanation": "A reason was given.", "met": True, "met_at_turn": None, "score": 80}
    entries = [{"objective": f"Objective {n}"} | entry for n in range(1, objectives + 1)]
    moment = {"message_number": 1, "learning_objective": "Objective 1", "evidence": "The opening."}
    evaluation: Json = {
        "key_moments": [moment],
        "learning_objectives_evaluation": entries,
        "strengths": ["Gives reasons."],
        "areas_for_improvement": ["Examples."],
        "overall_assessment": "Sound thinking.",
        "overall_score": 80,
        "summary": "The learner thought aloud.",
    }
    return _json_speech(evaluation | changes)


def valid_judgement(received: Received) -> Speech:
    """Nothing covered, or an evaluation with an entry for each objective of the system prompt."""
    if "covered" in received.body["output_config"]["format"]["schema"]["properties"]:
        return covering()
    system = "".join(block["text"] for block in received.body["system"])
    block = re.search(r"^<objectives-(\w+)>\n(.*?)\n</objectives-\1>$", system, re.DOTALL | re.M)
    assert block is not None, "an evaluator is told the objectives"
    return evaluation_speech(len(re.findall(r"^\d+\. ", block[2], re.M)))


def _json_speech(answer: Json) -> Speech:
    text = msgspec.json.encode(answer).decode()
    half = len(text) // 2
    return Speech(pieces=(text[:half], text[half:]))


def event_bytes(name: str, data: Json) -> bytes:
    return f"event: {name}\ndata: ".encode() + json_bytes({"type": name} | data) + b"\n\n"


def json_bytes(data: Json) -> bytes:
    """As fast as may be, and slower with what is JSON for some only: half characters, NaN."""
    try:
        return msgspec.json.encode(data)
    except UnicodeEncodeError:
        return json.dumps(data).encode()


def error_json(error_type: str) -> Json:
    return {"type": "error", "error": {"type": error_type, "message": f"scripted {error_type}"}}


def message_json(asked_model: str, speech: Speech, text: str | None) -> Json:
    return {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": speech.model or asked_model,
        "content": [] if text is None else [{"type": "text", "text": text}],
        "stop_reason": None if text is None else speech.stop_reason,
        "stop_sequence": None,
        "stop_details": None if text is None else speech.stop_details,
        "usage": {
            "input_tokens": speech.input_tokens,
            "output_tokens": 1 if text is None else speech.output_tokens,
            "cache_creation_input_tokens": speech.cache_creation_input_tokens,
            "cache_read_input_tokens": speech.cache_read_input_tokens,
        },
    }


def beginning_bytes(asked_model: str, speech: Speech) -> bytes:
    block = {"index": 0, "content_block": {"type": "text", "text": ""}}
    return (
        event_bytes("message_start", {"message": message_json(asked_model, speech, None)})
        + event_bytes("content_block_start", block)
        + event_bytes("ping", {})
    )


def piece_bytes(text: str) -> bytes:
    delta = {"type": "text_delta", "text": text}
    return event_bytes("content_block_delta", {"index": 0, "delta": delta})


def ending_bytes(speech: Speech) -> bytes:
    delta: Json = {
        "stop_reason": speech.stop_reason,
        "stop_sequence": None,
        "stop_details": speech.stop_details,
    }
    usage = {"output_tokens": speech.output_tokens}
    return (
        event_bytes("content_block_stop", {"index": 0})
        + event_bytes("message_delta", {"delta": delta, "usage": usage})
        + event_bytes("message_stop", {})
    )


async def begin(request: web.Request, received: Received, speech: Speech) -> web.StreamResponse:
    """Send the headers and the beginning of a message."""
    response = web.StreamResponse(headers={"request-id": received.request_id})
    response.content_type = "text/event-stream"
    await response.prepare(request)
    await response.write(beginning_bytes(received.body["model"], speech))
    if speech.first_delay:
        await asyncio.sleep(speech.first_delay)
    return response


async def say(
    response: web.StreamResponse, pieces: tuple[str, ...], speech: Speech, ending: bytes = b""
) -> web.StreamResponse:
    """Send some of a speech's pieces, in its pace."""
    if not speech.delay:  # one write for all: benchmarks should not measure this server
        await response.write(b"".join(map(piece_bytes, pieces)) + ending)
        return response
    for number, piece in enumerate(pieces):
        if number:
            await asyncio.sleep(speech.delay)
        await response.write(piece_bytes(piece))
    await response.write(ending)
    return response
