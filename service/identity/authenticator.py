"""Whose request it is: the account first, by which all else is looked up."""

from typing import NamedTuple, Protocol

import structlog
from aiohttp import web

from eventstore.connections import AccountPool, Pool
from service.errors import InvalidToken, Unauthenticated
from service.http.forms import await_body, named_user
from service.identity.claims import Claimed
from service.identity.errors import TokenRefused
from service.identity.tokens import PREFIX, digest
from service.parsing import read_id
from sql.loader import query

_REMEMBERED = 10_000

log = structlog.get_logger("colloquy.callers")


class Caller(NamedTuple):
    """What a request shows of who makes it.

    Attributes:
        token_hash: Of a token of ours; or
        claimed: what the account's identity provider has signed.
        as_user_id: Whom the caller asks to act as; 0, which no user has, for what is no id.
    """

    account_id: int
    token_hash: bytes | None = None
    claimed: Claimed | None = None
    as_user_id: int | None = None

    @property
    def plain_token(self) -> bytes | None:
        """The hash of a token of ours whose bearer acts as themself."""
        return self.token_hash if self.as_user_id is None else None

    def arguments(self) -> tuple[int, bytes | None, int | None, str | None, int | None]:
        """The first five arguments of `get_access.sql`."""
        user_id = self.claimed.user_id if self.claimed else None
        subject = self.claimed.subject if self.claimed else None
        return self.account_id, self.token_hash, user_id, subject, self.as_user_id


class Identities(Protocol):
    """Tells whom an identity provider's token is of."""

    async def identify(self, token: str) -> Claimed:
        """Whom the token is of; raises `TokenRefused` where it proves nothing."""


class Callers:
    """Tells which account a request is of.

    Args:
        pool: For looking up which account a token belongs to.
        identities: Identity providers whose tokens are taken, if there are any.
    """

    def __init__(self, pool: Pool, identities: Identities | None = None) -> None:
        self._pool = pool
        self._identities = identities
        # A token never changes its account; whether it still works is asked each time.
        self._accounts: dict[bytes, int] = {}
        self._admitted: set[tuple[int, int]] = set()

    async def of(self, request: web.Request) -> Caller:
        """Who makes the request, when its body is there; what they may do is not checked yet.

        Raises:
            Unauthenticated: There is no token; the body is not waited for.
            InvalidToken: It is of no account, or does not work any more: then a body that is still
                to come is not waited for.
            HTTPRequestTimeout: The body did not arrive in time.
        """
        bearer = await self._bearer(request)
        await await_body(request)
        return bearer._replace(as_user_id=await _as_user(request))

    async def _bearer(self, request: web.Request) -> Caller:
        token = bearer_token(request)
        if self._identities and not token.startswith(PREFIX) and token.count(".") == 2:
            claimed = await _identify(self._identities, token)
            return Caller(claimed.account_id, claimed=claimed)
        token_hash = digest(token)
        if not request.content.is_eof():  # nobody waits for a body of a token that works no more
            self._accounts.pop(token_hash, None)
        return Caller(await self._account(token_hash), token_hash)

    async def admit(self, pool: AccountPool, caller: Caller, user_id: int) -> None:
        """Makes a user known for whom only their identity provider vouches."""
        known = (caller.account_id, user_id)
        if caller.claimed is None or known in self._admitted:
            return
        await pool.fetchval(caller.account_id, query("admit_user"), *known)
        if len(self._admitted) >= _REMEMBERED:
            self._admitted.clear()
        self._admitted.add(known)

    async def _account(self, token_hash: bytes) -> int:
        known = self._accounts.get(token_hash)
        if known is not None:
            return known
        found = await self._pool.fetchval(query("find_token_account"), token_hash)
        if found is None:
            raise InvalidToken
        if len(self._accounts) >= _REMEMBERED:
            self._accounts.pop(next(iter(self._accounts)))
        self._accounts[token_hash] = int(found)
        return int(found)


def bearer_token(request: web.Request) -> str:
    """The request's bearer token.

    Raises:
        Unauthenticated: There is none.
    """
    scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
    token = rest.strip(" ")  # other white space is part of it, and so of no token of ours
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated
    return token


async def _identify(identities: Identities, token: str) -> Claimed:
    try:
        return await identities.identify(token)
    except TokenRefused as refused:
        log.info("token_refused", reason=refused.reason, claim=refused.claim, issuer=refused.issuer)
        raise InvalidToken from None


async def _as_user(request: web.Request) -> int | None:
    text = await named_user(request)
    return (read_id(text) or 0) if text else None
