"""Rows that an append reads, in three sizes of the log and three states of the statistics.

No times: the counts are the same on every machine, and tests check them. The session has made
its plans on empty tables.
"""

from eventstore.connections import connect
from tests.bench.measuring import Row, fresh_database
from tests.costs import SIZES, STATES, School, measured
from tests.costs.appends import APPENDS

_SHOWN = ("a message is posted", "a reply comes")


async def bench_rows(server_url: str) -> list[Row]:
    """A row of the table for each state."""
    rows = []
    for state in STATES:
        async with fresh_database(server_url) as url:
            owner = await connect(url)
            school = School(owner, url, state)
            found = await measured(school, url, APPENDS)
            await owner.close()
        for name in _SHOWN:
            early = [cost.rows for cost in found[name][::2]]
            rows.append(
                Row(
                    f"rows read for an append, tables {state}: {name}",
                    ", ".join(map(str, early)),
                    f"at {', '.join(f'{size:,}' for size in SIZES)} events",
                    f"{early[-1] / early[0]:.1f} ×",
                    "1 ×",
                )
            )
    return rows
