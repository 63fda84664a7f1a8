"""Events as auditors read them: as they are stored, including types that this release lacks."""

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec


class AuditedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of the log. `recorded_at` is in UTC.

    `content_hash` is in hexadecimal, and null for an event that never had a text. `erased`: the
    event's text was deleted.
    """

    position: int
    recorded_at: datetime
    stream: str
    revision: int
    event_id: UUID
    type: str
    conversation_id: int | None
    content_hash: str | None
    data: dict[str, Any]
    metadata: dict[str, Any]
    content: str | None
    erased: bool


def audited(row: asyncpg.Record) -> AuditedEvent:
    """The event in a row of `read_audited.sql` or `read_stream.sql`."""
    data = msgspec.json.decode(row["data"])
    content_hash = row["content_hash"]
    return AuditedEvent(
        position=row["position"],
        recorded_at=row["recorded_at"],
        stream=row["stream"],
        revision=row["revision"],
        event_id=UUID(bytes=row["event_id"].bytes),
        type=data["type"],
        conversation_id=data.get("conversation_id"),
        content_hash=content_hash.hex() if content_hash else None,
        data=data,
        metadata=msgspec.json.decode(row["metadata"]),
        content=row["content"],
        erased=content_hash is not None and row["content"] is None,
    )
