"""Lines of the log in bulk: one COPY, decoded as it arrives, whatever its length."""

import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from eventstore.connections import Connection

Row = tuple[int, bytes, bytes | None, bytes | None]
"""Position, line, and salt and text where the event has a text that is still there."""

Take = Callable[[Sequence[Row]], Awaitable[None]]

FOR_EVER = 7 * 86_400.0
"""Seconds that a statement over a whole log may take."""

_HEADER = 19  # "PGCOPY\n\xff\r\n\0", flags, length of an extension
_FIRST = struct.Struct("!hiqi")
_LENGTH = struct.Struct("!i")


async def copy_rows(connection: Connection, statement: str, *args: Any, take: Take) -> None:
    """Hands on all rows of a statement with the columns of `Row`, some at a time, in order.

    The server waits while `take` works, so that memory stays flat.

    Args:
        take: Gets the next rows.
    """
    rows = _Rows()

    async def arrived(chunk: bytes) -> None:
        if some := rows.decode(chunk):
            await take(some)

    await connection.copy_from_query(
        statement, *args, output=arrived, format="binary", timeout=FOR_EVER
    )


class _Rows:
    """Decodes PostgreSQL's binary COPY format."""

    def __init__(self) -> None:
        self._rest = b""
        self._at = _HEADER

    def decode(self, chunk: bytes) -> list[Row]:
        buffer = self._rest + chunk if self._rest else chunk
        rows: list[Row] = []
        at, end = self._at, len(buffer)
        try:
            while at < end:
                row, after = _row(buffer, at)
                if row is None or after > end:
                    break
                rows.append(row)
                at = after
        except struct.error:  # the row goes on in the next chunk
            pass
        self._rest, self._at = buffer[at:], max(0, at - end)
        return rows


def _row(
    buffer: bytes,
    at: int,
    # Names of this function are found faster than those of the module.
    first: Callable[..., tuple[Any, ...]] = _FIRST.unpack_from,
    length: Callable[..., tuple[Any, ...]] = _LENGTH.unpack_from,
) -> tuple[Row | None, int]:
    """The row that begins at a place, and where the next one does; None for the end of all."""
    if buffer[at : at + 2] == b"\xff\xff":
        return None, at + 2
    _, _, position, size = first(buffer, at)
    at += 18
    line = buffer[at : at + size]
    at += size
    (size,) = length(buffer, at)
    at += 4
    if size < 0:
        return (position, line, None, None), at + 4
    salt = buffer[at : at + size]
    at += size
    (size,) = length(buffer, at)
    at += 4
    return (position, line, salt, buffer[at : at + size]), at + size
