"""Tokens: created once, stored as hashes, revoked immediately."""

import hashlib

import pytest

from eventstore.connections import Connection
from service.errors import UnknownUser
from service.identity.roster import Enrollment, import_roster
from service.identity.tokens import create_token, digest, list_tokens, revoke_token


@pytest.fixture(autouse=True)
async def _ada(owner: Connection) -> None:
    row = Enrollment(course_id=1, user_id=5, name="Ada", role="learner", status="active")
    await import_roster(owner, 1, [row])


async def test_a_token_is_stored_only_as_its_hash(owner: Connection) -> None:
    token = await create_token(owner, 1, 5)
    stored = await owner.fetchval("SELECT tokens::text FROM tokens")
    assert token not in stored
    assert token.removeprefix("colloquy_") not in stored
    assert hashlib.sha256(token.encode()).hexdigest() in stored


async def test_tokens_are_long_and_never_the_same(owner: Connection) -> None:
    tokens = {await create_token(owner, 1, 5) for _ in range(20)}
    assert len(tokens) == 20
    assert all(len(token) >= len("colloquy_") + 43 for token in tokens)


@pytest.mark.parametrize(("account", "user"), [(1, 6), (2, 5)])
async def test_a_token_needs_a_user_of_the_account(
    account: int, user: int, owner: Connection
) -> None:
    with pytest.raises(UnknownUser, match=f"user {user} is not in the roster"):
        await create_token(owner, account, user)
    assert await list_tokens(owner, 1) == []


async def test_tokens_are_listed_oldest_first_with_their_states(owner: Connection) -> None:
    for scopes, days in (((), None), (("colloquy:audit",), 30), ((), 1), ((), None)):
        await create_token(owner, 1, 5, scopes, days)
    await owner.execute("UPDATE tokens SET expires_at = now() WHERE token_id = 3")
    assert await revoke_token(owner, 1, 4)
    listed = await list_tokens(owner, 1)
    assert [(t.token_id, t.state) for t in listed] == [
        *((1, "active"), (2, "active"), (3, "expired"), (4, "revoked"))
    ]
    assert {(t.user_id, t.name) for t in listed} == {(5, "Ada")}
    assert [t.scopes for t in listed[:2]] == [(), ("colloquy:audit",)]
    assert listed[0].expires_at is None
    assert listed[1].expires_at is not None
    assert (listed[1].expires_at - listed[1].created_at).days == 30


async def test_a_token_is_revoked_once_and_only_in_its_account(owner: Connection) -> None:
    await create_token(owner, 1, 5)
    assert not await revoke_token(owner, 2, 1)
    assert not await revoke_token(owner, 1, 2)
    assert await revoke_token(owner, 1, 1)
    assert not await revoke_token(owner, 1, 1)


@pytest.mark.parametrize("token", ["", "x", "ü", "\udcff\udcfe", "x" * 10_000])
def test_any_text_has_a_hash(token: str) -> None:
    """Including the text that a header with invalid UTF-8 is decoded to."""
    assert len(digest(token)) == 32
