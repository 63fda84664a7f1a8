"""Reads lines of the log in bulk: one COPY, decoded while it arrives."""

import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from eventstore.connections import Connection
from eventstore.errors import LogDamaged

Row = tuple[int, bytes, bytes | None, bytes | None, int]
"""Position and line, then salt, text and subject if the event's text exists.

A line that the database cannot compose is empty. Without a text the subject is 0.
"""

RowConsumer = Callable[[Sequence[Row]], Awaitable[None]]

FULL_SCAN_TIMEOUT = 7 * 86_400.0
"""Seconds for a statement over a whole log."""

_HEADER = 19  # "PGCOPY\n\xff\r\n\0", flags, length of an extension
_FIRST = struct.Struct("!hiqiqi")
"""Number of fields; lengths and values of position and subject; length of the line."""

_LENGTH = struct.Struct("!i")


async def copy_rows(connection: Connection, statement: str, *args: Any, take: RowConsumer) -> None:
    """Passes all rows of a statement with the columns of `Row` to `take`, in order and in parts.

    The server waits while `take` runs, so that memory use is constant. An error closes the
    connection.

    Raises:
        LogDamaged: The rows have other columns.
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
        # The server continues to send. A rollback or close would wait for it until a timeout,
        # whose error would replace this one.
        connection.terminate()
        raise


class _Rows:
    """Decodes PostgreSQL's binary COPY format.

    The end marker of two bytes is shorter than any row, and so is never decoded.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._length = 0
        self._needed = self._at = _HEADER

    def decode(self, chunk: bytes) -> list[Row]:
        """The rows that end in a chunk.

        Raises:
            LogDamaged: The rows have other columns.
        """
        self._pieces.append(chunk)
        self._length += len(chunk)
        rows: list[Row] = []
        if self._length < self._needed:  # join the chunks once for each row, not at every chunk
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
    # Local names are faster than module names.
    first: Callable[..., tuple[Any, ...]] = _FIRST.unpack_from,
    length: Callable[..., tuple[Any, ...]] = _LENGTH.unpack_from,
) -> tuple[Row | None, int]:
    """The row at an offset and the next row's offset; or None and the length that is needed."""
    end = len(buffer)
    if at + 30 > end:
        return None, at + 30
    fields, width, position, second_width, subject, size = first(buffer, at)
    _check_columns(fields, width, second_width)
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
    _check_salt_and_text(position, size, text_size)
    after = text_at + text_size
    if after > end:
        return None, after
    return (position, line, buffer[salt_at : text_at - 4], buffer[text_at:after], subject), after


def _check_columns(fields: int, *widths: int) -> None:
    if fields != 5 or widths != (8, 8):
        raise LogDamaged(f"a row of the log has {fields} fields, the first two of {widths} bytes")


def _check_salt_and_text(position: int, salt: int, text: int) -> None:
    if salt < 0 or text < 0:
        raise LogDamaged(f"the row of position {position} has only one of salt and text")
