"""What appends, reads and followers cost depends neither on how long the log is, nor on statistics.

Plans are kept: they must be right for tables that were empty, or analyzed while empty, when they
were made. All is measured on one log in each state, since that takes longest to make.
"""

import pytest

from eventstore.connections import Connection
from tests.costs import STATES, School, growing, measured, session
from tests.costs.appends import APPENDS, check_batches
from tests.costs.appends import check_long as check_long_appends
from tests.costs.reads import REQUESTS, WORK
from tests.costs.steps import STEPS
from tests.costs.steps import check_long as check_long_steps


@pytest.mark.timeout(600)  # tens of thousands of events, beside other tests
@pytest.mark.parametrize("state", STATES)
async def test_costs_do_not_grow_with_the_log(
    owner: Connection, database_url: str, state: str
) -> None:
    school = School(owner, database_url, state)
    found = await measured(school, database_url, APPENDS, REQUESTS, WORK, STEPS)
    assert growing(found) == {}
    async with session(database_url, APPENDS.role) as late:
        await check_long_appends(school, late, found)
        await check_batches(school, late)
    async with session(database_url, STEPS.role) as late:
        await check_long_steps(school, late, found)
