"""What an append rests on, which is looked at again in its transaction."""

from datetime import datetime

import msgspec


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """How often a user may do something of a kind in a day, by the day that the append is of."""

    user_id: int
    kind: str
    most: int


class Guard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was so when a request was checked; an append of which this is no more so is refused.

    Attributes:
        position: Of the log's last event at that time.
        streams: Those in which nothing may have come since, beside the append's own.
        token_id: A token of ours, which must still work; `admin`: as an administrator's.
        until: When the token of an identity provider ceases to be valid.
        user_id: Who has the name `subject` at their identity provider, and who has `role` in the
            course `course_id`, where these are given.
        limit: How often the user may do it in a day.
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
