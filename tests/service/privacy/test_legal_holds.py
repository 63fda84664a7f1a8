"""While a legal hold covers a learner, nobody can delete their texts."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from eventstore.connections import Connection
from eventstore.envelope import Actor, Metadata
from eventstore.privacy_events import HoldPlaced, LearnerErased
from eventstore.running_log import running_log
from service.errors import UnknownHold, UnknownUser
from service.privacy.legal_holds import LegalHolds
from tests.running import LEARNER, OTHER_LEARNER, Service, running_service
from tests.service.privacy.erasing import (
    REASON,
    by,
    create_admin,
    erase,
    erasing,
    speak_everywhere,
    talk,
)

OPERATOR = Metadata(actor=Actor(None, "operator"))


@pytest.fixture
async def service(demo_url: str) -> AsyncIterator[Service]:
    async with running_service(demo_url) as running:
        await create_admin(running)
        yield running


@pytest.fixture
async def holds(service: Service) -> AsyncIterator[LegalHolds]:
    """As another process has them."""
    async with running_log(service.database_url) as (log, pool, _notifier):
        yield LegalHolds(log, pool)


async def test_a_learner_under_hold_is_not_erased_and_nothing_is_stopped(
    service: Service, holds: LegalHolds
) -> None:
    shown = await talk(service, LEARNER, "Kept")
    number = await holds.place(1, LEARNER, "case 12", OPERATOR)
    second = await holds.place(1, LEARNER, "case 13", OPERATOR)
    refusal = {
        "error": f"user {LEARNER} is under legal hold {number}, {second}: nothing of theirs may "
        "be deleted until it is released",
        "code": "legal_hold",
        "retryable": False,
        "holds": [number, second],
    }
    await service.refused(
        409, refusal, "DELETE", erasing(LEARNER), json=REASON, **by(service, "admin")
    )
    assert await service.active() == shown
    await holds.release(1, number, "closed", OPERATOR)
    assert (await erase(service))[1]["holds"] == [second]
    assert await holds.release(1, second, "closed", OPERATOR) == LEARNER
    assert (await erase(service))[0] == 200


async def test_a_hold_covers_one_learner_only(service: Service, holds: LegalHolds) -> None:
    await talk(service, OTHER_LEARNER, "Goes")
    await holds.place(1, LEARNER, "case 12", OPERATOR)
    assert (await erase(service, OTHER_LEARNER))[0] == 200


async def test_holds_are_listed_with_their_reasons(holds: LegalHolds) -> None:
    number = await holds.place(1, LEARNER, "case 12", OPERATOR)
    other = await holds.place(1, OTHER_LEARNER, "case 13", OPERATOR)
    await holds.release(1, number, "closed", OPERATOR)
    listed = await holds.list(1)
    assert [(h.hold_id, h.user_id, h.reason, h.release_reason) for h in listed] == [
        (number, LEARNER, "case 12", "closed"),
        (other, OTHER_LEARNER, "case 13", None),
    ]
    assert [h.released_at is None for h in listed] == [False, True]
    assert await holds.list(1, OTHER_LEARNER) == listed[1:]


async def test_a_hold_is_released_once(holds: LegalHolds) -> None:
    number = await holds.place(1, LEARNER, "case 12", OPERATOR)
    outcomes = await asyncio.gather(
        *(holds.release(1, number, "closed", OPERATOR) for _ in range(5)), return_exceptions=True
    )
    assert outcomes.count(LEARNER) == 1
    assert [type(o) for o in outcomes if o != LEARNER] == [UnknownHold] * 4
    with pytest.raises(UnknownHold, match="no hold 99"):
        await holds.release(1, 99, "closed", OPERATOR)


async def test_a_hold_is_on_a_user_of_the_roster(holds: LegalHolds) -> None:
    with pytest.raises(UnknownUser):
        await holds.place(1, 4040, "case 12", OPERATOR)


async def test_the_second_of_a_concurrent_hold_and_erasure_sees_the_first(
    service: Service, holds: LegalHolds, owner: Connection
) -> None:
    """The database itself checks this, without the service's earlier check."""
    metadata = '{"actor": {"id": null, "role": "operator"}}'
    erasures = "SELECT outcome FROM erase_learner_v1(1, $1, 'asked', $2)"
    orders = set()
    await owner.execute("SET colloquy.account = '1'")
    for _ in range(30):
        learner = await service.enroll()
        await talk(service, learner, "Words")
        outcome, _hold = await asyncio.gather(
            owner.fetchval(erasures, learner, metadata),
            holds.place(1, learner, "case 12", OPERATOR),
        )
        log = await service.history()
        erased = [e.position for e in log if is_about(e.event, LearnerErased, learner)]
        (held,) = [e.position for e in log if is_about(e.event, HoldPlaced, learner)]
        texts = await owner.fetchval(
            "SELECT count(*) FROM event_content WHERE subject_id = $1", learner
        )
        assert (outcome, bool(erased), texts == 0) in {
            ("erased", True, True),
            ("held", False, False),
        }
        assert all(position < held for position in erased), "erased under a hold"
        orders.add(outcome)
    assert orders <= {"erased", "held"}


def is_about(event: object, kind: type[LearnerErased | HoldPlaced], learner: int) -> bool:
    return isinstance(event, kind) and event.user_id == learner


DELETE = "DELETE FROM event_content WHERE subject_id = $1"


async def append_fact(owner: Connection, stream: str, data: str) -> None:
    await owner.execute(
        "SELECT append_facts_v1(1, ARRAY[$1], ARRAY[$2::jsonb], $3)",
        stream,
        data,
        '{"actor": {"id": null, "role": "operator"}}',
    )


async def delete_after(owner: Connection, facts: list[tuple[str, str]]) -> None:
    """The owner appends events (stream, data), and deletes the learner's texts."""
    async with owner.transaction():
        for stream, data in facts:
            await append_fact(owner, stream, data)
        await owner.execute(DELETE, LEARNER)


async def test_the_owner_cannot_delete_a_text_without_recording_it(
    service: Service, owner: Connection
) -> None:
    shown = await speak_everywhere(service)
    other = await talk(service, OTHER_LEARNER, "Kept")
    stream = f"dialogue-1-{LEARNER}"
    expired = '{{"type": "text_expired.v1", "conversation_id": {}, "user_id": 1, "texts": 1}}'
    erased = '{{"type": "learner_erased.v1", "user_id": {}}}'
    for streams in (
        [],
        [(stream, expired.format(other["id"]))],
        [("learner-1", erased.format(OTHER_LEARNER))],
        [("learner-1", erased.format(LEARNER)), ("learner-1", erased.format(OTHER_LEARNER))],
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await delete_after(owner, streams)
    await append_fact(owner, stream, expired.format(shown["id"]))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await owner.execute(DELETE, LEARNER)


async def test_a_recorded_removal_is_refused_under_a_hold(
    service: Service, holds: LegalHolds, owner: Connection
) -> None:
    await talk(service, LEARNER, "Kept")
    await holds.place(1, LEARNER, "case 12", OPERATOR)
    erased = f'{{"type": "learner_erased.v1", "user_id": {LEARNER}}}'
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="legal hold"):
        await delete_after(owner, [(f"learner-{LEARNER}", erased)])
