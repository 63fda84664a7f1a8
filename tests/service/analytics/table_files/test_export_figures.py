"""Each documented figure is the same from DuckDB over Parquet files and from PostgreSQL."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from eventstore.connections import Connection
from tests.service.analytics.table_files.exports import TABLES

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIGURES = {
    "turns by outcome": """
        SELECT kind, outcome, count(*) FROM analytics.turn_facts GROUP BY 1, 2 ORDER BY 1, 2
    """,
    "latency of replies by model": """
        SELECT model, percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms),
               percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms)
          FROM analytics.turn_facts WHERE outcome = 'completed' GROUP BY 1 ORDER BY 1
    """,
    "time to the first words": """
        SELECT account_id, percentile_cont(0.5) WITHIN GROUP (ORDER BY first_token_ms),
               percentile_cont(0.95) WITHIN GROUP (ORDER BY first_token_ms)
          FROM analytics.turn_facts GROUP BY 1 ORDER BY 1
    """,
    "failures by code": """
        SELECT code, retryable, count(*), avg(attempts) FROM analytics.turn_facts
         WHERE outcome = 'failed' GROUP BY 1, 2 ORDER BY 1, 2
    """,
    "share of tokens from the cache": """
        SELECT course_id, sum(cache_read_input_tokens)::double precision
               / sum(input_tokens + cache_creation_input_tokens + cache_read_input_tokens)
          FROM analytics.turn_facts WHERE input_tokens IS NOT NULL GROUP BY 1 ORDER BY 1
    """,
    "cost by model and day": """
        SELECT day, model, sum(cost_microusd), sum(requests), sum(unpriced_requests)
          FROM analytics.model_daily_cost GROUP BY 1, 2 ORDER BY 1, 2
    """,
    "activity by day": """
        SELECT day, sum(active_learners), sum(messages), sum(replies), sum(failed_turns)
          FROM analytics.daily_course_activity GROUP BY 1 ORDER BY 1
    """,
    "funnel by course": """
        SELECT account_id, course_id, sum(conversations_opened), sum(conversations_replied),
               sum(conversations_completed), sum(conversations_met), sum(learners_met)
          FROM analytics.experience_funnel GROUP BY 1, 2 ORDER BY 1, 2
    """,
    "objectives covered, and after how many turns": """
        SELECT experience_id, objective, count(*), avg(CASE WHEN covered THEN 1.0 ELSE 0.0 END),
               avg(turn_number)
          FROM analytics.objective_facts GROUP BY 1, 2 ORDER BY 1, 2
    """,
    "share of messages that were liked": """
        SELECT course_id, avg(CASE vote WHEN 'liked' THEN 1.0 ELSE 0.0 END)
          FROM analytics.feedback_facts WHERE withdrawn_at IS NULL GROUP BY 1 ORDER BY 1
    """,
    "evaluations by outcome": """
        SELECT outcome, count(*), avg(duration_ms) FROM analytics.evaluation_facts
         GROUP BY 1 ORDER BY 1
    """,
    "length of conversations": """
        SELECT completion_reason, count(*), avg(messages), max(last_activity_at - started_at)
          FROM analytics.conversation_facts GROUP BY 1 ORDER BY 2, 1
    """,
    "conversations without texts": """
        SELECT account_id, count(*), count(text_removed_at) FROM analytics.conversation_facts
         GROUP BY 1 ORDER BY 1
    """,
}


@pytest.mark.parametrize("figure", FIGURES)
async def test_a_figure_of_the_files_is_that_of_the_views(
    analyst: Connection, exports: Path, figure: str
) -> None:
    with duckdb.connect() as files:
        files.execute("CREATE SCHEMA analytics")
        for table in TABLES:
            files.execute(
                f"CREATE VIEW analytics.{table} AS "
                f"SELECT * FROM read_parquet('{exports}/parquet/{table}/*/*/*.parquet')"
            )
        result = [numbers(row) for row in files.sql(FIGURES[figure]).fetchall()]
    expected = [numbers(tuple(row)) for row in await analyst.fetch(FIGURES[figure])]
    assert expected, "a figure of nothing proves nothing"
    assert result == expected


def numbers(row: tuple[Any, ...]) -> list[Any]:
    """The row with sums and shares rounded to nine places."""
    return [
        float(f"{value:.9g}") if isinstance(value, (int, float, Decimal)) else str(value)
        for value in row
    ]
