"""Sessions that are ended during a statement."""

from typing import Any

import asyncpg
import pytest

from eventstore.connections import connect
from eventstore.database_errors import Meaning, meaning


@pytest.mark.parametrize("method", ["fetch", "fetchrow", "fetchval", "execute"])
async def test_a_session_that_ends_within_a_statement_raises_a_connection_error(
    database_url: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session is ended when its server is no longer the primary, even during a statement."""
    session = await connect(database_url)
    prepare = session._get_statement  # type: ignore[attr-defined]  # asyncpg's own

    async def prepared_too_late(*arguments: Any, **options: Any) -> Any:
        statement = await prepare(*arguments, **options)
        session.terminate()
        return statement

    monkeypatch.setattr(session, "_get_statement", prepared_too_late)
    with pytest.raises(asyncpg.ConnectionDoesNotExistError) as ended:
        await getattr(session, method)("SELECT $1::int", 1)
    assert meaning(ended.value) is Meaning.AWAY


async def test_a_programming_error_is_not_turned_into_a_connection_error(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await connect(database_url)

    async def faulty(*_arguments: Any, **_options: Any) -> Any:
        raise AttributeError("ours")

    monkeypatch.setattr(session, "_get_statement", faulty)
    with pytest.raises(AttributeError, match="ours"):
        await session.fetchval("SELECT 1")
    session.terminate()
