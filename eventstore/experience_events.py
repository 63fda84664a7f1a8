"""Events of experience streams: what a course offers its learners to talk with."""

from typing import Literal

from eventstore.event import Event


class WholeExperience(Event, frozen=True, kw_only=True):
    """All fields of an AI experience. Objectives stand one a line."""

    experience_id: int
    course_id: int
    title: str
    description: str
    facts: str
    learning_objective: str
    pedagogical_guidance: str
    workflow_state: Literal["published", "unpublished"]


class ExperienceCreated(WholeExperience, frozen=True, kw_only=True, tag="experience_created.v1"):
    """A course got a new AI experience."""


class ExperienceEdited(WholeExperience, frozen=True, kw_only=True, tag="experience_edited.v1"):
    """A manager changed an AI experience: all its fields as they are from here on.

    Conversations that have begun keep the version that they started with.
    """


class ExperienceDeleted(Event, frozen=True, kw_only=True, tag="experience_deleted.v1"):
    """A manager took an AI experience away. Its conversations stay in the log."""

    experience_id: int
    course_id: int


AnyExperienceEvent = ExperienceCreated | ExperienceEdited | ExperienceDeleted


def stream_of_experience(experience_id: int) -> str:
    """The stream of an experience."""
    return f"experience-{experience_id}"
