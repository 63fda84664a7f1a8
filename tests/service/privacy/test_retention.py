"""Rules say how long texts are kept; a run deletes only the texts that are due."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from eventstore.connections import Connection, Pool
from eventstore.envelope import Actor, Metadata
from eventstore.privacy_events import LearnerErased, TextExpired
from eventstore.running_log import running_log
from projections.definitions import definitions
from projections.rebuild import rebuild_all
from service.errors import NotFound
from service.privacy.legal_holds import LegalHolds
from service.privacy.retention import ACCOUNT_WIDE, Due, Expired, Retention
from service.privacy.retention_job import RetentionJob
from service.timing import Timing
from tests.projections.viewing import all_rows
from tests.running import CONVERSATIONS, LEARNER, OTHER_LEARNER, TEACHER, Service, running_service
from tests.service.privacy.erasing import (
    MARKER,
    followed_views_are_fresh,
    speak_everywhere,
    tables_with,
    talk,
)

OPERATOR = Metadata(actor=Actor(None, "operator"))


@pytest.fixture
async def service(demo_url: str) -> AsyncIterator[Service]:
    """A service that applies no retention rule by itself during a test."""
    timing = Timing(assessment=60.0, first_retention=3600.0)
    async with running_service(demo_url, timing) as running:
        yield running


@pytest.fixture
async def parts(service: Service) -> AsyncIterator[tuple[Retention, LegalHolds]]:
    """As another process has them."""
    async with running_log(service.database_url) as (log, pool, notifier):
        yield Retention(log, pool, notifier), LegalHolds(log, pool)


@pytest.fixture
def retention(parts: tuple[Retention, LegalHolds]) -> Retention:
    return parts[0]


def in_days(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


async def complete(service: Service, number: int, user: int = LEARNER) -> None:
    assert (await service.call("DELETE", f"{CONVERSATIONS}/{number}", user=user))[0] == 200


async def due_in(retention: Retention, days: float) -> list[Due]:
    return [due async for page in retention.due(1, in_days(days)) for due in page]


async def test_without_a_rule_nothing_is_ever_due(service: Service, retention: Retention) -> None:
    await complete(service, (await talk(service, LEARNER, "Kept"))["id"])
    assert await due_in(retention, 36_000) == []


async def test_texts_are_due_the_rules_days_after_completion(
    service: Service, retention: Retention
) -> None:
    await retention.set_rule(1, ACCOUNT_WIDE, 30, OPERATOR)
    old = await talk(service, LEARNER, "Over")
    await complete(service, old["id"])
    await talk(service, LEARNER, "Goes on")
    assert await due_in(retention, 29.9) == []
    assert await due_in(retention, 30.1) == [
        Due(
            conversation_id=old["id"],
            user_id=LEARNER,
            rule="account",
            days=30,
            texts=3,
            held=False,
        )
    ]


async def test_a_courses_rule_overrides_the_accounts(
    service: Service, retention: Retention
) -> None:
    await retention.set_rule(1, ACCOUNT_WIDE, 10, OPERATOR)
    await complete(service, (await talk(service, LEARNER, "Over"))["id"])
    await retention.set_rule(1, 1, 30, OPERATOR)
    assert await due_in(retention, 20) == []
    assert [due.rule for due in await due_in(retention, 31)] == ["course"]
    await retention.set_rule(1, 1, None, OPERATOR)
    assert await due_in(retention, 36_000) == []
    rules = [(rule.course_id, rule.days) for rule in await retention.rules(1)]
    assert rules == [(ACCOUNT_WIDE, 10), (1, None)]


async def test_a_rule_needs_an_existing_course(service: Service, retention: Retention) -> None:
    with pytest.raises(NotFound, match="no course 77"):
        await retention.set_rule(1, 77, 30, OPERATOR)


async def test_a_run_deletes_what_is_due_and_records_it_and_keeps_the_rest(
    service: Service, retention: Retention, owner: Connection
) -> None:
    await retention.set_rule(1, 1, 30, OPERATOR)
    shown = await speak_everywhere(service)
    await complete(service, shown["id"])
    other = await talk(service, OTHER_LEARNER, "Goes on")
    names = await owner.fetch("SELECT * FROM users ORDER BY user_id")
    due = await due_in(retention, 31)
    done = await retention.run(1, OPERATOR, in_days(31))
    assert done == Expired(conversations=1, texts=due[0].texts)
    assert await tables_with(owner, MARKER) == []
    assert await owner.fetch("SELECT * FROM users ORDER BY user_id") == names
    assert await service.active(OTHER_LEARNER) == other
    assert await service.active() == {}, "the token still works"
    status, seen = await service.call("GET", f"{CONVERSATIONS}/{shown['id']}", user=TEACHER)
    assert (status, {m["text"] for m in seen["messages"][1:]}) == (200, {None})
    log = await service.history()
    (expired,) = [e for e in log if isinstance(e.event, TextExpired)]
    assert expired.event == TextExpired(
        conversation_id=shown["id"],
        user_id=LEARNER,
        texts=due[0].texts,
        rule="course",
        days=30,
    )
    assert not any(isinstance(e.event, LearnerErased) for e in log)
    await followed_views_are_fresh(service, owner)
    before = await all_rows(owner)
    assert [n async for n, _ in rebuild_all(service.database_url, definitions().values())]
    assert await all_rows(owner) == before


async def test_a_second_run_deletes_nothing_and_no_new_texts_are_taken(
    service: Service, retention: Retention, owner: Connection
) -> None:
    await retention.set_rule(1, 1, 30, OPERATOR)
    shown = await talk(service, LEARNER, "Over")
    await complete(service, shown["id"])
    await retention.run(1, OPERATOR, in_days(31))
    head = await service.head()
    assert await retention.run(1, OPERATOR, in_days(31)) == Expired()
    assert await service.head() == head
    reply = shown["messages"][-1]["id"]
    late = {"vote": "liked", "feedback_message": f"Late {MARKER}"}
    path = f"{CONVERSATIONS}/{shown['id']}/messages/{reply}/feedback"
    status, refusal = await service.call("POST", path, json=late)
    assert (status, refusal["code"]) == (409, "text_removed")
    assert await tables_with(owner, MARKER) == []


async def test_learners_under_hold_are_left_out_and_listed(
    service: Service, parts: tuple[Retention, LegalHolds], owner: Connection
) -> None:
    retention, holds = parts
    await retention.set_rule(1, ACCOUNT_WIDE, 30, OPERATOR)
    for user in (LEARNER, OTHER_LEARNER):
        await complete(service, (await talk(service, user, f"Of {user}"))["id"], user)
    number = await holds.place(1, LEARNER, "case 12", OPERATOR)
    assert [(d.user_id, d.held) for d in await due_in(retention, 31)] == [
        (LEARNER, True),
        (OTHER_LEARNER, False),
    ]
    done = await retention.run(1, OPERATOR, in_days(31))
    assert (done.conversations, done.held) == (1, (LEARNER,))
    assert await tables_with(owner, f"Of {OTHER_LEARNER}") == []
    assert "event_content" in await tables_with(owner, f"Of {LEARNER}")
    await holds.release(1, number, "closed", OPERATOR)
    assert (await retention.run(1, OPERATOR, in_days(31))).conversations == 1


async def test_a_run_takes_more_conversations_than_fit_a_transaction(
    service: Service,
) -> None:
    for _ in range(5):
        await complete(service, (await service.open())["id"])
    async with running_log(service.database_url) as (log, pool, notifier):
        retention = Retention(log, pool, notifier, page=2)
        await retention.set_rule(1, ACCOUNT_WIDE, 30, OPERATOR)
        assert len(await due_in(retention, 31)) == 5
        assert (await retention.run(1, OPERATOR, in_days(31))).conversations == 5


async def test_the_job_runs_the_rules_in_one_process_at_a_time(
    service: Service, retention: Retention, owner: Connection, workers: Pool
) -> None:
    await retention.set_rule(1, ACCOUNT_WIDE, 30, OPERATOR)
    await complete(service, (await talk(service, LEARNER, MARKER))["id"])
    await owner.execute(
        "UPDATE read.conversations SET completed_at = completed_at - interval '40 days'"
    )
    job = RetentionJob(workers, retention, 60.0)
    lock = "hashtextextended('colloquy retention', 0)"
    await owner.execute(f"SELECT pg_advisory_lock({lock})")
    assert await job.try_once()
    assert "event_content" in await tables_with(owner, MARKER)
    await owner.execute(f"SELECT pg_advisory_unlock({lock})")
    assert await job.try_once()
    assert await tables_with(owner, MARKER) == []
    (expired,) = [e for e in await service.history() if isinstance(e.event, TextExpired)]
    assert expired.metadata.actor == Actor(None, "system")
