"""The costs of appends, reads and followers depend neither on the log's length nor on statistics.

Plans are kept: they must be right for tables that were empty, or analyzed while empty, when they
were made. One log serves most measurements, since filling it takes longest.
"""

import pytest

from eventstore.connections import Connection
from tests.costs import STATES, School, growing, measured, session
from tests.costs.appends import APPENDS, check_batches
from tests.costs.appends import check_long as check_long_appends
from tests.costs.reads import REQUESTS, WORK
from tests.costs.steps import STEPS
from tests.costs.steps import check_long as check_long_steps

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),  # tens of thousands of events, beside other tests
    pytest.mark.parametrize("state", STATES),
]


async def test_reads_cost_the_same_however_long_the_log_is(
    owner: Connection, database_url: str, state: str
) -> None:
    """On their own log, since rolled back writes leave dead rows."""
    school = School(owner, database_url, state)
    assert growing(await measured(school, database_url, REQUESTS, WORK)) == {}


async def test_appends_and_followers_cost_the_same_however_long_the_log_is(
    owner: Connection, database_url: str, state: str
) -> None:
    school = School(owner, database_url, state)
    found = await measured(school, database_url, APPENDS, STEPS)
    assert growing(found) == {}
    async with session(database_url, APPENDS.role) as late:
        await check_long_appends(school, late, found)
        await check_batches(school, late)
    async with session(database_url, STEPS.role) as late:
        await check_long_steps(school, late, found)
