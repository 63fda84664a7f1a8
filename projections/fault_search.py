"""Finds the events at which a user-defined projection fails."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from eventstore.database_errors import is_passing
from projections.definitions import Definition
from projections.errors import ProjectionRefused
from projections.sandbox import error_line

T = TypeVar("T")
Apply = Callable[[int, int], Awaitable[T]]
"""Applies the positions above the first argument, up to the second."""


async def apply_range(
    definition: Definition, account: int, after: int, upto: int, apply: Apply[T]
) -> T:
    """Applies a range to a generation that is being built.

    Raises:
        ProjectionRefused: A user-defined statement fails. The message names the event, or several
            events that fail only together, for example because both change the same row.
        asyncpg.PostgresError: Any other error. The generation may have applied part of the range.
    """
    try:
        return await apply(after, upto)
    except asyncpg.PostgresError as error:
        if not definition.confined or is_passing(error):
            raise
        fault = await _fault(apply, after, upto)
        raise ProjectionRefused(
            f"{definition.name}: {error_line(error)} (account {account}, {fault})"
        ) from error


async def _fault(apply: Apply[T], after: int, upto: int) -> str:
    """A description of the first events that fail, found by halving the range."""
    first, last = after + 1, upto
    while after < upto:
        middle = (after + upto + 1) // 2
        try:
            await apply(after, middle)
            after = middle
        except asyncpg.PostgresError as error:
            if is_passing(error):
                raise
            if middle == after + 1:
                return f"the event at position {middle}"
            first, last, upto = after + 1, middle, middle
    return f"the events at positions {first} to {last}, together only"
