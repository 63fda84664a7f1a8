"""Numbers and durations in the output of commands."""

import pytest

from eventstore.readable_numbers import age, counted


@pytest.mark.parametrize(
    ("number", "what", "text"),
    [
        (0, "event", "0 events"),
        (1, "event", "1 event"),
        (2, "event", "2 events"),
        (1, "working token", "1 working token"),
        (3, "working token", "3 working tokens"),
        (0, "identity", "0 identities"),
    ],
)
def test_a_noun_is_in_the_plural_unless_its_number_is_one(
    number: int, what: str, text: str
) -> None:
    assert counted(number, what) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3.0, "0.0 s"),
        (0.04, "0.0 s"),
        (59.96, "60.0 s"),
        (150.0, "2 minutes"),
        (7_199.0, "119 minutes"),
        (7_200.0, "2 hours"),
        (27_014_861.0, "312 days"),
    ],
)
def test_a_duration_has_the_largest_fitting_unit(seconds: float, text: str) -> None:
    assert age(seconds) == text
