"""Authorization: one row of the database tells who the caller is and what they may do.

The checks run in a fixed order: token, scope, course membership, experience, conversation.
"""

from collections.abc import Collection
from typing import Literal

import asyncpg
import msgspec

from eventstore.experience_events import stream_of_experience
from eventstore.guards import Guard
from eventstore.privacy_events import LEARNER_STREAMS, stream_of_learner
from service.errors import InsufficientScopes, InvalidToken, NotAuthorized, NotFound
from service.identity.authenticator import Credentials

MANAGERS = frozenset({"teacher", "ta", "designer"})
ANALYST = "analyst"
"""The role of a caller whose token's scope covers the figures of every course."""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """A caller who has passed the checks.

    Attributes:
        token_id: The access token; None for an identity provider's token.
        experience_id, experience_version: 0 if the path names no experience.
        conversation_user_id, conversation_state: None if the path names no conversation, or one
            that does not exist.
        guard: Repeats the checks when the request appends to the log; None if it may only read.
        real_user_id: The administrator who acts as `user_id`, if one does.
        admin: Whether the caller is an administrator who does not act as another user.
    """

    account_id: int
    user_id: int
    token_id: int | None
    role: str
    course_id: int
    experience_id: int
    experience_version: int
    conversation_user_id: int | None
    conversation_state: Literal["active", "completed"] | None
    guard: Guard | None = None
    real_user_id: int | None = None
    admin: bool = False

    @property
    def manages(self) -> bool:
        """Whether the caller is one of the course's managers."""
        return self.role in MANAGERS


def authorize(
    credentials: Credentials,
    row: asyncpg.Record | None,
    scope: str,
    *,
    of_course: bool = False,
    everywhere: str | None = None,
) -> Access:
    """The caller in a row of `get_access_v1`, if they have the permission.

    Args:
        scope: The scope of the endpoint, as ``url:GET|/api/v1/…``.
        of_course: Whether the path names a course without an experience.
        everywhere: Another scope, which makes its bearer an analyst in every course.

    Raises:
        ServiceError: The first check that fails.
    """
    analyst = row is not None and everywhere in (_scopes(credentials, row) or ())
    row = _check_token(credentials, row, everywhere if everywhere and analyst else scope)
    if row["course_id"] is None:
        raise NotFound
    role = ANALYST if analyst else _role(credentials, row)
    if role is None:
        raise NotAuthorized
    if not of_course:
        _check_experience(row, role)
    return Access(
        account_id=credentials.account_id,
        user_id=row["user_id"],
        token_id=row["token_id"],
        role=role,
        course_id=row["course_id"],
        experience_id=row["experience_id"] or 0,
        experience_version=row["experience_version"] or 0,
        conversation_user_id=row["conversation_user_id"],
        conversation_state=row["conversation_state"],
        guard=_guard(credentials, row),
        real_user_id=None if credentials.as_user_id is None else row["real_user_id"],
    )


def authorize_account(
    credentials: Credentials, row: asyncpg.Record | None, scope: str, *, explicit: bool = False
) -> Access:
    """The caller of an endpoint outside any course.

    Args:
        explicit: Whether the token must list the scope: one without scopes does not have it.

    Raises:
        ServiceError: The first check that fails.
    """
    row = _check_token(credentials, row, scope, explicit=explicit)
    admin = credentials.as_user_id is None and bool(row["admin"])
    return Access(
        account_id=credentials.account_id,
        user_id=row["user_id"],
        token_id=row["token_id"],
        role="admin" if admin else "user",
        course_id=0,
        experience_id=0,
        experience_version=0,
        conversation_user_id=None,
        conversation_state=None,
        guard=_guard(credentials, row),
        real_user_id=None if credentials.as_user_id is None else row["real_user_id"],
        admin=admin,
    )


def of_people(guard: Guard, *others: int | None) -> Guard:
    """The guard without the experience's stream, for actions that do not depend on it.

    Args:
        others: Further users whom the action concerns.
    """
    streams = {name for name in guard.streams if name.startswith(LEARNER_STREAMS)}
    streams |= {stream_of_learner(user_id) for user_id in others if user_id is not None}
    return msgspec.structs.replace(guard, streams=tuple(sorted(streams)))


def _guard(credentials: Credentials, row: asyncpg.Record) -> Guard | None:
    """The guard that repeats the checks in the append."""
    position: int | None = row.get("position")
    if position is None:
        return None
    claims = credentials.claims
    of_roster = row["role"] is not None and not (claims and claims.roles is not None)
    return Guard(
        position=position,
        streams=_streams(row),
        token_id=row["token_id"],
        admin=credentials.as_user_id is not None or bool(row["admin"]),
        until=claims.until if claims else None,
        user_id=row["user_id"],
        subject=claims.subject if claims else None,
        course_id=row["course_id"] if of_roster else None,
        role=row["role"] if of_roster else None,
    )


def _streams(row: asyncpg.Record) -> tuple[str, ...]:
    """The streams of the caller, of the learner concerned, and of the experience."""
    people = {row["user_id"], row["real_user_id"], row["conversation_user_id"]} - {None}
    experience = row["experience_id"]
    return (
        *(stream_of_learner(user_id) for user_id in sorted(people)),
        *((stream_of_experience(experience),) if experience else ()),
    )


def _check_token(
    credentials: Credentials, row: asyncpg.Record | None, scope: str, *, explicit: bool = False
) -> asyncpg.Record:
    if row is None or row["real_user_id"] is None or row["stale"]:
        raise InvalidToken
    scopes = _scopes(credentials, row)
    if (scopes or explicit) and scope not in (scopes or ()):
        raise InsufficientScopes
    _check_masquerade(credentials, row)
    return row


def _scopes(credentials: Credentials, row: asyncpg.Record) -> Collection[str] | None:
    scopes: Collection[str] | None = (
        credentials.claims.scopes if credentials.claims else row["scopes"]
    )
    return scopes


def _check_masquerade(credentials: Credentials, row: asyncpg.Record) -> None:
    if credentials.as_user_id is None:
        return
    if not row["admin"]:
        raise NotAuthorized
    if row["user_id"] is None:
        raise NotFound


def _role(credentials: Credentials, row: asyncpg.Record) -> str | None:
    """The role from the token's claims, else from the roster."""
    if credentials.claims and credentials.claims.roles is not None:
        return credentials.claims.roles.get(row["course_id"])
    role: str | None = row["role"]
    return role


def _check_experience(row: asyncpg.Record, role: str) -> None:
    state = row["experience_state"]
    if state is None or state == "deleted":
        raise NotFound
    if state != "published" and role not in (*MANAGERS, ANALYST):
        raise NotFound
