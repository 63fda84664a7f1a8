"""Commands on dialogues, with a real log under them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest

from eventstore.conflicts import MAX_ATTEMPTS
from eventstore.connections import AccountPool, Pool
from eventstore.dialogue_events import ConversationCompleted
from eventstore.envelope import Actor, Metadata, NewEvent, RecordedEvent
from eventstore.errors import AppendRefused, WrongExpectedRevision
from eventstore.log import EventLog
from eventstore.notifier import Notifier
from eventstore.reply_records import PromptVersion, ReplyRecord, Usage
from service.dialogue.commands import (
    CompleteConversation,
    FailTurn,
    Failure,
    OpenConversation,
    PostMessage,
    RecordOpening,
)
from service.dialogue.ownership import TurnOwnership
from service.dialogue.repository import DialogueKey, DialogueRepository
from service.dialogue.state import Dialogue
from service.errors import AlreadyAsked, Busy, NotFound, TurnInProgress, TurnIsOver
from service.timing import USUAL
from tests.eventstore.log_reading import read_all
from tests.service.histories import types_of

Parts = tuple[EventLog, AccountPool, Notifier]
KEY = DialogueKey(1, 8, 9)
LEARNER = Metadata(actor=Actor(9, "learner"))


@pytest.fixture
async def their_notifier(database_url: str) -> AsyncIterator[Notifier]:
    """Another process, alive."""
    notifier = Notifier(database_url)
    await notifier.start()
    yield notifier
    await notifier.close()


def utc_now() -> datetime:
    """The database's time, which is here that of this machine."""
    return datetime.now(UTC)


def dialogues_of(log: EventLog, pool: Pool, owner: int) -> DialogueRepository:
    """Those of the process with that number."""
    return DialogueRepository(log, TurnOwnership(pool, owner, utc_now, USUAL.owner_check))


def opening(owner: int, seconds: float = 60, conversation: int = 1) -> OpenConversation:
    return OpenConversation(
        conversation_id=conversation,
        turn_id=str(uuid4()),
        course_id=7,
        experience_id=8,
        experience_version=1,
        user_id=9,
        model="any",
        owner=owner,
        deadline_at=datetime.now(UTC) + timedelta(seconds=seconds),
        starting_message_id=str(uuid4()),
    )


def message(conversation: int, owner: int) -> PostMessage:
    return PostMessage(
        conversation_id=conversation,
        turn_id=str(uuid4()),
        message_id=str(uuid4()),
        text="Why?",
        model="any",
        owner=owner,
        deadline_at=datetime.now(UTC) + timedelta(minutes=1),
    )


async def begin(dialogues: DialogueRepository, owner: int, conversation: int) -> None:
    """Opens a conversation, which supersedes the one before."""
    asked = opening(owner, conversation=conversation)
    await dialogues.execute(KEY, asked, LEARNER)
    reply = ReplyRecord(
        model_requested="any",
        model="any",
        max_tokens=1,
        prompt=PromptVersion(name="any", sha256=""),
        stop_reason="end_turn",
        usage=Usage(),
        provider_request_id=None,
        first_token_ms=None,
        duration_ms=0,
    )
    opened = RecordOpening(
        turn_id=asked.turn_id,
        objectives=(),
        starting_prompt="Begin",
        starting_message_id=str(uuid4()),
        message_id=str(uuid4()),
        text="Good day",
        reply=reply,
    )
    await dialogues.execute(KEY, opened, LEARNER)


def failure(turn_id: str) -> FailTurn:
    return FailTurn(turn_id=turn_id, failure=Failure(code="model_timeout", partial_text="Half"))


@pytest.mark.parametrize(
    ("key", "stream"),
    [(DialogueKey(1, 8, 9), "dialogue-8-9"), (DialogueKey(2, 2**63 - 1, 1), None)],
)
def test_a_key_is_found_again_in_its_stream(key: DialogueKey, stream: str | None) -> None:
    assert stream in {None, key.stream}
    assert DialogueKey.of_stream(key.account_id, key.stream) == key


async def test_what_a_command_leads_to_is_on_disk_and_in_the_answer(
    log_parts: Parts, workers: Pool
) -> None:
    log, _, notifier = log_parts
    carried = dialogues_of(log, workers, notifier.owner)
    asked = opening(notifier.owner)
    executed = await carried.execute(KEY, asked, LEARNER)
    (recorded,) = await read_all(log, 1)
    assert (recorded.event_id, recorded.stream) == (executed.event.event_id, KEY.stream)
    assert executed.dialogue.revision == recorded.revision == 1
    assert executed.dialogue.turn is not None
    assert executed.dialogue.turn.id == asked.turn_id
    executed = await carried.execute(KEY, failure(asked.turn_id), LEARNER, executed.dialogue)
    assert executed.dialogue.turn is None
    assert [e.content for e in await read_all(log, 1)] == [None, "Half"]


async def test_a_command_that_is_refused_leaves_no_trace(log_parts: Parts, workers: Pool) -> None:
    log, _, notifier = log_parts
    carried = dialogues_of(log, workers, notifier.owner)
    with pytest.raises(NotFound):
        await carried.execute(KEY, CompleteConversation(conversation_id=1), LEARNER)
    assert await log.head(1) == 0


async def test_of_many_who_open_at_once_one_succeeds(log_parts: Parts, workers: Pool) -> None:
    """The others decide again on what they find then, and see its turn."""
    log, _, notifier = log_parts
    carried = dialogues_of(log, workers, notifier.owner)
    outcomes = await asyncio.gather(
        *(carried.execute(KEY, opening(notifier.owner), LEARNER) for _ in range(30)),
        return_exceptions=True,
    )
    won = [o for o in outcomes if not isinstance(o, BaseException)]
    assert len(won) == 1
    assert won[0].dialogue.turn is not None
    lost = [o for o in outcomes if isinstance(o, BaseException)]
    assert {type(o) for o in lost} == {TurnInProgress}
    assert {o.turn_id for o in lost if isinstance(o, TurnInProgress)} == {won[0].dialogue.turn.id}
    assert await log.head(1) == 1


async def test_a_dialogue_that_has_moved_on_since_it_was_known_is_read_again(
    log_parts: Parts,
    workers: Pool,
) -> None:
    log, _, notifier = log_parts
    carried = dialogues_of(log, workers, notifier.owner)
    asked = opening(notifier.owner)
    known = (await carried.execute(KEY, asked, LEARNER)).dialogue
    await carried.execute(KEY, failure(asked.turn_id), LEARNER)
    with pytest.raises(TurnIsOver):
        await carried.execute(KEY, failure(asked.turn_id), LEARNER, known)
    assert types_of(await read_all(log, 1)) == ["opening_requested", "opening_failed"]


async def test_who_is_always_too_late_gives_up(
    log_parts: Parts, workers: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, _, notifier = log_parts
    tries = 0

    async def too_late(*_: object, **__: object) -> list[RecordedEvent]:
        nonlocal tries
        tries += 1
        raise WrongExpectedRevision(KEY.stream, 0, 1)

    monkeypatch.setattr(log, "append", too_late)
    with pytest.raises(Busy):
        await dialogues_of(log, workers, notifier.owner).execute(
            KEY, opening(notifier.owner), LEARNER
        )
    assert tries == MAX_ATTEMPTS


async def test_a_turn_of_our_own_is_closed_past_its_deadline_only(
    log_parts: Parts, workers: Pool
) -> None:
    log, _, notifier = log_parts
    ahead = 59.0

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=ahead)

    carried = DialogueRepository(
        log, TurnOwnership(workers, notifier.owner, clock, USUAL.owner_check)
    )
    await carried.execute(KEY, opening(notifier.owner), LEARNER)
    with pytest.raises(TurnInProgress):
        await carried.execute(KEY, opening(notifier.owner), LEARNER)
    ahead = 61.0
    await carried.execute(KEY, opening(notifier.owner, 600), LEARNER)
    log_now = await read_all(log, 1)
    assert types_of(log_now) == ["opening_requested", "opening_failed", "opening_requested"]
    assert log_now[1].metadata.actor == Actor(None, "system")


async def test_a_turn_of_our_own_that_nobody_runs_any_more_is_closed_at_once(
    log_parts: Parts,
    workers: Pool,
) -> None:
    """Its task ended without an end on record, for example while the database was away."""
    log, _, notifier = log_parts
    owners = TurnOwnership(workers, notifier.owner, utc_now, USUAL.owner_check)
    carried = DialogueRepository(log, owners)
    asked = opening(notifier.owner)
    await carried.execute(KEY, asked, LEARNER)
    owners.running.discard(asked.turn_id)
    await carried.execute(KEY, opening(notifier.owner), LEARNER)
    assert types_of(await read_all(log, 1)) == [
        "opening_requested",
        "opening_failed",
        "opening_requested",
    ]


async def test_closing_what_is_not_abandoned_changes_nothing(
    log_parts: Parts, workers: Pool
) -> None:
    """Not a dialogue without a turn, nor a turn whose owner lives."""
    log, _, notifier = log_parts
    await dialogues_of(log, workers, 1).close_abandoned(KEY.account_id, KEY.stream)
    await dialogues_of(log, workers, notifier.owner).execute(KEY, opening(notifier.owner), LEARNER)
    await dialogues_of(log, workers, 1).close_abandoned(KEY.account_id, KEY.stream)
    assert await log.head(1) == 1


async def test_many_who_close_an_abandoned_turn_close_it_once(
    log_parts: Parts, workers: Pool
) -> None:
    log, _, notifier = log_parts
    await dialogues_of(log, workers, notifier.owner).execute(KEY, opening(owner=1), LEARNER)
    ours = dialogues_of(log, workers, notifier.owner)
    await asyncio.gather(*(ours.close_abandoned(KEY.account_id, KEY.stream) for _ in range(10)))
    assert types_of(await read_all(log, 1)) == ["opening_requested", "opening_failed"]


async def test_what_another_process_did_is_seen_though_we_remember_otherwise(
    log_parts: Parts, workers: Pool, their_notifier: Notifier
) -> None:
    """Two processes take turns on one dialogue; neither refuses nor accepts by memory alone."""
    log, _, notifier = log_parts
    ours, theirs = (
        dialogues_of(log, workers, notifier.owner),
        dialogues_of(log, workers, their_notifier.owner),
    )
    asked = opening(notifier.owner)
    await ours.execute(KEY, asked, LEARNER)
    await ours.execute(KEY, failure(asked.turn_id), LEARNER)
    asked = opening(their_notifier.owner)
    await theirs.execute(KEY, asked, LEARNER)
    with pytest.raises(TurnInProgress):
        await ours.execute(KEY, opening(notifier.owner), LEARNER)
    await theirs.execute(KEY, failure(asked.turn_id), LEARNER)
    executed = await ours.execute(KEY, opening(notifier.owner), LEARNER)
    assert executed.dialogue.revision == await log.head(1) == 5


async def test_a_refusal_by_memory_alone_is_not_given(
    log_parts: Parts, workers: Pool, their_notifier: Notifier
) -> None:
    """We remember conversation 1, another process has begun conversation 2 since."""
    log, _, notifier = log_parts
    ours, theirs = (
        dialogues_of(log, workers, notifier.owner),
        dialogues_of(log, workers, their_notifier.owner),
    )
    await begin(ours, notifier.owner, 1)
    await begin(theirs, their_notifier.owner, 2)
    with pytest.raises(NotFound):
        await ours.execute(KEY, message(1, notifier.owner), LEARNER)
    await begin(theirs, their_notifier.owner, 3)
    executed = await ours.execute(KEY, message(3, notifier.owner), LEARNER)
    assert executed.dialogue.turn is not None
    assert types_of(await read_all(log, 1))[-1] == "message_posted"


async def test_what_is_remembered_is_bounded(log_parts: Parts, workers: Pool) -> None:
    """Of many dialogues the latest, and all of them go on."""
    log, _, notifier = log_parts
    owners = TurnOwnership(workers, notifier.owner, utc_now, USUAL.owner_check)
    carried = DialogueRepository(log, owners, capacity=3)
    keys = [DialogueKey(1, 8, user) for user in range(1, 9)]
    for _ in range(2):
        for key in keys:
            asked = opening(notifier.owner)
            await carried.execute(key, asked, LEARNER)
            await carried.execute(key, failure(asked.turn_id), LEARNER)
    assert len(carried._recent) == 3
    assert await log.head(1) == len(keys) * 4


async def test_a_request_with_a_key_is_recorded_once_whoever_carries_it_out(
    log_parts: Parts, workers: Pool, their_notifier: Notifier
) -> None:
    """However many come at once, to two processes; and long after its turn has ended."""
    log, _, notifier = log_parts
    owners = (notifier.owner, their_notifier.owner)
    both = [dialogues_of(log, workers, owner) for owner in owners]
    keyed = msgspec.structs.replace(LEARNER, idempotency_key="the-key")
    outcomes = await asyncio.gather(
        *(
            one.execute(KEY, opening(owner), keyed)
            for one, owner in zip(both, owners, strict=True)
            for _ in range(10)
        ),
        return_exceptions=True,
    )
    (won,) = (o for o in outcomes if not isinstance(o, BaseException))
    assert won.dialogue.turn is not None
    await both[0].execute(KEY, failure(won.dialogue.turn.id), LEARNER)
    for one in both:
        with pytest.raises(AlreadyAsked) as repeated:
            await one.execute(KEY, opening(notifier.owner), keyed)
        assert repeated.value.asked.event_id == won.event.event_id
    assert types_of(await read_all(log, 1)) == ["opening_requested", "opening_failed"]


async def test_the_database_refuses_a_key_twice_even_to_a_program_that_does_not_look(
    log_parts: Parts,
    workers: Pool,
) -> None:
    log, _, notifier = log_parts
    keyed = msgspec.structs.replace(LEARNER, idempotency_key="the-key")
    await dialogues_of(log, workers, notifier.owner).execute(KEY, opening(notifier.owner), keyed)
    event = NewEvent(event=ConversationCompleted(conversation_id=1, reason="deleted"))
    with pytest.raises(AppendRefused, match="UniqueViolation"):
        await log.append(1, "elsewhere", [event], expected=None, metadata=keyed)
    other = msgspec.structs.replace(keyed, actor=Actor(10, "learner"))
    await log.append(1, "elsewhere", [event], expected=None, metadata=other)


async def test_a_dialogue_can_be_seen_as_it_was_at_any_revision(
    log_parts: Parts, workers: Pool
) -> None:
    log, _, notifier = log_parts
    carried = dialogues_of(log, workers, notifier.owner)
    await begin(carried, notifier.owner, 1)
    await begin(carried, notifier.owner, 2)
    shown = [(await carried.at(KEY, revision)).active for revision in range(1, 6)]
    assert [active and active.id for active in shown] == [None, 1, 1, None, 2]


async def test_abandoned_turns_are_taken_over_by_who_takes_them_and_as_long_as_they_may_be(
    log_parts: Parts, workers: Pool
) -> None:
    """Not ten minutes after the question, and not for a person who wants no answer any more."""
    log, _, notifier = log_parts
    ahead = 0.0

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=ahead)

    owners = TurnOwnership(workers, notifier.owner, clock, USUAL.owner_check)
    dialogues = DialogueRepository(log, owners)
    taken: list[DialogueKey] = []

    async def take(key: DialogueKey, _state: Dialogue) -> bool:
        taken.append(key)
        return False

    dialogues.let_take_over(take)
    await dialogues_of(log, workers, notifier.owner).execute(KEY, opening(owner=1), LEARNER)
    with pytest.raises(TurnInProgress):
        await dialogues.execute(KEY, opening(notifier.owner), LEARNER)
    await dialogues.close_abandoned(KEY.account_id, KEY.stream)
    assert taken == [KEY, KEY]
    ahead = 601.0
    await dialogues.close_abandoned(KEY.account_id, KEY.stream)
    assert taken == [KEY, KEY]
    assert types_of(await read_all(log, 1)) == ["opening_requested", "opening_failed"]


async def test_a_process_that_has_just_reconnected_judges_nobody(
    log_parts: Parts, workers: Pool
) -> None:
    log, _, notifier = log_parts
    settled = False
    owners = TurnOwnership(workers, notifier.owner, utc_now, 0.01, settled=lambda: settled)
    dialogues = DialogueRepository(log, owners)
    await dialogues_of(log, workers, notifier.owner).execute(KEY, opening(owner=1), LEARNER)
    assert not await dialogues.close_abandoned(KEY.account_id, KEY.stream)
    settled = True
    assert await dialogues.close_abandoned(KEY.account_id, KEY.stream)
