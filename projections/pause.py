"""Pauses followed projections, and lets them go on."""

from eventstore.connections import Connection
from eventstore.notifier import EVERY_ACCOUNT
from projections.errors import NotFollowed, UnknownProjection
from sql.loader import query


async def pause_projection(connection: Connection, name: str) -> bool:
    """From here on nobody advances a projection: a step that was under way has ended.

    Returns:
        False if it was paused already.

    Raises:
        UnknownProjection, NotFollowed: It is not one that can be paused.
    """
    async with connection.transaction():
        await _check(connection, name)
        made = await connection.fetchval(query("pause_projection"), name)
    await connection.fetch(query("wait_for_steps"), name)
    return made is not None


async def resume_projection(connection: Connection, name: str) -> bool:
    """Lets a projection go on; the event at which it is stopped, if it is, is tried at once.

    Returns:
        False if it was not paused.

    Raises:
        UnknownProjection, NotFollowed: It is not one that can be paused.
    """
    async with connection.transaction():
        await _check(connection, name)
        gone = await connection.fetchval(query("resume_projection"), name)
        await connection.execute(query("clear_projection_errors"), name)
    channel = await connection.fetchval(query("get_letter_channel"))
    await connection.execute(query("ring"), channel, [EVERY_ACCOUNT])
    return gone is not None


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
            f"{name} is kept in the transaction of each append, for handlers: it cannot be paused"
        )
