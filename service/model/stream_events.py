"""Reads the events of a provider's stream into an answer.

The SDK does not validate what it receives, and a gateway leaves out what it likes: whatever the
types say, each field may be missing or any JSON value.
"""

from typing import Any

from eventstore.provider_values import count, label
from eventstore.reply_records import Usage
from service.model.response import StreamedResponse


def take_event(event: object, response: StreamedResponse) -> str:
    """Takes an event's facts into `response`; returns its text, which is often empty.

    Raises:
        TypeError: A text is not a string.
    """
    match field(event, "type"):
        case "content_block_start":
            return _text(field(event, "content_block"), "text")
        case "content_block_delta":
            return _text(field(event, "delta"), "text_delta")
        case "message_start":
            message = field(event, "message")
            model = field(message, "model")
            if isinstance(model, str):
                response.model = label(model) or response.model
            _take_end(message, response)
            _take_usage(field(message, "usage"), response)
        case "message_delta":
            _take_end(field(event, "delta"), response)
            _take_usage(field(event, "usage"), response)
    return ""


def field(told: Any, name: str) -> Any:
    """A field of a JSON object, or the attribute of the SDK's object for it."""
    return told.get(name) if isinstance(told, dict) else getattr(told, name, None)


def _text(part: Any, kind: str) -> str:
    if field(part, "type") != kind:
        return ""  # of thinking, say
    text = field(part, "text")
    if not isinstance(text, str):
        raise TypeError
    return text


def _take_end(told: Any, response: StreamedResponse) -> None:
    response.stop_reason = label(field(told, "stop_reason")) or response.stop_reason
    category = label(field(field(told, "stop_details"), "category"))
    response.refusal_category = category or response.refusal_category


def _take_usage(told: Any, response: StreamedResponse) -> None:
    if told is not None:
        response.count({name: count(field(told, name)) for name in Usage.__struct_fields__})
