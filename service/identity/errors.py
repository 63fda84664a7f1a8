"""Refusals of identity providers' tokens and of rosters. Clients do not see a token's reason."""

from typing import Literal

from service.errors import ServiceError

Reason = Literal[
    "too_large",
    "malformed",
    "unknown_issuer",
    "algorithm",
    "unknown_key",
    "signature",
    "audience",
    "expired",
    "not_yet_valid",
    "claims",
]


class TokenRefused(Exception):
    """The token is not accepted.

    Args:
        issuer: The token's issuer, if it is a trusted one.
        claim: The name of the claim that failed a check, if one did.
    """

    def __init__(self, reason: Reason, issuer: str | None = None, claim: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.issuer = issuer
        self.claim = claim


class RosterError(ServiceError):
    """The roster file cannot be imported; `lines` say why."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
