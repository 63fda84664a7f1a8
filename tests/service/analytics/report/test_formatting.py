"""Formats of figures in reports."""

import pytest

from service.analytics.figures import Spread
from service.analytics.report.formatting import amounts, dollars, seconds


@pytest.mark.parametrize(
    ("microusd", "told"),
    [
        (0, "$0.00"),
        (40, "less than $0.0001"),
        (100, "$0.0001"),
        (12_300, "$0.0123"),
        (1_234_500_000, "$1,234.50"),
    ],
)
def test_an_amount_that_is_something_is_not_told_as_nothing(microusd: int, told: str) -> None:
    assert dollars(microusd) == told


@pytest.mark.parametrize(
    ("spread", "told"),
    [
        (Spread(p50=None, p95=None), "none measured"),
        (Spread(p50=0, p95=0), "at least 95 of 100 cost nothing"),
        (Spread(p50=0, p95=20_000), "half cost nothing, 95 of 100 at most $0.0200"),
        (Spread(p50=10, p95=20_000), "half cost less than $0.0001, 95 of 100 at most $0.0200"),
    ],
)
def test_what_conversations_cost_is_a_sentence(spread: Spread, told: str) -> None:
    assert amounts(spread) == told


@pytest.mark.parametrize(("ms", "told"), [(0.2, "1 ms"), (4, "4 ms"), (340, "0.3 s")])
def test_a_time_that_is_some_is_not_told_as_none(ms: float, told: str) -> None:
    assert seconds(ms) == told
