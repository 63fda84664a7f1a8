"""Names the event at which a projection of the users' own fails."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from eventstore.connections import AWAY
from projections.confining import told
from projections.definitions import Definition
from projections.errors import ProjectionRefused

T = TypeVar("T")
Apply = Callable[[int, int], Awaitable[T]]
"""Applies the positions above one, up to another."""

_OF_NO_EVENT = (*AWAY, asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError)


async def applied(
    definition: Definition, account: int, after: int, upto: int, apply: Apply[T]
) -> T:
    """Applies a range to a generation that is being built; what is not made live is dropped.

    Raises:
        ProjectionRefused: A statement of the users' own fails at the event that is named.
        asyncpg.PostgresError: Any other error.
    """
    try:
        return await apply(after, upto)
    except asyncpg.PostgresError as error:
        if not definition.confined or isinstance(error, _OF_NO_EVENT):
            raise
        position = await _first_fault(apply, after, upto)
        raise ProjectionRefused(
            f"{definition.name}: {told(error)} (account {account}, the event at position "
            f"{position})"
        ) from error


async def _first_fault(apply: Apply[T], after: int, upto: int) -> int:
    while upto - after > 1:
        middle = (after + upto) // 2
        try:
            await apply(after, middle)
            after = middle
        except asyncpg.PostgresError as error:
            if isinstance(error, _OF_NO_EVENT):
                raise
            upto = middle
    return upto
