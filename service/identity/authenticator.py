"""Authenticates requests: finds the account, which scopes all further look-ups."""

from typing import NamedTuple, Protocol

import structlog

from eventstore.connections import AccountPool, Pool
from service.errors import InvalidToken
from service.identity.claims import VerifiedClaims
from service.identity.errors import TokenRefused
from service.identity.tokens import PREFIX, digest
from sql.loader import query

_CAPACITY = 10_000
"""Tokens, and users of identity providers, that are cached at most."""

log = structlog.get_logger("colloquy.callers")


class Credentials(NamedTuple):
    """The credentials of a request.

    Attributes:
        token_hash: Of a token of ours; or
        claims: what the account's identity provider has signed.
        as_user_id: Whom the caller asks to act as; 0, which no user has, for what is no id.
    """

    account_id: int
    token_hash: bytes | None = None
    claims: VerifiedClaims | None = None
    as_user_id: int | None = None

    @property
    def plain_token(self) -> bytes | None:
        """The hash of an access token whose bearer does not act as another user."""
        return self.token_hash if self.as_user_id is None else None

    def arguments(self) -> tuple[int, bytes | None, int | None, str | None, int | None]:
        """The first five arguments of `get_access.sql`."""
        user_id = self.claims.user_id if self.claims else None
        subject = self.claims.subject if self.claims else None
        return self.account_id, self.token_hash, user_id, subject, self.as_user_id


class TokenVerifier(Protocol):
    """Verifies tokens of identity providers."""

    async def verify(self, token: str) -> VerifiedClaims:
        """The claims of a valid token; raises `TokenRefused` for another."""


class Authenticator:
    """Finds the account of a request.

    Args:
        pool: For looking up which account a token belongs to.
        verifier: Of tokens that identity providers have signed, where these are taken.
    """

    def __init__(
        self, pool: Pool, verifier: TokenVerifier | None = None, capacity: int = _CAPACITY
    ) -> None:
        self._capacity = capacity
        self._pool = pool
        self._verifier = verifier
        # A token never changes its account; whether it still works is asked each time.
        self._accounts: dict[bytes, int] = {}
        self._admitted: set[tuple[int, int]] = set()

    async def authenticate(self, token: str, *, anew: bool = False) -> Credentials:
        """The account of a token. Permissions are checked later.

        Args:
            anew: Look up a token of ours also where its account is known: it may be revoked.

        Raises:
            InvalidToken: It is of no account, or does not work any more.
        """
        if self._verifier and not token.startswith(PREFIX) and token.count(".") == 2:
            claims = await _verified(self._verifier, token)
            return Credentials(claims.account_id, claims=claims)
        token_hash = digest(token)
        if anew:
            self._accounts.pop(token_hash, None)
        return Credentials(await self._account(token_hash), token_hash)

    async def ensure_user(self, pool: AccountPool, credentials: Credentials, user_id: int) -> None:
        """Creates a user who is known only from an identity provider's token."""
        known = (credentials.account_id, user_id)
        if credentials.claims is None or known in self._admitted:
            return
        await pool.fetchval(credentials.account_id, query("admit_user"), *known)
        if len(self._admitted) >= self._capacity:
            self._admitted.clear()
        self._admitted.add(known)

    async def _account(self, token_hash: bytes) -> int:
        known = self._accounts.get(token_hash)
        if known is not None:
            return known
        found = await self._pool.fetchval(query("find_token_account"), token_hash)
        if found is None:
            raise InvalidToken
        if len(self._accounts) >= self._capacity:
            self._accounts.pop(next(iter(self._accounts)))
        self._accounts[token_hash] = int(found)
        return int(found)


async def _verified(verifier: TokenVerifier, token: str) -> VerifiedClaims:
    try:
        return await verifier.verify(token)
    except TokenRefused as refused:
        log.info("token_refused", reason=refused.reason, claim=refused.claim, issuer=refused.issuer)
        raise InvalidToken from None
