"""Who asks, and whether they may: one row of the database answers all of it.

The checks run in a fixed order: token, scope, course membership, experience, conversation.
"""

from typing import Literal

import asyncpg
import msgspec
from aiohttp import web

from service.errors import (
    InsufficientScopes,
    InvalidToken,
    NotAuthorized,
    NotFound,
    Unauthenticated,
)
from service.tokens import digest

MANAGERS = frozenset({"teacher", "ta", "designer"})
_LARGEST_ID = 2**63 - 1


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """A caller who has passed the checks.

    `experience_*` are 0 where the path names no experience; `conversation_*` are None where it
    names no conversation or there is no such one. `used` counts the caller's requests of today of
    the kind that is limited.
    """

    account_id: int
    user_id: int
    token_id: int
    role: str
    course_id: int
    experience_id: int
    experience_version: int
    conversation_user_id: int | None
    conversation_state: Literal["active", "completed"] | None
    used: int = 0

    @property
    def manages(self) -> bool:
        """Whether the caller is one of the course's managers."""
        return self.role in MANAGERS


def path_id(request: web.Request, name: str) -> int | None:
    """A numeric id of the path; None for what cannot be an id."""
    text = request.match_info.get(name, "")
    if not (text.isascii() and text.isdigit()):
        return None
    number = int(text) if len(text) <= 19 else 0
    return number if 0 < number <= _LARGEST_ID else None


def bearer_digest(request: web.Request) -> bytes:
    """Hash of the request's bearer token.

    Raises:
        Unauthenticated: There is none.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated
    return digest(token.strip())


def check(row: asyncpg.Record | None, scope: str, *, of_course: bool = False) -> Access:
    """The caller of whom `get_access.sql` (or its like) tells, if they may.

    Args:
        scope: The scope of the endpoint, as ``url:GET|/api/v1/…``.
        of_course: The path names a course and nothing in it.

    Raises:
        ServiceError: The first check that fails.
    """
    if row is None or row["stale"]:
        raise InvalidToken
    if row["scopes"] and scope not in row["scopes"]:
        raise InsufficientScopes
    if not row["course_exists"]:
        raise NotFound
    if row["role"] is None:
        raise NotAuthorized
    if not of_course:
        _check_experience(row)
    return Access(
        account_id=row["account_id"],
        user_id=row["user_id"],
        token_id=row["token_id"],
        role=row["role"],
        course_id=row["course_id"],
        experience_id=row["experience_id"] or 0,
        experience_version=row["experience_version"] or 0,
        conversation_user_id=row["conversation_user_id"],
        conversation_state=row["conversation_state"],
        used=row.get("used") or 0,
    )


def _check_experience(row: asyncpg.Record) -> None:
    state = row["experience_state"]
    if state is None or state == "deleted":
        raise NotFound
    if state != "published" and row["role"] not in MANAGERS:
        raise NotFound
