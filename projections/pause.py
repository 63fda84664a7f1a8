"""Pauses and resumes followed projections."""

from eventstore.connections import Connection
from eventstore.notifier import EVERY_ACCOUNT
from projections.errors import NotFollowed, UnknownProjection
from sql.loader import query


async def pause_projection(connection: Connection, name: str) -> bool:
    """Pauses a projection, and waits for a step that is under way.

    Returns:
        False if it was paused already.

    Raises:
        UnknownProjection, NotFollowed: The projection cannot be paused.
    """
    async with connection.transaction():
        await _check(connection, name)
        pause = await connection.fetchval(query("pause_projection"), name)
    await connection.fetch(query("wait_for_steps"), name)
    return pause is not None


async def resume_projection(connection: Connection, name: str) -> bool:
    """Resumes a projection; if it stopped at an event, retries that event immediately.

    Returns:
        False if it was not paused.

    Raises:
        UnknownProjection, NotFollowed: The projection cannot be paused.
    """
    async with connection.transaction():
        await _check(connection, name)
        pause = await connection.fetchval(query("resume_projection"), name)
        await connection.execute(query("clear_projection_errors"), name)
    channel = await connection.fetchval(query("get_letter_channel"))
    await connection.execute(query("ring"), channel, [EVERY_ACCOUNT])
    return pause is not None


async def _check(connection: Connection, name: str) -> None:
    live = {
        row["name"]: row["mode"]
        for row in await connection.fetch(query("list_generations"))
        if row["state"] == "live"
    }
    if name not in live:
        raise UnknownProjection(f"there is no projection {name}; there are {', '.join(live)}")
    if live[name] != "followed":
        raise NotFollowed(
            f"{name} is updated in the transaction of each append: it cannot be paused"
        )
