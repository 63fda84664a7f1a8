"""AI experiences: what a course offers its learners to talk with."""

from typing import Annotated, Literal

import msgspec

from eventstore.connections import Pool
from eventstore.events import ExperienceCreated
from eventstore.log import EventLog
from eventstore.records import NO_STREAM, Metadata, NewEvent, RecordedEvent
from service.errors import NotFound
from service.model.interface import Scenario
from sql.loader import query

_REMEMBERED = 1_000

Required = Annotated[str, msgspec.Meta(min_length=1, pattern=r"\S")]


class ExperienceDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An experience as it is handed in. `learning_objective` holds one objective a line."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"\S")]
    learning_objective: Required
    pedagogical_guidance: Required
    description: str = ""
    facts: str = ""
    workflow_state: Literal["published", "unpublished"] = "unpublished"


class Experience(msgspec.Struct, frozen=True, kw_only=True):
    """One version of an experience; `version` is the revision of its stream."""

    id: int
    course_id: int
    version: int
    scenario: Scenario


class Experiences:
    """Creates experiences, and reads any version of one.

    Args:
        log: Where they are recorded, each in a stream of its own.
        pool: For giving out ids.
    """

    def __init__(self, log: EventLog, pool: Pool) -> None:
        self._log = log
        self._pool = pool
        self._versions: dict[tuple[int, int, int], Experience] = {}

    async def create(
        self, account_id: int, course_id: int, draft: ExperienceDraft, metadata: Metadata
    ) -> int:
        """Records a new experience and returns its id.

        Raises:
            AppendRefused: A text cannot be stored, for example for a NUL character.
        """
        experience_id = await self._pool.fetchval(query("next_id"), account_id, "experience")
        created = ExperienceCreated(
            experience_id=experience_id, course_id=course_id, **msgspec.structs.asdict(draft)
        )
        await self._log.append(
            account_id,
            stream_of(experience_id),
            [NewEvent(event=created)],
            expected=NO_STREAM,
            metadata=metadata,
        )
        return int(experience_id)

    async def at_version(self, account_id: int, experience_id: int, version: int) -> Experience:
        """The experience as it was at that revision of its stream, which never changes.

        Raises:
            NotFound: There is no such version.
        """
        key = (account_id, experience_id, version)
        if key not in self._versions:
            if len(self._versions) >= _REMEMBERED:
                self._versions.pop(next(iter(self._versions)))
            self._versions[key] = await self._fold(key)
        return self._versions[key]

    async def _fold(self, key: tuple[int, int, int]) -> Experience:
        account_id, experience_id, version = key
        for recorded in await self._log.read_stream(account_id, stream_of(experience_id)):
            if recorded.revision == version:
                return _experience(recorded)
        raise NotFound


def stream_of(experience_id: int) -> str:
    """The stream of an experience."""
    return f"experience-{experience_id}"


def objectives_of(learning_objective: str) -> tuple[str, ...]:
    """The objectives in a text that has one a line; blank lines count for nothing."""
    return tuple(line.strip() for line in learning_objective.splitlines() if line.strip())


def _experience(recorded: RecordedEvent) -> Experience:
    event = recorded.event
    assert isinstance(event, ExperienceCreated)
    return Experience(
        id=event.experience_id,
        course_id=event.course_id,
        version=recorded.revision,
        scenario=Scenario(
            title=event.title,
            description=event.description,
            facts=event.facts,
            objectives=objectives_of(event.learning_objective),
            pedagogical_guidance=event.pedagogical_guidance,
        ),
    )
