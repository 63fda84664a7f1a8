"""The COPY decoder reads all rows, whatever they hold."""

import struct
from collections.abc import Sequence

import pytest

from eventstore.errors import LogDamaged
from eventstore.sealing.copy_reader import Row, _Rows

START = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"
ROWS: list[Row] = [
    (1, b"one", b"salt", b"text", 101),
    (2, b"", b"salt", b"", 102),
    (3, b"three", None, None, 0),
    (4, b"x" * 3000, b"s", b"y" * 2000, 2**63 - 1),
]


def field(value: bytes | None) -> bytes:
    return struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value


def row(position: int, *values: bytes | None, subject: int = 0) -> bytes:
    fields = [struct.pack("!q", position), struct.pack("!q", subject), *values]
    return struct.pack("!h", len(fields)) + b"".join(map(field, fields))


def decoded(chunks: Sequence[bytes]) -> list[Row]:
    rows = _Rows()
    return [one for chunk in chunks for one in rows.decode(chunk)]


@pytest.mark.parametrize("size", [1, 2, 7, 18, 30, 31, 64, 1 << 20])
def test_rows_are_the_same_wherever_the_chunks_end(size: int) -> None:
    stream = START + b"".join(row(*one[:4], subject=one[4]) for one in ROWS) + END
    assert decoded([stream[at : at + size] for at in range(0, len(stream), size)]) == ROWS


@pytest.mark.parametrize("size", [1, 30, 1 << 20])
def test_a_line_that_is_null_is_empty_and_the_next_rows_are_read(size: int) -> None:
    rows = [row(1, None, None, None), row(2, None, b"salt", b"text"), row(3, b"on", None, None)]
    stream = START + b"".join(rows) + END
    assert decoded([stream[at : at + size] for at in range(0, len(stream), size)]) == [
        (1, b"", None, None, 0),
        (2, b"", b"salt", b"text", 0),
        (3, b"on", None, None, 0),
    ]


DAMAGED = {
    "text without salt": row(7, b"line", None, b"text"),
    "salt without text": row(7, b"line", b"salt", None),
    "a field too few": row(7, b"line", b"salt"),
    "a field too many": row(7, b"line", b"salt", b"text", b"more"),
    "no position": struct.pack("!h", 5)
    + field(None)
    + field(bytes(8))
    + field(b"line of bytes")
    + field(b"") * 2,
}


@pytest.mark.parametrize("name", DAMAGED)
def test_rows_with_other_columns_are_refused(name: str) -> None:
    with pytest.raises(LogDamaged, match="row"):
        decoded([START + row(6, b"line", None, None) + DAMAGED[name] + row(8, b"", b"", b"") + END])


def test_the_chunks_of_a_long_row_are_joined_once() -> None:
    """Joining at every chunk would copy the row again and again."""
    rows = _Rows()
    stream = START + row(1, b"x" * 100_000, b"salt", b"text")
    first, rest = stream[:100], stream[100:]
    assert rows.decode(first) == []
    for at in range(0, 90_000, 100):
        assert rows.decode(rest[at : at + 100]) == []
    assert len(rows._pieces) == 901
    assert rows.decode(rest[90_000:]) == [(1, b"x" * 100_000, b"salt", b"text", 0)]
