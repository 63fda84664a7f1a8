"""Verifies identity providers' tokens: form, issuer, key, signature, times and claims."""

import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Any

import aiohttp
import jwt
from jwt.exceptions import (
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidJTIError,
    InvalidSignatureError,
    InvalidSubjectError,
    InvalidTokenError,
    MissingRequiredClaimError,
    PyJWTError,
)
from jwt.types import Options
from jwt.utils import base64url_decode, base64url_encode

from service.identity.claims import VerifiedClaims, read_claims
from service.identity.errors import Reason, TokenRefused
from service.identity.issuers import Issuer, TrustedIssuers
from service.identity.jwks import KeySet

MAX_TOKEN = 8 * 1024
_ALGORITHMS = frozenset({"RS256", "ES256"})
_ALWAYS_REQUIRED = ("iss", "aud", "exp")
_NO_TIMES: Options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
_MAX_KID = 200
_CLAIMS: tuple[tuple[type[PyJWTError], str], ...] = (
    (InvalidAudienceError, "aud"),
    (InvalidIssuerError, "iss"),
    (InvalidSubjectError, "sub"),
    (InvalidJTIError, "jti"),
)
_REASONS: tuple[tuple[type[PyJWTError], Reason], ...] = (
    (InvalidAudienceError, "audience"),
    (InvalidIssuerError, "unknown_issuer"),
    (InvalidSignatureError, "signature"),
)


class JwtVerifier:
    """Verifies tokens and reads their claims.

    Args:
        trust: The trusted issuers.
        keys: Each issuer's keys, by its name.
        now: Gives the time for checking a token's validity.
    """

    def __init__(
        self, trust: TrustedIssuers, keys: dict[str, KeySet], now: Callable[[], datetime]
    ) -> None:
        self._issuers = {issuer.issuer: issuer for issuer in trust.issuer}
        self._skew = trust.clock_skew
        self._keys = keys
        self._now = now

    async def verify(self, token: str) -> VerifiedClaims:
        """The claims of a valid token.

        Raises:
            TokenRefused: The token is not accepted; the reason is for the log only.
        """
        if len(token) > MAX_TOKEN:
            raise TokenRefused("too_large")
        if not all(_is_canonical(part) for part in token.split(".")):
            raise TokenRefused("malformed")
        issuer, header = self._read(token)
        try:
            claims = await self._verified(token, header, issuer)
            _check_times(claims, self._now().timestamp(), self._skew)
            return read_claims(claims, issuer, self._skew)
        except TokenRefused as refused:
            raise TokenRefused(refused.reason, issuer.issuer, refused.claim) from None

    def _read(self, token: str) -> tuple[Issuer, dict[str, Any]]:
        """The issuer that the token names, not verified yet, and its header."""
        try:
            header = jwt.get_unverified_header(token)
            claims = jwt.decode(token, options={"verify_signature": False})
        except (PyJWTError, ValueError, RecursionError):
            raise TokenRefused("malformed") from None
        name = claims.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise TokenRefused("unknown_issuer", claim="iss")
        return issuer, header

    async def _verified(self, token: str, header: dict[str, Any], issuer: Issuer) -> dict[str, Any]:
        if header.get("alg") not in _ALGORITHMS or "crit" in header:
            raise TokenRefused("algorithm")
        kid = header.get("kid")
        if kid is not None and not (isinstance(kid, str) and len(kid) <= _MAX_KID):
            raise TokenRefused("unknown_key")
        key = await self._keys[issuer.issuer].find(kid)
        if key is None:
            raise TokenRefused("unknown_key")
        if key.algorithm_name != header["alg"]:  # the key says how it signs, not the token
            raise TokenRefused("algorithm")
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=issuer.audience,
                issuer=issuer.issuer,
                options={
                    **_NO_TIMES,  # the library asks the machine's clock, and can ask no other
                    "require": [*_ALWAYS_REQUIRED, *issuer.required],
                },
            )
        except (PyJWTError, ValueError, OverflowError) as error:
            raise TokenRefused(_reason(error), claim=_claim(error)) from None


@asynccontextmanager
async def running_verifier(
    trust: TrustedIssuers,
    now: Callable[[], datetime],
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[JwtVerifier]:
    """A verifier that fetches its keys in the background, so that no provider delays the start.

    Args:
        trust: The trusted issuers.
        now: Gives the time for checking a token's validity.
        clock: Gives seconds that only ever grow, for the age of keys.
    """
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        keys = {issuer.issuer: KeySet(issuer.jwks_url, http, clock) for issuer in trust.issuer}
        for key_set in keys.values():
            stack.push_async_callback(key_set.close)
            key_set.start()
        yield JwtVerifier(trust, keys, now)


def _check_times(claims: Mapping[str, Any], now: float, skew: float) -> None:
    """Refuses a token before or after its time (RFC 7519, section 4.1).

    Args:
        now: Seconds since 1970, as the claims have them.
        skew: Seconds that clocks may differ.
    """
    for name in ("exp", "nbf", "iat"):
        if name not in claims:
            continue
        seconds = claims[name]
        if not _is_number(seconds):
            raise TokenRefused("claims", claim=name)
        if name == "exp" and not seconds > now - skew:
            raise TokenRefused("expired", claim=name)
        if name != "exp" and not seconds <= now + skew:
            raise TokenRefused("not_yet_valid", claim=name)


def _is_number(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole or (isinstance(value, float) and math.isfinite(value))


def _is_canonical(part: str) -> bool:
    """Whether a part is canonical base64url without padding (RFC 7515, section 2).

    Otherwise a token could be written in several ways.
    """
    try:
        written = part.encode("ascii")
        return base64url_encode(base64url_decode(written)) == written
    except ValueError:
        return False


def _reason(error: Exception) -> Reason:
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    return "claims" if isinstance(error, InvalidTokenError) else "malformed"


def _claim(error: Exception) -> str | None:
    """The claim at which the library's check failed."""
    if isinstance(error, MissingRequiredClaimError):
        return error.claim
    for kind, name in _CLAIMS:
        if isinstance(error, kind):
            return name
    return None
