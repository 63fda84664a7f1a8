"""Encoded learning records, in batches."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec

from service.analytics.learning_records import caliper
from service.analytics.learning_records import xapi as statements
from service.analytics.learning_records.iris import Names
from service.analytics.learning_records.source_events import LearningEvent, Window

Format = Literal["xapi", "caliper"]


class Record(msgspec.Struct, frozen=True):
    """One record.

    Attributes:
        id: Its event's id.
        position: Its event's position in the log.
        line: The record as JSON, without a line feed.
        people: The users whom it concerns: the learner and the actor.
    """

    id: str
    position: int
    line: bytes
    people: frozenset[int]


class Batch(msgspec.Struct, frozen=True):
    """Records to write or send together. After them all records up to position `upto` are done."""

    records: list[Record]
    upto: int


class Recorder(msgspec.Struct, frozen=True):
    """Makes records of one format.

    Attributes:
        types: Types of events that can become records.
    """

    types: Sequence[str]
    make: Callable[[Names, LearningEvent], msgspec.Struct | None]


RECORDERS: dict[Format, Recorder] = {
    "xapi": Recorder(statements.TYPES, statements.statement_of),
    "caliper": Recorder(caliper.TYPES, caliper.caliper_event_of),
}

_encoder = msgspec.json.Encoder()


def batches(recorder: Recorder, names: Names, window: Window, size: int) -> Iterator[Batch]:
    """A window's records in batches of a size; the last may be smaller or empty."""
    records = [
        Record(str(source.event_id), source.position, _encoder.encode(made), _people(source))
        for source in window.events
        if (made := recorder.make(names, source)) is not None
    ]
    while len(records) > size:
        yield Batch(records[:size], records[size - 1].position)
        records = records[size:]
    yield Batch(records, window.upto)


def _people(source: LearningEvent) -> frozenset[int]:
    return frozenset((source.user_id, source.actor_id or source.user_id))
