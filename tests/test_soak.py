"""A short run of `tests.soak`: the storm of `make soak` for some seconds."""

import pytest

from tests.soak.run import Plan, soak

pytestmark = pytest.mark.filterwarnings("default")  # connections break in all ways


@pytest.mark.faketime
@pytest.mark.timeout(400)
async def test_every_invariant_holds_after_some_seconds_of_faults() -> None:
    """Learners talk while services and Postgres are killed; then the log is checked."""
    summary = await soak(Plan(seconds=8, seed=7, learners=4, pause=(0.3, 1.2)), lambda _: None)
    assert len(summary.faults) == 6, summary
    assert summary.answers["say"]["200"] > 0, summary
    assert summary.checked["requests found in the log"] > 0, summary
    assert summary.checked["replies as received"] > 0, summary
    assert summary.checked["reads"] > 0, summary
