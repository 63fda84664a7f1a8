"""Events as auditors read them: as they are stored, whether or not this program knows the type."""

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec


class AuditedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of the log. `recorded_at` is in UTC.

    `content_hash` is in hex; null where there never was a text. `erased`: there was one, and it
    was deleted.
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
    """The event in a row of `read_audited.sql`, `read_stream.sql` and their like."""
    data = msgspec.json.decode(row["data"])
    commitment = row["content_hash"]
    return AuditedEvent(
        position=row["position"],
        recorded_at=row["recorded_at"],
        stream=row["stream"],
        revision=row["revision"],
        event_id=UUID(bytes=row["event_id"].bytes),
        type=data["type"],
        conversation_id=data.get("conversation_id"),
        content_hash=commitment.hex() if commitment else None,
        data=data,
        metadata=msgspec.json.decode(row["metadata"]),
        content=row["content"],
        erased=commitment is not None and row["content"] is None,
    )
