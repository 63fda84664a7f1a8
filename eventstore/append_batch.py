"""A batch of appends: which may share one, how it is sent, what came of each."""

import asyncio
import os
from collections import Counter, deque
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

from eventstore.codec import encode, encode_guard
from eventstore.envelope import SALT, Metadata, NewEvent, RecordedEvent
from eventstore.events import type_name
from eventstore.guards import Guard

MAX_BATCH = 256
SMALL_BATCH = 64
"""Up to here waiting items are not split: two commits would cost more than they overlap."""


class Item(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One append that waits. Its events are stored all or none; `done` tells what came of it."""

    account_id: int
    stream: str
    expected: int | None
    events: Sequence[NewEvent]
    metadata: Metadata
    guard_text: str | None
    metadata_texts: Sequence[str]
    data_texts: Sequence[str]
    salts: Sequence[bytes | None]
    since: float
    done: "asyncio.Future[list[RecordedEvent]]"


def new_item(
    account_id: int,
    stream: str,
    expected: int | None,
    events: Sequence[NewEvent],
    metadata: Metadata,
    guard: Guard | None = None,
) -> Item:
    """An item with its salts drawn and its events encoded.

    Raises:
        ValueError: There is no event, or content without a subject.
    """
    if not events:
        raise ValueError("an append needs at least one event")
    if any(e.content is not None and e.subject_id is None for e in events):
        raise ValueError("an event with content needs the subject whom it is about")
    loop = asyncio.get_running_loop()
    return Item(
        account_id=account_id,
        stream=stream,
        expected=expected,
        events=events,
        metadata=metadata,
        guard_text=_guard_text(guard, stream, expected) if guard else None,
        metadata_texts=_metadata_texts(events, metadata),
        data_texts=[encode(e.event) for e in events],
        salts=[None if e.content is None else os.urandom(SALT) for e in events],
        since=loop.time(),
        done=loop.create_future(),
    )


def _metadata_texts(events: Sequence[NewEvent], metadata: Metadata) -> list[str]:
    usual = encode(metadata)
    return [encode(e.metadata) if e.metadata else usual for e in events]


def _guard_text(guard: Guard, stream: str, expected: int | None) -> str:
    """The guard without the append's own stream where the expected revision tells of that."""
    if expected is None:
        return encode_guard(guard)
    others = tuple(name for name in guard.streams if name != stream)
    return encode_guard(msgspec.structs.replace(guard, streams=others))


def take_batch(waiting: deque[Item]) -> list[Item]:
    """Takes the next items that may share a batch; the others keep their order.

    A batch is of one account. A stream stands in it twice only where none of its items expects
    a revision or has a guard, so that each item is accepted or not whatever becomes of the others.
    """
    size = max(SMALL_BATCH, min(MAX_BATCH, len(waiting) // 2))
    account_id = waiting[0].account_id
    streams: dict[str, bool] = {}
    batch: list[Item] = []
    passed: list[Item] = []
    while waiting and len(batch) < size:
        item = waiting.popleft()
        any_revision = item.expected is None and item.guard_text is None
        if (
            item.account_id == account_id
            and streams.get(item.stream, True)
            and (any_revision or item.stream not in streams)
        ):
            batch.append(item)
            streams[item.stream] = any_revision
        else:
            passed.append(item)
            if item.account_id == account_id:
                streams[item.stream] = False
    waiting.extendleft(reversed(passed))
    return batch


def arguments(batch: Sequence[Item]) -> tuple[Any, ...]:
    """The batch as the arguments of `append_events.sql`."""
    numbers = [n for n, item in enumerate(batch, 1) for _ in item.events]
    events = [event for item in batch for event in item.events]
    guards = [item.guard_text for item in batch]
    return (
        batch[0].account_id,
        [item.stream for item in batch],
        [item.expected for item in batch],
        guards if any(guards) else [],
        numbers,
        [
            offset
            for first, item in zip(offsets(batch), batch, strict=True)
            for offset in range(first, first + len(item.events))
        ],
        [event.event_id for event in events],
        [data for item in batch for data in item.data_texts],
        [text for item in batch for text in item.metadata_texts],
        [event.subject_id for event in events],
        [salt for item in batch for salt in item.salts],
        [event.content for event in events],
        list({type_name(event.event) for event in events}),
    )


def offsets(batch: Sequence[Item]) -> list[int]:
    """For each item, the place of its first event among the batch's events of its stream."""
    counts: Counter[str] = Counter()
    firsts = []
    for item in batch:
        firsts.append(counts[item.stream] + 1)
        counts[item.stream] += len(item.events)
    return firsts


def recorded(
    item: Item, position: int, revision: int, recorded_at: datetime
) -> list[RecordedEvent]:
    """The item's events as the log has them, but for the hash of a key, which nobody here knows.

    Args:
        position: Of the item's first event.
        revision: Of the item's first event.
    """
    return [
        RecordedEvent(
            account_id=item.account_id,
            position=position + place,
            stream=item.stream,
            revision=revision + place,
            event_id=new.event_id,
            event=new.event,
            metadata=_without_key(new.metadata or item.metadata),
            recorded_at=recorded_at,
            content=new.content,
            content_hash=_commitment(salt, new.content),
        )
        for place, (new, salt) in enumerate(zip(item.events, item.salts, strict=True))
    ]


def _without_key(metadata: Metadata) -> Metadata:
    if metadata.idempotency_key is None:
        return metadata
    return msgspec.structs.replace(metadata, idempotency_key=None)


def _commitment(salt: bytes | None, content: str | None) -> bytes | None:
    if salt is None or content is None:
        return None
    return sha256(salt + content.encode()).digest()
