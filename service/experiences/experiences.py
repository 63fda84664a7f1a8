"""AI experiences: what a course offers its learners to talk with."""

from typing import Literal

import msgspec

from eventstore.conflicts import retry_on_conflict
from eventstore.connections import AccountPool
from eventstore.envelope import NO_STREAM, Metadata, NewEvent, RecordedEvent
from eventstore.event import Unreadable
from eventstore.events import AnyEvent
from eventstore.experience_events import (
    ExperienceCreated,
    ExperienceDeleted,
    ExperienceEdited,
    stream_of_experience,
)
from eventstore.guards import Guard
from eventstore.log import EventLog
from service.errors import Busy, KeyReused, NotFound
from service.escaping import is_blank
from service.model.interface import Scenario
from service.parsing import unstorable
from sql.loader import query

REQUIRED = ("title", "learning_objective", "pedagogical_guidance")
"""The fields that a draft must have, with something visible in them."""

MAX_TITLE = 255
_STATES = ("published", "unpublished")
_CAPACITY = 1_000
"""Versions that are cached at most."""


class ExperienceDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new experience before it is recorded. `learning_objective` has one objective per line."""

    title: str
    learning_objective: str
    pedagogical_guidance: str
    description: str = ""
    facts: str = ""
    workflow_state: Literal["published", "unpublished"] = "unpublished"


class ExperienceChanges(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields to change; the others are None."""

    title: str | None = None
    learning_objective: str | None = None
    pedagogical_guidance: str | None = None
    description: str | None = None
    facts: str | None = None
    workflow_state: Literal["published", "unpublished"] | None = None


def field_fault(name: str, value: object) -> str | None:
    """Why a field of a draft cannot have a value; None if it can."""
    if not isinstance(value, str):
        return "must be text"
    if reason := unstorable(value):
        return reason
    if name in REQUIRED and is_blank(value):
        return "is required"
    if name == "title" and len(value) > MAX_TITLE:
        return f"must be {MAX_TITLE} characters or fewer"
    if name == "workflow_state" and value not in _STATES:
        return f"must be {' or '.join(_STATES)}"
    return None


class ExperienceVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of an experience; `version` is the revision of its stream."""

    id: int
    course_id: int
    version: int
    scenario: Scenario


class Experience(msgspec.Struct, frozen=True, kw_only=True):
    """An experience as clients see it."""

    id: int
    course_id: int
    title: str
    description: str
    facts: str
    learning_objective: str
    pedagogical_guidance: str
    workflow_state: str


class Experiences:
    """Creates and changes experiences, and reads any version of one.

    Args:
        log: Where they are recorded, each in a stream of its own.
        pool: For giving out ids.
    """

    def __init__(self, log: EventLog, pool: AccountPool, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._log = log
        self._pool = pool
        self._versions: dict[tuple[int, int, int], ExperienceVersion] = {}

    async def create(
        self,
        account_id: int,
        course_id: int,
        draft: ExperienceDraft,
        metadata: Metadata,
        guard: Guard | None = None,
    ) -> Experience:
        """Records a new experience; a repeated request returns that of the first.

        Raises:
            KeyReused: Its idempotency key came with another request before.
            AppendRefused: A text cannot be stored, for example for a NUL character.
        """

        async def append() -> list[RecordedEvent]:
            experience_id = await self._pool.fetchval(
                account_id, query("next_id"), account_id, "experience"
            )
            created = ExperienceCreated(
                experience_id=experience_id, course_id=course_id, **msgspec.structs.asdict(draft)
            )
            return await self._append(account_id, created, NO_STREAM, metadata, guard)

        recorded = await self._log.append_once(account_id, metadata, append)
        return _created(recorded, course_id, draft)

    async def edit(
        self,
        account_id: int,
        experience_id: int,
        changes: ExperienceChanges,
        metadata: Metadata,
        guard: Guard,
    ) -> Experience:
        """Records a change, unless nothing changes; returns the experience after it.

        Raises:
            NotFound: There is none, or it was deleted.
            Busy: It is changed by many at once.
        """
        changed = {k: v for k, v in msgspec.structs.asdict(changes).items() if v is not None}

        async def attempt() -> Experience:
            now, revision = await self._now(account_id, experience_id)
            after = msgspec.structs.replace(now, **changed)
            if after != now:
                await self._append(account_id, _edited(after), revision, metadata, guard)
            return after

        return await retry_on_conflict(attempt, Busy)

    async def delete(
        self, account_id: int, experience_id: int, metadata: Metadata, guard: Guard
    ) -> Experience:
        """Records the deletion; returns the experience after it.

        Raises:
            NotFound: There is none, or it was deleted before.
            Busy: It is changed by many at once.
        """

        async def attempt() -> Experience:
            now, revision = await self._now(account_id, experience_id)
            event = ExperienceDeleted(experience_id=experience_id, course_id=now.course_id)
            await self._append(account_id, event, revision, metadata, guard)
            return msgspec.structs.replace(now, workflow_state="deleted")

        return await retry_on_conflict(attempt, Busy)

    async def at_version(
        self, account_id: int, experience_id: int, version: int
    ) -> ExperienceVersion:
        """The experience at a revision of its stream, which never changes.

        Raises:
            NotFound: There is no such version.
        """
        key = (account_id, experience_id, version)
        if key not in self._versions:
            if len(self._versions) >= self._capacity:
                self._versions.pop(next(iter(self._versions)))
            self._versions[key] = await self._version(key)
        return self._versions[key]

    async def _append(
        self,
        account_id: int,
        event: ExperienceCreated | ExperienceEdited | ExperienceDeleted,
        expected: int,
        metadata: Metadata,
        guard: Guard | None,
    ) -> list[RecordedEvent]:
        return await self._log.append(
            account_id,
            stream_of_experience(event.experience_id),
            [NewEvent(event=event)],
            expected=expected,
            metadata=metadata,
            guard=guard,
        )

    async def _now(self, account_id: int, experience_id: int) -> tuple[Experience, int]:
        recorded = await self._log.read_stream(account_id, stream_of_experience(experience_id))
        readable = [one.event for one in recorded if not isinstance(one.event, Unreadable)]
        if not readable or isinstance(readable[-1], ExperienceDeleted):
            raise NotFound
        return experience_of(readable[-1]), recorded[-1].revision

    async def _version(self, key: tuple[int, int, int]) -> ExperienceVersion:
        account_id, experience_id, version = key
        for recorded in await self._log.read_stream(
            account_id, stream_of_experience(experience_id), after=version - 1, upto=version
        ):
            if isinstance(recorded.event, ExperienceCreated | ExperienceEdited):
                return _experience(recorded)
        raise NotFound


def objectives_of(learning_objective: str) -> tuple[str, ...]:
    """The objectives in a text with one per line, without blank lines."""
    return tuple(line.strip() for line in learning_objective.splitlines() if line.strip())


def experience_of(event: AnyEvent | Unreadable) -> Experience:
    """The experience after an event with all its fields."""
    assert isinstance(event, ExperienceCreated | ExperienceEdited)
    return Experience(
        id=event.experience_id,
        course_id=event.course_id,
        title=event.title,
        description=event.description,
        facts=event.facts,
        learning_objective=event.learning_objective,
        pedagogical_guidance=event.pedagogical_guidance,
        workflow_state=event.workflow_state,
    )


def _created(recorded: RecordedEvent, course_id: int, draft: ExperienceDraft) -> Experience:
    """The experience that was created, by this request or an equal one before it."""
    event = recorded.event
    same = isinstance(event, ExperienceCreated) and experience_of(event) == Experience(
        id=event.experience_id, course_id=course_id, **msgspec.structs.asdict(draft)
    )
    if not same:
        raise KeyReused
    return experience_of(event)


def _edited(after: Experience) -> ExperienceEdited:
    fields = msgspec.structs.asdict(after)
    return ExperienceEdited(experience_id=fields.pop("id"), **fields)


def _experience(recorded: RecordedEvent) -> ExperienceVersion:
    now = experience_of(recorded.event)
    return ExperienceVersion(
        id=now.id,
        course_id=now.course_id,
        version=recorded.revision,
        scenario=Scenario(
            title=now.title,
            description=now.description,
            facts=now.facts,
            objectives=objectives_of(now.learning_objective),
            pedagogical_guidance=now.pedagogical_guidance,
        ),
    )
