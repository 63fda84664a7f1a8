"""Events of experience streams: the AI experiences of a course."""

from typing import Literal

from eventstore.event import Event


class WholeExperience(Event, frozen=True, kw_only=True):
    """All fields of an AI experience. `learning_objective` has one objective a line."""

    experience_id: int
    course_id: int
    title: str
    description: str
    facts: str
    learning_objective: str
    pedagogical_guidance: str
    workflow_state: Literal["published", "unpublished"]


class ExperienceCreated(WholeExperience, frozen=True, kw_only=True, tag="experience_created.v1"):
    """A manager created an AI experience in a course."""


class ExperienceEdited(WholeExperience, frozen=True, kw_only=True, tag="experience_edited.v1"):
    """A manager changed an AI experience; the event has all fields after the change.

    Conversations that have begun keep the version that they started with.
    """


class ExperienceDeleted(Event, frozen=True, kw_only=True, tag="experience_deleted.v1"):
    """A manager deleted an AI experience. Its conversations stay in the log."""

    experience_id: int
    course_id: int


AnyExperienceEvent = ExperienceCreated | ExperienceEdited | ExperienceDeleted


def stream_of_experience(experience_id: int) -> str:
    """The stream of an experience."""
    return f"experience-{experience_id}"
