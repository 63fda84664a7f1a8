"""Authentication by a request's headers and query."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from eventstore.connections import Connection, Pool, close_pool, open_pool
from service.errors import InvalidToken, Unauthenticated
from service.http.authentication import authenticate, bearer_token
from service.http.request_keys import AUTHENTICATOR
from service.identity.accounts import create_account
from service.identity.authenticator import Authenticator, Credentials
from service.identity.claims import VerifiedClaims
from service.identity.errors import TokenRefused
from service.identity.roster import Enrollment, import_roster
from service.identity.tokens import create_token, digest, revoke_token

CLAIMS = VerifiedClaims(account_id=2, subject="ada", scopes=("x",))


class Provider:
    """Verifies one token."""

    async def verify(self, token: str) -> VerifiedClaims:
        if token == "a.b.c":
            return CLAIMS
        raise TokenRefused("signature")


def request_with(
    authorization: str | None, query: str = "", authenticator: Authenticator | None = None
) -> web.Request:
    headers, app = {} if authorization is None else {"Authorization": authorization}, None
    if authenticator is not None:
        app = web.Application()
        app[AUTHENTICATOR] = authenticator
    return make_mocked_request("GET", "/" + query, headers=headers, app=app)


async def token_of(owner: Connection, account_id: int, user_id: int = 7) -> str:
    row = Enrollment(course_id=1, user_id=user_id, name="Ada", role="learner", status="active")
    await import_roster(owner, account_id, [row])
    return await create_token(owner, account_id, user_id)


@pytest.fixture
async def pool(database_url: str) -> Pool:
    return await open_pool(database_url, "colloquy_worker", 1)


@pytest.mark.parametrize("header", ["Bearer abc", "bearer abc", "BEARER  abc  "])
def test_a_bearer_token_is_taken_without_what_is_around_it(header: str) -> None:
    assert bearer_token(request_with(header)) == "abc"


@pytest.mark.parametrize("space", ["\t", "\x1f", "\x85", "\xa0", "\u2003", "\u3000", "\ufeff"])
async def test_a_token_with_other_white_space_around_it_is_refused(
    owner: Connection, pool: Pool, space: str
) -> None:
    token = await token_of(owner, 1)
    for around in (f"{space}{token}", f"{token}{space}", f" {token} {space}"):
        with pytest.raises(InvalidToken):
            await authenticate(request_with(f"Bearer {around}", "", Authenticator(pool)))
    await close_pool(pool)


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic abc", "abc", "Bearerabc", "Token abc"]
)
async def test_other_headers_are_refused(header: str | None, pool: Pool) -> None:
    with pytest.raises(Unauthenticated):
        await authenticate(request_with(header, "", Authenticator(pool)))
    await close_pool(pool)


async def test_a_token_is_of_its_users_account(owner: Connection, pool: Pool) -> None:
    second = await create_account(owner, "Another institution")
    authenticator = Authenticator(pool)
    for account in (1, second):
        token = await token_of(owner, account)
        assert await authenticator.authenticate(token) == Credentials(account, digest(token))
    with pytest.raises(InvalidToken):
        await authenticator.authenticate("colloquy_of-nobody")
    await close_pool(pool)


async def test_a_tokens_account_is_looked_up_once_without_its_validity(
    owner: Connection, pool: Pool
) -> None:
    """Each request looks up its validity elsewhere."""
    token = await token_of(owner, 1)
    authenticator = Authenticator(pool)
    first = await authenticator.authenticate(token)
    assert await revoke_token(owner, 1, 1)
    await close_pool(pool)
    assert await authenticator.authenticate(token) == first


async def test_the_cache_of_tokens_does_not_exceed_its_capacity(
    owner: Connection, pool: Pool
) -> None:
    tokens = [await token_of(owner, 1, user) for user in (7, 8, 9)]
    authenticator = Authenticator(pool, capacity=2)
    for token in tokens * 2:
        assert (await authenticator.authenticate(token)).account_id == 1
        assert len(authenticator._accounts) <= 2
    await close_pool(pool)


async def test_a_providers_token_is_not_looked_up_in_the_database(pool: Pool) -> None:
    await close_pool(pool)
    authenticator = Authenticator(pool, Provider())
    assert await authenticator.authenticate("a.b.c") == Credentials(2, claims=CLAIMS)
    with pytest.raises(InvalidToken):
        await authenticator.authenticate("a.b.d")


async def test_without_providers_a_signed_token_is_an_unknown_token(pool: Pool) -> None:
    with pytest.raises(InvalidToken):
        await Authenticator(pool).authenticate("a.b.c")
    await close_pool(pool)


@pytest.mark.parametrize(
    ("query", "user"),
    [
        *(("", None), ("?as_user_id=", None), ("?as_user_id=102", 102)),
        *((f"?as_user_id={text}", 0) for text in ("-1", "0", "x", "1%00", "sis:7", "9" * 30)),
    ],
)
async def test_the_user_to_act_as_is_read_from_the_query(
    query: str, user: int | None, pool: Pool
) -> None:
    await close_pool(pool)
    authenticator = Authenticator(pool, Provider())
    credentials = await authenticate(request_with("Bearer a.b.c", query, authenticator))
    assert credentials.as_user_id == user
