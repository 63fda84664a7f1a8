"""An experience's fields come flat, or below `ai_experience`, and none is left unchecked."""

from typing import Any

import msgspec
import pytest

from service.errors import FieldErrors
from service.experiences.bodies import ExperienceBody
from service.experiences.experiences import MAX_TITLE

WHOLE = {"title": "T", "learning_objective": "O", "pedagogical_guidance": "G"}
REQUIRED = tuple(WHOLE)
WRONG: list[tuple[str, Any, str]] = [
    ("title", "", "is required"),
    ("title", "\u200b\u3164", "is required"),
    ("learning_objective", "\ufeff \n\u2060", "is required"),
    ("pedagogical_guidance", "\u2800", "is required"),
    ("title", "x" * (MAX_TITLE + 1), f"must be {MAX_TITLE} characters or fewer"),
    ("title", 5, "must be text"),
    ("description", "a\0b", "must not contain the NUL character"),
    ("workflow_state", "deleted", "must be published or unpublished"),
]


def body(**fields: Any) -> ExperienceBody:
    return msgspec.convert(fields, ExperienceBody)


@pytest.mark.parametrize("fields", [WHOLE, {"ai_experience": WHOLE}])
def test_the_fields_may_stand_flat_or_in_the_group(fields: dict[str, Any]) -> None:
    assert body(**fields).checked(REQUIRED) == WHOLE


def test_a_field_given_twice_is_as_the_group_has_it() -> None:
    both = body(**WHOLE, ai_experience={"title": "Other", "facts": None})
    assert both.checked(REQUIRED) == {**WHOLE, "title": "Other"}


def test_a_field_may_be_missing_in_one_place_and_not_in_both() -> None:
    assert body(title="T", ai_experience={"learning_objective": "O"}).checked(
        ("title", "learning_objective")
    ) == {"title": "T", "learning_objective": "O"}
    with pytest.raises(FieldErrors) as refused:
        body(title="T", ai_experience={}).checked(REQUIRED)
    assert refused.value.fields == {
        "learning_objective": "is required",
        "pedagogical_guidance": "is required",
    }


@pytest.mark.parametrize(("name", "value", "reason"), WRONG)
@pytest.mark.parametrize("place", ["flat", "group", "flat, overridden by the group"])
def test_a_wrong_value_is_refused_wherever_it_stands(
    place: str, name: str, value: Any, reason: str
) -> None:
    right = {**WHOLE, "description": "D", "workflow_state": "published"}
    fields = {
        "flat": {**right, name: value},
        "group": {"ai_experience": {**right, name: value}},
        "flat, overridden by the group": {name: value, "ai_experience": right},
    }[place]
    with pytest.raises(FieldErrors) as refused:
        body(**fields).checked(REQUIRED)
    assert refused.value.fields == {name: reason}
