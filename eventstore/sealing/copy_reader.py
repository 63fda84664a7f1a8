"""Lines of the log in bulk: one COPY, decoded as it arrives, whatever its length."""

import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from eventstore.connections import Connection
from eventstore.errors import LogDamaged

Row = tuple[int, bytes, bytes | None, bytes | None, int]
"""Position, line, and salt, text and subject where the event has a text that is still there.

A line that the database cannot put together is empty. Without a text the subject is 0.
"""

Take = Callable[[Sequence[Row]], Awaitable[None]]

FULL_SCAN_TIMEOUT = 7 * 86_400.0
"""Seconds that a statement over a whole log may take."""

_HEADER = 19  # "PGCOPY\n\xff\r\n\0", flags, length of an extension
_FIRST = struct.Struct("!hiqiqi")
"""Number of fields; lengths and values of position and subject; length of the line."""

_LENGTH = struct.Struct("!i")


async def copy_rows(connection: Connection, statement: str, *args: Any, take: Take) -> None:
    """Hands on all rows of a statement with the columns of `Row`, some at a time, in order.

    The server waits while `take` works, so that memory stays flat. Whatever fails here ends the
    connection.

    Args:
        take: Gets the next rows.

    Raises:
        LogDamaged: The statement's rows are others.
    """
    rows = _Rows()

    async def arrived(chunk: bytes) -> None:
        if some := rows.decode(chunk):
            await take(some)

    try:
        await connection.copy_from_query(
            statement, *args, output=arrived, format="binary", timeout=FULL_SCAN_TIMEOUT
        )
    except BaseException:
        # The server goes on sending, for which a rollback or a close would wait until it times
        # out, and then say so in place of what went wrong.
        connection.terminate()
        raise


class _Rows:
    """Decodes PostgreSQL's binary COPY format.

    Its end, two bytes, is shorter than any row and so stays behind.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._length = 0
        self._needed = self._at = _HEADER

    def decode(self, chunk: bytes) -> list[Row]:
        """The rows that end in a chunk.

        Raises:
            LogDamaged: These are other rows than `Row`.
        """
        self._pieces.append(chunk)
        self._length += len(chunk)
        rows: list[Row] = []
        if self._length < self._needed:  # put together once it is all there, not at every chunk
            return rows
        buffer, at = b"".join(self._pieces), self._at
        row, after = _row(buffer, at)
        while row is not None:
            rows.append(row)
            at = after
            row, after = _row(buffer, at)
        self._pieces, self._at = [buffer[at:]], 0
        self._length, self._needed = len(buffer) - at, after - at
        return rows


def _row(
    buffer: bytes,
    at: int,
    # Names of this function are found faster than those of the module.
    first: Callable[..., tuple[Any, ...]] = _FIRST.unpack_from,
    length: Callable[..., tuple[Any, ...]] = _LENGTH.unpack_from,
) -> tuple[Row | None, int]:
    """The row at a place, and where the next begins; or None, and how far the buffer must go."""
    end = len(buffer)
    if at + 30 > end:
        return None, at + 30
    fields, width, position, second_width, subject, size = first(buffer, at)
    _check_kind(fields, width, second_width)
    at += 30
    salt_at = (at + size if size > 0 else at) + 4  # a line that is NULL has a length of -1
    if salt_at > end:
        return None, salt_at
    line = buffer[at : salt_at - 4]
    (size,) = length(buffer, salt_at - 4)
    text_at = (salt_at + size if size > 0 else salt_at) + 4
    if text_at > end:
        return None, text_at
    (text_size,) = length(buffer, text_at - 4)
    if size < 0 and text_size < 0:
        return (position, line, None, None, 0), text_at
    _check_both(position, size, text_size)
    after = text_at + text_size
    if after > end:
        return None, after
    return (position, line, buffer[salt_at : text_at - 4], buffer[text_at:after], subject), after


def _check_kind(fields: int, *widths: int) -> None:
    if fields != 5 or widths != (8, 8):
        raise LogDamaged(f"a row of the log has {fields} fields, the first two of {widths} bytes")


def _check_both(position: int, salt: int, text: int) -> None:
    if salt < 0 or text < 0:
        raise LogDamaged(f"the row of position {position} has one of salt and text")
