import pytest

from eventstore.connections import Connection, Pool
from tests.projections.analysing import Analysis
from tests.projections.viewing import Parts


@pytest.fixture
def analysis(log_parts: Parts, workers: Pool, owner: Connection) -> Analysis:
    """What an analyst sees of the test's database."""
    return Analysis(log_parts, workers, owner)
