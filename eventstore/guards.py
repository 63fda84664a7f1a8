"""Preconditions of an append, which are checked again in its transaction."""

from datetime import datetime

import msgspec


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """At most so many events of a kind by a user on the append's day (UTC)."""

    user_id: int
    kind: str
    most: int


class Guard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state that a request was checked against; an append is refused if it has changed.

    Attributes:
        position: Of the log's last event at that time.
        streams: Streams that must have no newer event, besides the append's own.
        token_id: A token of ours that must still be valid; with `admin`, an administrator's.
        until: When an identity provider's token expires.
        user_id: The user who must still have the name `subject` at their identity provider, and
            `role` in the course `course_id`, where these are given.
        limit: The user's daily limit.
    """

    position: int
    streams: tuple[str, ...] = ()
    token_id: int | None = None
    admin: bool = False
    until: datetime | None = None
    user_id: int | None = None
    subject: str | None = None
    course_id: int | None = None
    role: str | None = None
    limit: Quota | None = None
