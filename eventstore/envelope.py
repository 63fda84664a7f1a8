"""What goes into the log beside an event, and what comes out of it."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from eventstore.event import Unreadable
from eventstore.events import AnyEvent


class Actor(msgspec.Struct, frozen=True):
    """Who did it: a user of the account, the model, or the system itself."""

    id: int | None
    role: str


class Metadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The circumstances of an event.

    `causation_id` is the id of the event that led to this one, `correlation_id` names all that
    followed from one request. `token_id` is None where no token of ours was shown: for the system
    itself, and for users whom an identity provider vouches for. `real_user_id` is the
    administrator who acted as the actor.

    `idempotency_key` is what the client sent until it is recorded. The log has a hash of it under a
    secret of the actor, whose erasure deletes that; what was appended comes back without either.
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

    `content` is its personal text; `subject_id` the user whom that text is about, without
    whom content is refused. `metadata` are its own circumstances where they are not those of the
    append.
    """

    event: AnyEvent
    content: str | None = None
    subject_id: int | None = None
    metadata: Metadata | None = None
    event_id: UUID = msgspec.field(default_factory=uuid7)


class RecordedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it stands in the log.

    `position` counts from 1 in the account's log, `revision` from 1 in the stream. `content`
    is None where there never was any (then `content_hash` is None as well) or it was erased.
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
        """There was content, and it was deleted."""
        return self.content is None and self.content_hash is not None


NO_STREAM: Literal[0] = 0
"""Expected revision of a stream that has no event yet."""

SALT = 16
"""Bytes of a text's salt. Were it of any length, a text's beginning could be moved into it."""

NO_END = 2**63 - 1
"""The revision to read up to where there is no bound."""
