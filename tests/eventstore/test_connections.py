"""Reads that outlast a database which is away for a moment."""

from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from eventstore.connections import outlast


def breaking(*errors: Exception) -> Callable[[], Awaitable[str]]:
    """A read that fails so often, in these ways, and then gives something."""
    left = list(errors)

    async def read() -> str:
        if left:
            raise left.pop(0)
        return "read"

    return read


async def test_a_read_is_tried_again_while_the_database_is_away() -> None:
    errors = (
        ConnectionResetError(),
        asyncpg.InternalClientError(),
        asyncpg.InterfaceError("closed"),
    )
    assert await outlast(breaking(*errors)) == "read"


async def test_a_database_that_stays_away_is_not_waited_for_for_ever() -> None:
    with pytest.raises(ConnectionResetError):
        await outlast(breaking(*[ConnectionResetError()] * 1000), patience=0.05)


async def test_a_statement_that_is_wrong_is_not_tried_again() -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await outlast(breaking(asyncpg.UndefinedTableError()))
