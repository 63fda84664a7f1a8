"""Analysts' views accept stored events, including those without later fields."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

import tests.eventstore
from eventstore.connections import Connection
from projections.definitions import Definition, definitions
from tests.projections.test_facts import FACTS, apply, generation, rows_in

GOLDEN = Path(tests.eventstore.__file__).parent / "golden"
STREAM, EVALUATION = "dialogue-2-101", "evaluation-1"
ORDER = (
    "opening_requested.v1",
    "conversation_started.v1",
    "message_posted.v1",
    "objectives_assessed.v1",
    "reply_completed.v1",
    "assessment_failed.v1",
    "reply_failed.v1",
    "message_retried.v1",
    "turn_taken_over.v1",
    "turn_released.v1",
    "reply_cancelled.v1",
    "feedback_given.v1",
    "feedback_withdrawn.v1",
    "opening_failed.v1",
    "evaluation_requested.v1",
    "evaluation_recorded.v1",
    "evaluation_failed.v1",
    "conversation_completed.v1",
    "text_expired.v1",
)
STORE = """
INSERT INTO events (account_id, position, stream, revision, event_id, type, conversation_id, data,
                    metadata, recorded_at)
VALUES (1, $1, $2, $3, gen_random_uuid(), $4, $5, $6, '{"actor": {"id": null}}', now())
"""


async def store(owner: Connection) -> int:
    """Stores the golden events as one conversation; returns their number."""
    revisions = {STREAM: 0, EVALUATION: 0}
    for position, kind in enumerate(ORDER, start=1):
        text = (GOLDEN / f"{kind}.json").read_text("utf-8")
        data: dict[str, Any] = msgspec.json.decode(text)
        stream = EVALUATION if kind.startswith("evaluation") else STREAM
        revisions[stream] += 1
        where = (position, stream, revisions[stream])
        await owner.execute(STORE, *where, kind, data["conversation_id"], text)
    return len(ORDER)


def test_the_stored_events_cover_all_types_that_the_views_consume() -> None:
    assert {kind for known in FACTS for kind in known.consumes} == set(ORDER)


@pytest.mark.parametrize("known", FACTS, ids=lambda known: known.name)
async def test_every_stored_event_can_be_applied(owner: Connection, known: Definition) -> None:
    """One by one, since the examples end the same turn several times."""
    number = await store(owner)
    async with generation(owner, known) as schema:
        for position in range(number):
            await apply(owner, schema, known, position, position + 1)
        assert await rows_in(owner, schema)


async def test_an_old_answer_counts_with_its_recorded_attempts_and_tokens(
    owner: Connection,
) -> None:
    known = definitions()["model_daily_cost"]
    await store(owner)
    async with generation(owner, known) as schema:
        await apply(owner, schema, known, 0, 2)
        row = await owner.fetchrow(
            "SELECT model, purpose, course_id, requests, failed_requests, unpriced_requests,"
            f" input_tokens, cost_microusd FROM {schema}.model_daily_cost"
        )
        assert row is not None
        assert tuple(row) == ("claude-sonnet", "opening", 1, 2, 1, 2, 1200, 0)
