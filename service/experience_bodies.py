"""The body of an AI experience, from Canvas clients and others, checked field by field."""

from typing import Any

import msgspec
from aiohttp import web

from service.bodies import read_body, unstorable
from service.errors import FieldErrors
from service.experiences import ExperienceChanges, ExperienceDraft

MAX_TITLE = 255

_REQUIRED = ("title", "learning_objective", "pedagogical_guidance")
_STATES = ("published", "unpublished")


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

    def given(self) -> dict[str, Any]:
        """The fields that were given; those of the group come first."""
        flat = msgspec.structs.asdict(self)
        group = flat.pop("ai_experience")
        grouped = msgspec.structs.asdict(group) if group else {}
        merged = {name: grouped.get(name, None) or value for name, value in flat.items()}
        merged |= {name: value for name, value in grouped.items() if value is not None}
        return {name: value for name, value in merged.items() if value is not None}


async def read_draft(request: web.Request) -> ExperienceDraft:
    """A new experience.

    Raises:
        FieldErrors: Fields are missing or wrong; each is named with the reason.
        BadRequest, UnsupportedBody: As `read_body`.
    """
    given = (await read_body(request, ExperienceBody)).given()
    missing = {name: "is required" for name in _REQUIRED if name not in given}
    _check(given, missing)
    return ExperienceDraft(**given)


async def read_changes(request: web.Request) -> ExperienceChanges:
    """Changes of an experience.

    Raises:
        FieldErrors: Fields are wrong; each is named with the reason.
        BadRequest, UnsupportedBody: As `read_body`.
    """
    given = (await read_body(request, ExperienceBody)).given()
    _check(given, {})
    return ExperienceChanges(**given)


def _check(given: dict[str, Any], wrong: dict[str, str]) -> None:
    reasons = {name: _reason(name, value) for name, value in given.items()}
    wrong |= {name: reason for name, reason in reasons.items() if reason}
    if wrong:
        raise FieldErrors(wrong)


def _reason(name: str, value: Any) -> str | None:
    """Why a field cannot have a value; None if it can."""
    if not isinstance(value, str):
        return "must be text"
    if name in _REQUIRED and not value.strip():
        return "is required"
    if name == "title" and len(value) > MAX_TITLE:
        return f"must be {MAX_TITLE} characters or fewer"
    if name == "workflow_state" and value not in _STATES:
        return f"must be {' or '.join(_STATES)}"
    return unstorable(value)
