"""Turns events into what Postgres stores, and back, older versions included."""

from collections.abc import Callable, Mapping
from typing import Any

import asyncpg
import msgspec

from eventstore.errors import UnknownEventType
from eventstore.events import AnyEvent
from eventstore.records import Metadata, RecordedEvent

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Takes stored data of one event type and returns data of the next, its `type` included."""

UPCASTERS: Mapping[str, Upcaster] = {}
"""By the older type. Chains are followed: v1 to v2, then v2 to v3."""

_encoder = msgspec.json.Encoder()
_event_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
_metadata_decoder = msgspec.json.Decoder(Metadata)


def encode(value: AnyEvent | Metadata) -> str:
    """The JSON text of an event or of metadata."""
    return _encoder.encode(value).decode()


def decode_event(data: str, upcasters: Mapping[str, Upcaster] = UPCASTERS) -> AnyEvent:
    """The event in a stored JSON text, brought up to its newest version.

    Raises:
        UnknownEventType: Neither an event nor an upcaster has this type, or a field is missing.
    """
    try:
        return _event_decoder.decode(data)
    except msgspec.ValidationError as error:
        stored: dict[str, Any] = msgspec.json.decode(data)
        upcast = upcasters.get(stored.get("type", ""))
        if upcast is None:
            raise UnknownEventType(f"event type {stored.get('type')!r}: {error}") from error
        return decode_event(encode_data(upcast(stored)), upcasters)


def encode_data(data: dict[str, Any]) -> str:
    """The JSON text of already plain data."""
    return _encoder.encode(data).decode()


def decode_row(row: asyncpg.Record) -> RecordedEvent:
    """The event in a row of `read_stream.sql` and its like."""
    return RecordedEvent(
        account_id=row["account_id"],
        position=row["position"],
        stream=row["stream"],
        revision=row["revision"],
        event_id=row["event_id"],
        event=decode_event(row["data"]),
        metadata=_metadata_decoder.decode(row["metadata"]),
        recorded_at=row["recorded_at"],
        content=row["content"],
        content_hash=row["content_hash"],
    )
