"""Checks the tokens of identity providers: form, issuer, key, signature, times, claims."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import jwt
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuedAtError,
    InvalidIssuerError,
    InvalidJTIError,
    InvalidSignatureError,
    InvalidSubjectError,
    InvalidTokenError,
    MissingRequiredClaimError,
    PyJWTError,
)
from jwt.utils import base64url_decode, base64url_encode

from service.identity.claims import VerifiedClaims, read_claims
from service.identity.errors import Reason, TokenRefused
from service.identity.issuers import Issuer, TrustedIssuers
from service.identity.jwks import KeySet

MAX_TOKEN = 8 * 1024
_ALGORITHMS = frozenset({"RS256", "ES256"})
_ALWAYS_REQUIRED = ("iss", "aud", "exp")
_MAX_KID = 200
_CLAIMS: tuple[tuple[type[PyJWTError], str], ...] = (
    (ExpiredSignatureError, "exp"),
    (InvalidAudienceError, "aud"),
    (InvalidIssuerError, "iss"),
    (InvalidIssuedAtError, "iat"),
    (InvalidSubjectError, "sub"),
    (InvalidJTIError, "jti"),
)
_REASONS: tuple[tuple[type[PyJWTError], Reason], ...] = (
    (ExpiredSignatureError, "expired"),
    (ImmatureSignatureError, "not_yet_valid"),
    (InvalidAudienceError, "audience"),
    (InvalidIssuerError, "unknown_issuer"),
    (InvalidSignatureError, "signature"),
)


class JwtVerifier:
    """Tells whom a provider's token is of.

    Args:
        trust: Whose tokens are taken.
        keys: Each issuer's, by its name.
    """

    def __init__(self, trust: TrustedIssuers, keys: dict[str, KeySet]) -> None:
        self._issuers = {issuer.issuer: issuer for issuer in trust.issuer}
        self._skew = trust.clock_skew
        self._keys = keys

    async def verify(self, token: str) -> VerifiedClaims:
        """Whom the token is of.

        Raises:
            TokenRefused: It proves nothing; the reason is for the log alone.
        """
        if len(token) > MAX_TOKEN:
            raise TokenRefused("too_large")
        if not all(_is_canonical(part) for part in token.split(".")):
            raise TokenRefused("malformed")
        issuer, header = self._read(token)
        try:
            claims = await self._verified(token, header, issuer)
            return read_claims(claims, issuer, self._skew)
        except TokenRefused as refused:
            raise TokenRefused(refused.reason, issuer.issuer, refused.claim) from None

    def _read(self, token: str) -> tuple[Issuer, dict[str, Any]]:
        """The issuer whose the token says it is, not believed yet, and its header."""
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
                leeway=self._skew,
                options={"require": [*_ALWAYS_REQUIRED, *issuer.required]},
            )
        except (PyJWTError, ValueError, OverflowError) as error:
            raise TokenRefused(_reason(error), claim=_claim(error)) from None


@asynccontextmanager
async def running_verifier(
    trust: TrustedIssuers, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[JwtVerifier]:
    """A verifier whose keys are being fetched; a provider that is down delays nothing."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        keys = {issuer.issuer: KeySet(issuer.jwks_url, http, clock) for issuer in trust.issuer}
        for key_set in keys.values():
            stack.push_async_callback(key_set.close)
            key_set.start()
        yield JwtVerifier(trust, keys)


def _is_canonical(part: str) -> bool:
    """Whether it is the one base64url text of its bytes (RFC 7515, section 2): it has no padding.

    Where others were taken as well, a token could be written in many ways.
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
    """The claim at which a check failed; the words of the others are the library's, and name it."""
    if isinstance(error, MissingRequiredClaimError):
        return error.claim
    for kind, name in _CLAIMS:
        if isinstance(error, kind):
            return name
    return next((name for name in ("nbf", "iat", "exp") if f"({name})" in str(error)), None)
