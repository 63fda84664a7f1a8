"""Batches of appends: which appends may share one, its SQL arguments, and its results."""

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
"""A queue of up to this size is not split: a second commit costs more than its overlap saves."""


class PendingAppend(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """An append in the queue, whose events are stored all or none.

    Attributes:
        since: When it was submitted, in seconds of the event loop's clock.
        done: Gets the recorded events or an `EventStoreError`.
    """

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


def new_pending_append(
    account_id: int,
    stream: str,
    expected: int | None,
    events: Sequence[NewEvent],
    metadata: Metadata,
    guard: Guard | None = None,
) -> PendingAppend:
    """A pending append with its salts drawn and its events encoded.

    Raises:
        ValueError: There is no event, or content without a subject.
    """
    if not events:
        raise ValueError("an append needs at least one event")
    if any(e.content is not None and e.subject_id is None for e in events):
        raise ValueError("an event with content needs a subject")
    loop = asyncio.get_running_loop()
    return PendingAppend(
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
    default = encode(metadata)
    return [encode(e.metadata) if e.metadata else default for e in events]


def _guard_text(guard: Guard, stream: str, expected: int | None) -> str:
    """The guard, without the append's stream if an expected revision covers it."""
    if expected is None:
        return encode_guard(guard)
    others = tuple(name for name in guard.streams if name != stream)
    return encode_guard(msgspec.structs.replace(guard, streams=others))


def take_batch(waiting: deque[PendingAppend]) -> list[PendingAppend]:
    """Takes the next appends that may share a batch; the others keep their order.

    All appends of a batch are of one account. Several appends to one stream share a batch only if
    none expects a revision or has a guard, so that each is accepted or refused independently.
    """
    size = max(SMALL_BATCH, min(MAX_BATCH, len(waiting) // 2))
    account_id = waiting[0].account_id
    streams: dict[str, bool] = {}
    batch: list[PendingAppend] = []
    skipped: list[PendingAppend] = []
    while waiting and len(batch) < size:
        append = waiting.popleft()
        any_revision = append.expected is None and append.guard_text is None
        if (
            append.account_id == account_id
            and streams.get(append.stream, True)
            and (any_revision or append.stream not in streams)
        ):
            batch.append(append)
            streams[append.stream] = any_revision
        else:
            skipped.append(append)
            if append.account_id == account_id:
                streams[append.stream] = False
    waiting.extendleft(reversed(skipped))
    return batch


def arguments(batch: Sequence[PendingAppend]) -> tuple[Any, ...]:
    """The batch as the arguments of `append_events.sql`."""
    numbers = [n for n, append in enumerate(batch, 1) for _ in append.events]
    events = [event for append in batch for event in append.events]
    guards = [append.guard_text for append in batch]
    return (
        batch[0].account_id,
        [append.stream for append in batch],
        [append.expected for append in batch],
        guards if any(guards) else [],
        numbers,
        [
            offset
            for first, append in zip(offsets(batch), batch, strict=True)
            for offset in range(first, first + len(append.events))
        ],
        [event.event_id for event in events],
        [data for append in batch for data in append.data_texts],
        [text for append in batch for text in append.metadata_texts],
        [event.subject_id for event in events],
        [salt for append in batch for salt in append.salts],
        [event.content for event in events],
        list({type_name(event.event) for event in events}),
    )


def offsets(batch: Sequence[PendingAppend]) -> list[int]:
    """For each append, the number of its first event among the batch's events of its stream."""
    counts: Counter[str] = Counter()
    first_numbers = []
    for append in batch:
        first_numbers.append(counts[append.stream] + 1)
        counts[append.stream] += len(append.events)
    return first_numbers


def recorded(
    append: PendingAppend, position: int, revision: int, recorded_at: datetime
) -> list[RecordedEvent]:
    """The append's events as they are in the log, without the hash of the idempotency key.

    Args:
        position: Of the append's first event.
        revision: Of the append's first event.
    """
    return [
        RecordedEvent(
            account_id=append.account_id,
            position=position + offset,
            stream=append.stream,
            revision=revision + offset,
            event_id=new.event_id,
            event=new.event,
            metadata=_without_key(new.metadata or append.metadata),
            recorded_at=recorded_at,
            content=new.content,
            content_hash=_commitment(salt, new.content),
        )
        for offset, (new, salt) in enumerate(zip(append.events, append.salts, strict=True))
    ]


def _without_key(metadata: Metadata) -> Metadata:
    if metadata.idempotency_key is None:
        return metadata
    return msgspec.structs.replace(metadata, idempotency_key=None)


def _commitment(salt: bytes | None, content: str | None) -> bytes | None:
    if salt is None or content is None:
        return None
    return sha256(salt + content.encode()).digest()
