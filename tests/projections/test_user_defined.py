"""A user-defined projection runs like ours, and accesses only its own tables."""

import re
from itertools import count
from pathlib import Path

import asyncpg
import pytest

from eventstore.connections import Connection, Pool
from eventstore.dialogue_events import MessagePosted
from projections.errors import ProjectionRefused
from projections.fault_search import apply_range
from projections.rebuild import rebuild
from projections.trial_run import run_trial
from tests.eventstore.building import Learner, add_account, append_steps, dialogue, history
from tests.projections.user_projection_folder import NAME, changed, read, started
from tests.projections.viewing import Parts, catch_up, generations, rows_of, schemas


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The template of a projection."""
    return started(tmp_path)


async def test_the_template_passes_its_check_and_counts(
    folder: Path, log_parts: Parts, workers: Pool, database_url: str, owner: Connection
) -> None:
    log, _, notifier = log_parts
    await add_account(owner, 2)
    await append_steps(log, history(1))
    await append_steps(log, history(2), account_id=2)
    own = read(folder)
    tried = await run_trial(owner, own.readable(), own.files)
    assert tried.events == await log.head(1) + await log.head(2)
    assert await generations(owner, NAME) == []
    assert await schemas(owner, NAME) == []
    await rebuild(database_url, own.readable())
    posted = "SELECT count(*) FROM events WHERE type = 'message_posted.v1' AND account_id = $1"
    counted = f"SELECT sum(messages) FROM analytics.{NAME}_v1 WHERE account_id = $1"
    for account in (1, 2):
        assert await owner.fetchval(counted, account) == await owner.fetchval(posted, account) > 0
    await append_steps(log, dialogue(Learner(999)))
    await catch_up(workers, notifier)
    assert await owner.fetchval(counted, 1) == await owner.fetchval(posted, 1)
    before = await rows_of(owner, own.readable())
    await rebuild(database_url, own.readable())
    assert await rows_of(owner, own.readable()) == before


@pytest.mark.parametrize("order", ["rising", "any"])
async def test_the_event_at_which_a_rebuild_fails_is_named(
    order: str, folder: Path, log_parts: Parts, database_url: str, owner: Connection
) -> None:
    log, _, _ = log_parts
    ids = count(1)
    learners = [Learner(number, conversation_ids=ids) for number in range(101, 121)]
    recorded = await append_steps(log, [step for one in learners for step in dialogue(one)])
    posted = [one.position for one in recorded if isinstance(one.event, MessagePosted)]
    fault = posted[len(posted) // 2]
    changed(folder, "projection.toml", 'order = "rising"', f'order = "{order}"')
    changed(folder, "1_count.sql", "count(*)", f"count(*) / min(abs(e.position - {fault}))")
    with pytest.raises(
        ProjectionRefused, match=rf"division by zero \(account 1, the event at position {fault}\)"
    ):
        await rebuild(database_url, read(folder).readable())
    assert await generations(owner, NAME) == []


@pytest.mark.parametrize("order", ["rising", "any"])
async def test_events_that_fail_only_together_are_named_together(
    order: str, folder: Path, log_parts: Parts, database_url: str, owner: Connection
) -> None:
    log, _, _ = log_parts
    recorded = await append_steps(log, dialogue(Learner(), 3))
    posted = [one.position for one in recorded if isinstance(one.event, MessagePosted)]
    changed(folder, "projection.toml", 'order = "rising"', f'order = "{order}"')
    changed(folder, "1_count.sql", "date_trunc('hour', e.recorded_at)", "'2031-03-01'::timestamptz")
    changed(folder, "1_count.sql", "GROUP BY 1, 2, 3", "GROUP BY 1, 2, 3, e.position")
    with pytest.raises(ProjectionRefused, match="affect row a second time") as refused:
        await rebuild(database_url, read(folder).readable())
    found = re.search(r"the events at positions (\d+) to (\d+), together only", str(refused.value))
    assert found, refused.value
    assert sum(int(found[1]) <= position <= int(found[2]) for position in posted) > 1
    assert await generations(owner, NAME) == []


@pytest.mark.parametrize(
    ("pair", "where"),
    [((3, 6), "1 to 8"), ((5, 8), "1 to 8"), ((2, 3), "1 to 4"), ((1, 2), "1 to 2")],
)
async def test_the_search_narrows_events_that_fail_only_together(
    pair: tuple[int, int], where: str, folder: Path
) -> None:
    async def apply(after: int, upto: int) -> None:
        if all(after < one <= upto for one in pair):
            raise asyncpg.CardinalityViolationError("cannot affect row a second time")

    with pytest.raises(ProjectionRefused, match=rf"the events at positions {where}, together only"):
        await apply_range(read(folder).readable(), 1, 0, 8, apply)


async def test_a_database_that_goes_away_during_the_search_blames_no_event(folder: Path) -> None:
    async def apply(after: int, upto: int) -> None:
        if (after, upto) == (0, 8):
            raise asyncpg.DivisionByZeroError("division by zero")
        raise asyncpg.AdminShutdownError("terminating connection")

    with pytest.raises(asyncpg.AdminShutdownError):
        await apply_range(read(folder).readable(), 1, 0, 8, apply)
