"""The body of an AI experience, from Canvas clients and others, checked field by field."""

from typing import Any

import msgspec
from aiohttp import web

from service.errors import FieldErrors
from service.experiences.experiences import (
    REQUIRED,
    ExperienceChanges,
    ExperienceDraft,
    field_fault,
)
from service.http.bodies import read_body


class ExperienceFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields as they come; a null counts as not given."""

    title: Any = None
    description: Any = None
    facts: Any = None
    learning_objective: Any = None
    pedagogical_guidance: Any = None
    workflow_state: Any = None


class ExperienceBody(ExperienceFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields flat or, as Canvas clients send them, below `ai_experience`."""

    ai_experience: ExperienceFields | None = None

    def checked(self, required: tuple[str, ...] = ()) -> dict[str, Any]:
        """The given fields; below `ai_experience` they take precedence.

        Raises:
            FieldErrors: One is missing, or wrong in either place; each is named with the reason.
        """
        flat, grouped = _given(self), _given(self.ai_experience)
        wrong = {name: "is required" for name in required if name not in flat | grouped}
        for name, value in (*flat.items(), *grouped.items()):
            if reason := field_fault(name, value):
                wrong[name] = reason
        if wrong:
            raise FieldErrors(wrong)
        return flat | grouped


async def read_draft(request: web.Request) -> ExperienceDraft:
    """A new experience.

    Raises:
        FieldErrors: Fields are missing or wrong; each is named with the reason.
        BadRequest, UnsupportedBody: As `read_body`.
    """
    body = await read_body(request, ExperienceBody)
    return ExperienceDraft(**body.checked(REQUIRED))


async def read_changes(request: web.Request) -> ExperienceChanges:
    """Changes of an experience.

    Raises:
        FieldErrors: Fields are wrong; each is named with the reason.
        BadRequest, UnsupportedBody: As `read_body`.
    """
    return ExperienceChanges(**(await read_body(request, ExperienceBody)).checked())


def _given(fields: ExperienceFields | None) -> dict[str, Any]:
    if fields is None:
        return {}
    named = {name: getattr(fields, name) for name in ExperienceFields.__struct_fields__}
    return {name: value for name, value in named.items() if value is not None}
