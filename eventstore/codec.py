"""Encodes events for PostgreSQL and decodes them, including those of older versions."""

from collections.abc import Callable, Mapping
from typing import Any

import asyncpg
import msgspec

from eventstore.envelope import Metadata, RecordedEvent
from eventstore.errors import EventUnstorable, UnknownEventType
from eventstore.event import Unreadable
from eventstore.events import AnyEvent
from eventstore.guards import Guard
from eventstore.provider_values import normalized

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Converts stored data of one event type to the next version, including its `type`."""

UPCASTERS: Mapping[str, Upcaster] = {}
"""By the older type. Upcasters are chained: v1 to v2, then v2 to v3."""

_encoder = msgspec.json.Encoder()
_event_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
_metadata_decoder = msgspec.json.Decoder(Metadata)


def encode(value: AnyEvent | Metadata) -> str:
    """The JSON text of an event or of metadata.

    Raises:
        EventUnstorable: The text cannot be decoded again.
    """
    decoder = _metadata_decoder if isinstance(value, Metadata) else _event_decoder
    try:
        text = _encoder.encode(value)
        decoder.decode(text)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
        # The error's message may quote personal text.
        why = str(error) if isinstance(error, msgspec.ValidationError) else type(error).__name__
        raise EventUnstorable(f"{type(value).__name__} cannot be stored: {why}") from None
    return text.decode()


def encode_guard(guard: Guard) -> str:
    """The JSON text of a guard."""
    return _encoder.encode(guard).decode()


def decode_event(data: str, upcasters: Mapping[str, Upcaster] = UPCASTERS) -> AnyEvent:
    """The event in a stored JSON text, in its newest version.

    Earlier releases stored providers' values unchecked; these are normalized here.

    Raises:
        UnknownEventType: Neither an event nor an upcaster has this type, or a field is missing.
    """
    try:
        return _event_decoder.decode(data)
    except msgspec.ValidationError:
        return _convert(msgspec.json.decode(data), upcasters)


def _convert(stored: dict[str, Any], upcasters: Mapping[str, Upcaster]) -> AnyEvent:
    upcast = upcasters.get(stored.get("type", ""))
    if upcast is not None:
        return _convert(upcast(stored), upcasters)
    try:
        event: AnyEvent = msgspec.convert(normalized(stored), AnyEvent)
    except msgspec.ValidationError as error:
        raise UnknownEventType(f"event type {stored.get('type')!r}: {error}") from error
    return event


def read_event(data: str) -> AnyEvent | Unreadable:
    """The event in a stored JSON text, or an `Unreadable` in its place."""
    try:
        return decode_event(data)
    except UnknownEventType as error:
        stored: dict[str, Any] = msgspec.json.decode(data)
        turn_id = stored.get("turn_id")
        return Unreadable(
            str(stored.get("type")), turn_id if isinstance(turn_id, str) else None, str(error)
        )


def decode_row(row: asyncpg.Record) -> RecordedEvent:
    """The event in a row with the columns of `read_stream.sql`."""
    return RecordedEvent(
        account_id=row["account_id"],
        position=row["position"],
        stream=row["stream"],
        revision=row["revision"],
        event_id=row["event_id"],
        event=read_event(row["data"]),
        metadata=_metadata_decoder.decode(row["metadata"]),
        recorded_at=row["recorded_at"],
        content=row["content"],
        content_hash=row["content_hash"],
    )
