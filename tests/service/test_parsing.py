"""Times as auditors write them stand for as much as they name."""

from datetime import UTC, datetime

import pytest

from service.parsing import parse_position_or_time, parse_time


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("2031-03-01T09:00:05Z", "09:00:05.999999"),
        ("2031-03-01T09:00:05", "09:00:05.999999"),
        ("2031-03-01T10:00:05+01:00", "09:00:05.999999"),
        ("2031-03-01T10:00:05 01:00", "09:00:05.999999"),
        ("2031-03-01T09:00Z", "09:00:00.999999"),
        ("2031-03-01T09:00:05.4Z", "09:00:05.499999"),
        ("2031-03-01T09:00:05.123Z", "09:00:05.123999"),
        ("2031-03-01T09:00:05.123456Z", "09:00:05.123456"),
        ("2031-03-01T09:00:05.123456789Z", "09:00:05.123456"),
    ],
)
def test_the_end_of_a_time_is_that_of_the_unit_it_is_written_in(text: str, end: str) -> None:
    """What answers tell in whole seconds names all that happened in that second."""
    expected = datetime.fromisoformat(f"2031-03-01T{end}").replace(tzinfo=UTC)
    assert (
        parse_time("at", text, end=True) == parse_position_or_time("at", text, end=True) == expected
    )
    assert parse_time("at", text) <= expected


def test_a_position_is_itself() -> None:
    assert parse_position_or_time("at", "7", end=True) == 7
