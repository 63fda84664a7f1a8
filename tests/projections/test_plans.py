"""Steps of followed projections keep their plans, which must suit growing tables."""

import pytest

from eventstore.connections import Connection
from eventstore.log import EventLog
from projections.definitions import Definition
from projections.generations import create
from projections.rebuild import rebuild
from sql.loader import query
from tests.eventstore.building import ACCOUNT
from tests.projections.analysing import Analysis
from tests.projections.test_facts import FACTS, days_of
from tests.projections.viewing import TALLY

READ_WHOLE = """
SELECT s.relname FROM pg_stat_xact_user_tables s
 WHERE s.seq_scan > 0 AND (s.relname = 'events' OR s.schemaname = $1)
"""
READ = "SELECT sum(idx_scan)::int FROM pg_stat_xact_user_tables WHERE relname = 'events'"
MODE = "SELECT current_setting('plan_cache_mode')"


@pytest.mark.parametrize("known", FACTS, ids=lambda known: known.name)
async def test_a_step_of_a_followed_projection_reads_no_whole_table(
    log: EventLog, analysis: Analysis, owner: Connection, known: Definition
) -> None:
    """With small tables, and with any statistics."""
    await days_of(analysis, seed=17)
    await owner.execute("ANALYZE")
    head = await log.head(ACCOUNT)
    for step in (head // 2, head - head // 2):
        async with owner.transaction():
            await owner.execute(query("advance_projection"), known.name, 1, ACCOUNT, step)
            assert await owner.fetch(READ_WHOLE, f"{known.name}_v{known.version}_1") == []
            assert await owner.fetchval(READ) > 0
            assert await owner.fetchval(MODE) == "force_generic_plan"


async def test_a_rebuild_plans_for_the_current_tables(
    log: EventLog, analysis: Analysis, database_url: str, owner: Connection
) -> None:
    await rebuild(database_url, TALLY)
    await days_of(analysis, seed=17, steps=6)
    built = await create(owner, TALLY)
    async with owner.transaction():
        await owner.execute(query("advance_projection"), TALLY.name, built, ACCOUNT, 10)
        assert await owner.fetchval(MODE) == "force_custom_plan"
