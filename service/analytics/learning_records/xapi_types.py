"""What an xAPI statement is made of."""

from datetime import datetime
from uuid import UUID

import msgspec

Extensions = dict[str, int | str | list[int]]
"""By IRI."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A part of a statement; what is None is not written."""


class AgentAccount(_Part, frozen=True, kw_only=True):
    """Who somebody is, by where that name is known."""

    home_page: str
    name: str


class Agent(_Part, frozen=True, kw_only=True, tag_field="objectType", tag="Agent"):
    """A person, or the service."""

    account: AgentAccount


class Verb(_Part, frozen=True, kw_only=True):
    """What was done."""

    id: str
    display: dict[str, str]


class ActivityDefinition(_Part, frozen=True, kw_only=True):
    """What kind of thing an activity is."""

    type: str
    name: dict[str, str] | None = None


class Activity(_Part, frozen=True, kw_only=True, tag_field="objectType", tag="Activity"):
    """What something was done with."""

    id: str
    definition: ActivityDefinition | None = None


class Score(_Part, frozen=True, kw_only=True):
    """Objectives covered, of those that there are."""

    scaled: float
    raw: int
    min: int
    max: int


class Result(_Part, frozen=True, kw_only=True):
    """What came of it."""

    score: Score
    completion: bool
    extensions: Extensions


class ContextActivities(_Part, frozen=True, kw_only=True):
    """What the object is part of."""

    parent: list[Activity] | None = None
    grouping: list[Activity] | None = None


class Context(_Part, frozen=True, kw_only=True):
    """Where it happened. `registration` is the learner's attempt."""

    registration: UUID
    context_activities: ContextActivities
    platform: str
    extensions: Extensions


class Statement(_Part, frozen=True, kw_only=True):
    """One statement, as it is written."""

    id: UUID
    actor: Agent
    verb: Verb
    object: Activity
    result: Result | None = None
    context: Context
    timestamp: datetime
