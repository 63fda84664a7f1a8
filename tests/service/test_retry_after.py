"""A pause that another server asks for is a number or a date, and never longer than a day."""

import pytest

from service.errors import TurnFailed
from service.http.error_responses import error_response
from service.model.errors import MODEL_RATE_LIMITED
from service.retry_after import LONGEST, parse_retry_after


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("inf", None),
        ("nan", None),
        ("1e999", None),
        ("soon", None),
        ("", None),
        ("²", None),
        ("1e300", LONGEST),
        ("9" * 300, LONGEST),
        ("-1e300", 0.0),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
        ("Thu, 01 Jan 2026 00:00:30 -0000", 30.0),
        ("Fri, 01 Jan 9999 00:00:00 GMT", LONGEST),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
    ],
)
def test_a_retry_after_header_is_a_number_or_a_date(
    header: str | None, seconds: float | None
) -> None:
    assert parse_retry_after(header, "Thu, 01 Jan 2026 00:00:00 GMT") == seconds


@pytest.mark.parametrize("pause", [1e300, 2.0**63, 90_000.0])
def test_a_pause_of_an_older_log_is_bounded_before_it_is_handed_on(pause: float) -> None:
    error = TurnFailed(MODEL_RATE_LIMITED, retryable=True, retry_after=pause)
    assert error_response(error, "r").headers["Retry-After"] == "86400"
