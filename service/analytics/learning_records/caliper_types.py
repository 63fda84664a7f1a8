"""The types in a Caliper event."""

from collections.abc import Sequence
from typing import Literal

import msgspec

Extensions = dict[str, int | str | list[int]]
"""Values by the IRI of the property."""


class Entity(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
):
    """An entity of Caliper. Entities that it only refers to are given by their ids."""

    id: str


class Person(Entity, frozen=True, kw_only=True):
    """A user of the account, by their id."""


class SoftwareApplication(Entity, frozen=True, kw_only=True):
    """The service."""

    name: str = ""


class CourseSection(Entity, frozen=True, kw_only=True):
    """A course."""


class AssignableDigitalResource(Entity, frozen=True, kw_only=True):
    """An AI experience."""

    name: str | None = None
    is_part_of: CourseSection | None = None


class Attempt(Entity, frozen=True, kw_only=True):
    """A conversation, as a learner's attempt at an experience."""

    assignee: str
    assignable: str
    started_at_time: str
    ended_at_time: str | None = None


class Thread(Entity, frozen=True, kw_only=True):
    """A conversation, as the thread of its messages."""


class MessageEntity(Entity, frozen=True, kw_only=True, tag="Message"):
    """A message, without its text."""

    is_part_of: Thread
    creators: list[Person] | None = None
    date_created: str | None = None


class Rating(Entity, frozen=True, kw_only=True):
    """A vote on a message."""

    rater: str
    rated: str
    selections: list[str] | None = None
    date_created: str | None = None


class AggregateMeasure(Entity, frozen=True, kw_only=True):
    """How many objectives are covered, of how many."""

    metric: Literal["UnitsCompleted"]
    metric_value: int
    max_metric_value: int


class AggregateMeasureCollection(Entity, frozen=True, kw_only=True):
    """The measures of one use."""

    items: list[AggregateMeasure]


AnyObject = AssignableDigitalResource | Attempt | MessageEntity | Rating | SoftwareApplication
Generated = Attempt | Rating | AggregateMeasureCollection


class CaliperEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A Caliper event."""

    context: str = msgspec.field(name="@context")
    id: str
    type: str
    profile: str
    actor: Person
    action: str
    object: AnyObject
    generated: Generated | None = None
    event_time: str
    ed_app: SoftwareApplication
    group: CourseSection
    extensions: Extensions


class Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The envelope of a request's events."""

    sensor: str
    send_time: str
    data_version: str
    data: Sequence[msgspec.Raw]
