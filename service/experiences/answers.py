"""What the experiences' endpoints answer with."""

from typing import Literal

import msgspec

from service.json_values import Id


class LearnersExperience(msgspec.Struct, frozen=True, kw_only=True):
    """An experience as learners see it."""

    id: Id
    course_id: Id
    title: str
    description: str
    learning_objective: str
    workflow_state: Literal["published"]
    submission_status: Literal["not_started", "in_progress", "submitted"]


class ManagersExperience(msgspec.Struct, frozen=True, kw_only=True):
    """An experience as managers of the course see it."""

    id: Id
    course_id: Id
    title: str
    description: str
    facts: str
    learning_objective: str
    pedagogical_guidance: str
    workflow_state: Literal["published", "unpublished", "deleted"]
