"""Appends that may share a batch, and pending appends."""

import random
from collections import deque

import pytest

from eventstore.append_batch import (
    SMALL_BATCH,
    PendingAppend,
    arguments,
    new_pending_append,
    offsets,
    take_batch,
)
from eventstore.envelope import NewEvent
from tests.eventstore.building import BY_LEARNER, message, messages


def item(
    stream: str, expected: int | None = None, account_id: int = 1, events: int = 1
) -> PendingAppend:
    return new_pending_append(account_id, stream, expected, messages(events), BY_LEARNER)


async def test_different_streams_share_a_batch_in_the_order_of_arrival() -> None:
    first, second, third = item("a", 3), item("b", 0), item("c")
    waiting = deque([first, second, third])
    assert take_batch(waiting) == [first, second, third]
    assert not waiting


async def test_appends_without_an_expected_revision_share_a_batch() -> None:
    waiting = deque([item("a"), item("b", 1), item("a"), item("a")])
    assert len(take_batch(waiting)) == 4


@pytest.mark.parametrize(("first", "second"), [(None, 4), (3, None), (3, 4), (3, 3)])
async def test_an_append_with_an_expected_revision_shares_its_stream_with_no_other(
    first: int | None, second: int | None
) -> None:
    items = [item("a", first), item("a", second)]
    waiting = deque(items)
    assert take_batch(waiting) == items[:1]
    assert take_batch(waiting) == items[1:]


async def test_no_append_overtakes_a_skipped_one_to_its_stream() -> None:
    first, held, behind, other = item("a"), item("a", 4), item("a"), item("b", 1)
    waiting = deque([first, held, behind, other])
    assert take_batch(waiting) == [first, other]
    assert list(waiting) == [held, behind]


async def test_a_batch_is_of_one_account() -> None:
    mine, theirs, also_mine = item("a"), item("b", account_id=2), item("c")
    waiting = deque([mine, theirs, also_mine])
    assert take_batch(waiting) == [mine, also_mine]
    assert take_batch(waiting) == [theirs]


async def test_an_equally_named_stream_of_another_account_delays_nothing() -> None:
    mine, theirs, also_mine = item("a"), item("a", 4, account_id=2), item("a")
    waiting = deque([mine, theirs, also_mine])
    assert take_batch(waiting) == [mine, also_mine]


@pytest.mark.parametrize(
    ("waiting", "taken"), [(64, 64), (65, 64), (127, 64), (200, 100), (512, 256), (1000, 256)]
)
async def test_a_long_queue_is_split_between_two_writers_up_to_a_limit(
    waiting: int, taken: int
) -> None:
    items = [item(f"s{n}") for n in range(waiting)]
    queue = deque(items)
    assert take_batch(queue) == items[:taken]
    assert list(queue) == items[taken:]


async def test_skipped_appends_stay_before_unexamined_ones() -> None:
    items = [item("a"), item("a", 1), *(item(f"s{n}") for n in range(SMALL_BATCH))]
    waiting = deque(items)
    take_batch(waiting)
    assert list(waiting) == [items[1], items[-1]]


@pytest.mark.parametrize("seed", range(5))
async def test_every_append_is_taken_once_and_in_its_streams_order(seed: int) -> None:
    chance = random.Random(seed)
    expected = [None, None, 1, 2]
    items = [
        item(chance.choice("abcdef"), chance.choice(expected), chance.choice((1, 1, 2)))
        for _ in range(300)
    ]
    waiting, taken = deque(items), list[PendingAppend]()
    while waiting:
        taken += take_batch(waiting)
    assert sorted(map(id, taken)) == sorted(map(id, items))

    def by_stream(some: list[PendingAppend]) -> dict[tuple[int, str], list[int]]:
        keys = {(one.account_id, one.stream) for one in some}
        return {key: [id(o) for o in some if (o.account_id, o.stream) == key] for key in keys}

    assert by_stream(taken) == by_stream(items)


async def test_the_events_of_a_batch_are_numbered_by_stream() -> None:
    """So appends to one stream can share a commit."""
    batch = [item("a", events=2), item("b"), item("a", events=3), item("b"), item("a")]
    assert offsets(batch) == [1, 1, 3, 2, 6]
    assert arguments(batch)[4:6] == ([1, 1, 2, 3, 3, 3, 4, 5], [1, 2, 1, 3, 4, 5, 2, 6])


async def test_an_append_without_events_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one event"):
        new_pending_append(1, "a", None, [], BY_LEARNER)


async def test_content_without_a_subject_is_refused() -> None:
    orphan = NewEvent(event=message().event, content="Hello")
    with pytest.raises(ValueError, match="subject"):
        new_pending_append(1, "a", None, [message(), orphan], BY_LEARNER)


async def test_every_content_gets_its_own_salt() -> None:
    salts = new_pending_append(
        1, "a", None, [message("x"), message(None), message("x")], BY_LEARNER
    ).salts
    assert salts[1] is None
    assert salts[0] != salts[2]
    assert [len(salt) for salt in salts if salt] == [16, 16]
