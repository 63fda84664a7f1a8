"""What the fake provider can do, and the bytes in which it does it."""

from typing import Any

import msgspec

Json = dict[str, Any]


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
    """Status 200 and these bytes, whatever they are."""

    body: bytes
    content_type: str


Behaviour = Speech | HttpError | Stall | Cut | EarlyEnd | StreamError | RawAnswer

BEHAVIOURS: dict[str, Behaviour] = {
    "good": Speech(),
    "slow": Speech(first_delay=0.3, delay=0.2),
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


def event_bytes(name: str, data: Json) -> bytes:
    return f"event: {name}\ndata: ".encode() + msgspec.json.encode({"type": name} | data) + b"\n\n"


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
