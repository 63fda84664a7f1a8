"""Events with their metadata, before and after they are appended."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from eventstore.event import Unreadable
from eventstore.events import AnyEvent


class Actor(msgspec.Struct, frozen=True):
    """Who caused an event: a user of the account, the model, or the system."""

    id: int | None
    role: str


class Metadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The circumstances of an event.

    `causation_id` is the id of the event that led to this one; `correlation_id` is shared by all
    events that followed from one request. `token_id` is None for the system and for users of an
    identity provider, who have no token of ours. `real_user_id` is the administrator who acted as
    the actor.

    `idempotency_key` is the client's key, and only present before the append. The log holds a
    keyed hash of it; the actor's erasure deletes the hash key. Recorded events have neither.
    """

    actor: Actor
    token_id: int | None = None
    real_user_id: int | None = None
    request_id: str | None = None
    causation_id: str | None = None
    correlation_id: str | None = None
    idempotency_key: str | None = None


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event to append.

    `content` is its personal text, and `subject_id` the user whom the text is about; content
    needs a subject. `metadata` replaces the append's metadata for this event.
    """

    event: AnyEvent
    content: str | None = None
    subject_id: int | None = None
    metadata: Metadata | None = None
    event_id: UUID = msgspec.field(default_factory=uuid7)


class RecordedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it stands in the log.

    `position` counts from 1 in the account's log, `revision` from 1 in the stream. `content`
    is None if it was erased, or if the event never had any; then `content_hash` is None as well.
    """

    account_id: int
    position: int
    stream: str
    revision: int
    event_id: UUID
    event: AnyEvent | Unreadable
    metadata: Metadata
    recorded_at: datetime
    content: str | None = None
    content_hash: bytes | None = None

    @property
    def erased(self) -> bool:
        """Whether the event had content that was deleted."""
        return self.content is None and self.content_hash is not None


NO_STREAM: Literal[0] = 0
"""Expected revision of a stream without events."""

SALT = 16
"""Bytes of a text's salt. A fixed length keeps a text's beginning from passing as salt."""

NO_END = 2**63 - 1
"""The upper bound of an unbounded read, as a revision or position."""
