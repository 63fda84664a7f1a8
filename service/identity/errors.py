"""Why a provider's token is refused: for the log line alone, clients are told nothing of it."""

from typing import Literal

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
    """The token proves nothing.

    Args:
        issuer: Set where it is one of the settings.
        claim: The name of the claim at which it failed, where it was at one.
    """

    def __init__(self, reason: Reason, issuer: str | None = None, claim: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.issuer = issuer
        self.claim = claim
