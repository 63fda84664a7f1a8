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
        token_hash: The hash of an access token; None if `claims` are given.
        claims: The verified claims of an identity provider's token.
        as_user_id: The user as whom the caller wants to act; 0, which no user has, for an invalid
            id.
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
        pool: Looks up the account of an access token.
        verifier: Verifies identity providers' tokens; None if there are no providers.
        capacity: Tokens, and users of identity providers, that are cached at most.
    """

    def __init__(
        self, pool: Pool, verifier: TokenVerifier | None = None, capacity: int = _CAPACITY
    ) -> None:
        self._capacity = capacity
        self._pool = pool
        self._verifier = verifier
        # A token never changes its account. Its validity is looked up with each request.
        self._accounts: dict[bytes, int] = {}
        self._created: set[tuple[int, int]] = set()

    async def authenticate(self, token: str, *, anew: bool = False) -> Credentials:
        """The account of a token. Permissions are checked later.

        Args:
            anew: Look an access token up even if its account is cached: it may be revoked.

        Raises:
            InvalidToken: It is unknown, or no longer valid.
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
        user = (credentials.account_id, user_id)
        if credentials.claims is None or user in self._created:
            return
        await pool.fetchval(credentials.account_id, query("admit_user"), *user)
        if len(self._created) >= self._capacity:
            self._created.clear()
        self._created.add(user)

    async def _account(self, token_hash: bytes) -> int:
        cached = self._accounts.get(token_hash)
        if cached is not None:
            return cached
        account_id = await self._pool.fetchval(query("find_token_account"), token_hash)
        if account_id is None:
            raise InvalidToken
        if len(self._accounts) >= self._capacity:
            self._accounts.pop(next(iter(self._accounts)))
        self._accounts[token_hash] = int(account_id)
        return int(account_id)


async def _verified(verifier: TokenVerifier, token: str) -> VerifiedClaims:
    try:
        return await verifier.verify(token)
    except TokenRefused as refused:
        log.info("token_refused", reason=refused.reason, claim=refused.claim, issuer=refused.issuer)
        raise InvalidToken from None
