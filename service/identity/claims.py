"""Reads the caller from a token's claims, by the mapping in the settings."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import msgspec

from service.identity.errors import TokenRefused
from service.identity.issuers import Issuer

LARGEST_ID = 2**63 - 1
_STRONGEST_FIRST = ("teacher", "ta", "designer", "observer", "learner")
_MAX_SUBJECT = 255

T = TypeVar("T")


class VerifiedClaims(msgspec.Struct, frozen=True, kw_only=True):
    """The caller, as an account's identity provider signed it.

    Attributes:
        user_id: The user's id; None if `subject` is looked up instead.
        scopes: The token's scopes; none means all.
        roles: The role in each course; None if the roster has them.
        until: When the token expires; None for a time beyond the calendar.
    """

    account_id: int
    user_id: int | None = None
    subject: str | None = None
    scopes: tuple[str, ...] = ()
    roles: Mapping[int, str] | None = None
    until: datetime | None = None


def read_claims(claims: Mapping[str, Any], issuer: Issuer, skew: float) -> VerifiedClaims:
    """The caller in the claims of a token with a valid signature.

    Args:
        skew: Seconds by which clocks may differ.

    Raises:
        TokenRefused: A claim that the settings name is missing or malformed.
    """
    names = issuer.claims
    return VerifiedClaims(
        account_id=_account(claims, issuer),
        user_id=_read(claims, names.user_id, _user_id) if names.user_id else None,
        subject=_read(claims, names.subject, _subject) if names.subject else None,
        scopes=_read(claims, names.scopes, _scopes) if names.scopes else (),
        roles=_read(claims, names.courses, partial(_roles, mapping=issuer.roles))
        if names.courses
        else None,
        until=_until(claims["exp"], skew),
    )


def _read(claims: Mapping[str, Any], name: str, reader: Callable[[Any], T]) -> T:
    """Reads a claim; an error names it."""
    try:
        return reader(claims.get(name))
    except TokenRefused as refused:
        raise TokenRefused(refused.reason, claim=name) from None


def _until(expiry: Any, skew: float) -> datetime | None:
    """None for a time beyond the calendar."""
    try:
        return datetime.fromtimestamp(int(expiry) + skew, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _account(claims: Mapping[str, Any], issuer: Issuer) -> int:
    if issuer.account is not None:
        return issuer.account
    claim = str(issuer.claims.account)
    name = claims.get(claim)
    account = issuer.accounts.get(name) if isinstance(name, str) else None
    if account is None:
        raise TokenRefused("claims", claim=claim)
    return account


def _user_id(value: Any) -> int:
    number = _number(value)
    if number is None:
        raise TokenRefused("claims")
    return number


def _number(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value <= LARGEST_ID else None


def _subject(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_SUBJECT or not _storable(value):
        raise TokenRefused("claims")
    return value


def _storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


def _scopes(value: Any) -> tuple[str, ...]:
    """The scopes; never empty, since that would mean all."""
    listed = value.split() if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed:
        raise TokenRefused("claims")
    if not all(isinstance(scope, str) and _storable(scope) for scope in listed):
        raise TokenRefused("claims")
    return tuple(listed)


def _roles(value: Any, mapping: Mapping[str, str]) -> dict[int, str]:
    """The strongest role in each course; unmapped names are ignored."""
    if not isinstance(value, dict):
        raise TokenRefused("claims")
    roles: dict[int, str] = {}
    for course, names in value.items():
        course_id = _number(course)
        names = [names] if isinstance(names, str) else names
        if course_id is None or not isinstance(names, list):
            raise TokenRefused("claims")
        mapped = {mapping.get(name) for name in names if isinstance(name, str)}
        if role := next((role for role in _STRONGEST_FIRST if role in mapped), None):
            roles[course_id] = role
    return roles
