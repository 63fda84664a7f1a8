"""JSON schemas of the types that decode requests and encode answers."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from eventstore.privacy_events import MAX_REASON
from service.conversations.bodies import MAX_MESSAGE
from service.escaping import UNSEEN
from service.experiences.experiences import MAX_TITLE
from service.http.endpoint import Endpoint
from service.model.errors import LEARNER_SENTENCES
from service.openapi.problem_types import PROBLEMS

Schema = dict[str, Any]

_REF = "#/components/schemas/{name}"
_LARGEST_ID = 2**63 - 1
_STORABLE = r"^[^\u0000]*$"
_NOT_BLANK = rf"^[^\u0000]*[^{UNSEEN}][^\u0000]*$"
_TEXT: Schema = {"type": "string", "pattern": _NOT_BLANK}
_FREE: Schema = {"type": ["string", "null"], "pattern": _STORABLE}
_UUID: Schema = {"type": "string", "format": "uuid"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_STATE: Schema = {"enum": ["published", "unpublished", None]}

_EXPERIENCE: dict[str, Schema] = {
    "title": {"type": ["string", "null"], "pattern": _NOT_BLANK, "maxLength": MAX_TITLE},
    "description": _FREE,
    "facts": _FREE,
    "learning_objective": {"type": ["string", "null"], "pattern": _NOT_BLANK},
    "pedagogical_guidance": {"type": ["string", "null"], "pattern": _NOT_BLANK},
    "workflow_state": _STATE,
}

# What the types leave to the code that reads or fills them, by type and field.
_SHARPER: dict[str, dict[str, Schema]] = {
    "MessageBody": {"message": {**_TEXT, "minLength": 1, "maxLength": MAX_MESSAGE}},
    "FeedbackBody": {
        "vote": {"enum": ["liked", "disliked"]},
        "feedback_message": {**_FREE, "maxLength": MAX_MESSAGE},
    },
    "ExperienceFields": _EXPERIENCE,
    "ExperienceBody": _EXPERIENCE,
    "FeedbackAnswer": {"id": _UUID, "vote": {"enum": ["liked", "disliked"]}, "created_at": _TIME},
    "MessageAnswer": {
        "id": _UUID,
        "role": {"enum": ["User", "Assistant"]},
        "created_at": _TIME,
        "code": {
            "enum": [
                *("reply_too_long", "conversation_too_long", "reply_unfinished"),
                *LEARNER_SENTENCES,
            ]
        },
        "turn_id": _UUID,
    },
    "ObjectiveAnswer": {"status": {"enum": ["", "covered"]}},
    **{
        name: {"created_at": _TIME, "updated_at": _TIME}
        for name in ("ConversationDetail", "StudentConversation", "ListedConversation")
    },
    "StudentConversations": {
        "conversations": {
            "type": "array",
            "items": {
                "anyOf": [
                    {"$ref": _REF.format(name="ListedConversation")},
                    {"$ref": _REF.format(name="ListedStudent")},
                ]
            },
        }
    },
    "ErasureBody": {"reason": {**_TEXT, "minLength": 1, "maxLength": MAX_REASON}},
    "HoldProblem": {"code": {"const": "legal_hold"}},
    "TurnProblem": {"turn_id": _UUID, "code": {"const": "turn_in_progress"}},
    "UnansweredProblem": {"turn_id": _UUID, "message_id": _UUID},
}
_EITHER = "The fields flat or, as Canvas clients send them, below `ai_experience`."
_NEEDED = {"MessageBody": ["message"], "FeedbackBody": ["vote"], "ErasureBody": ["reason"]}
_NEEDED_EXPERIENCE = ("title", "learning_objective", "pedagogical_guidance")

FORMS = {
    "NewExperienceBody": "NewExperienceForm",
    "ExperienceBody": "ExperienceForm",
}
"""Bodies with nested fields, and the same as a form."""

ID: Schema = {"type": "integer", "minimum": 1, "maximum": _LARGEST_ID}
"""An id in a path."""

TIME: Schema = _TIME
"""A moment in a query."""

DAY: Schema = {"type": "string", "format": "date"}
"""A day in a query."""

UUID: Schema = _UUID
"""An id of a message, a turn or feedback in a path."""


def reference(kind: type[msgspec.Struct] | str) -> Schema:
    """A reference to a component."""
    return {"$ref": _REF.format(name=kind if isinstance(kind, str) else kind.__name__)}


def one_of(kinds: Sequence[type[msgspec.Struct] | str]) -> Schema:
    """The schema of what is one of these."""
    return reference(kinds[0]) if len(kinds) == 1 else {"anyOf": [reference(k) for k in kinds]}


def components(endpoints: Sequence[Endpoint]) -> dict[str, Schema]:
    """The schemas of what endpoints take, answer and refuse with, by name."""
    bodies = {one.body: None for one in endpoints if isinstance(one.body, type)}
    answers = {
        kind: None
        for one in endpoints
        for kind in (*one.answers, *one.parts)
        if isinstance(kind, type)
    }
    asked, answered = _components(bodies), _components([*answers, *PROBLEMS])
    for name, schema in answered.items():
        _always_there(schema)
        for field in schema["properties"].values():
            field.pop("default", None)
        _sharpen(name, schema)
    for name, schema in asked.items():
        _sharpen(name, schema)
        schema["required"] = _NEEDED.get(name, [])
        for field in schema["properties"].values():
            field.pop("default", None)
    return dict(sorted((asked | answered | _experience_bodies(asked["ExperienceFields"])).items()))


def _components(kinds: Iterable[type[msgspec.Struct]]) -> dict[str, Schema]:
    made: dict[str, Schema] = msgspec.json.decode(  # tuples of the schemas become lists
        msgspec.json.encode(
            msgspec.json.schema_components(kinds, ref_template=_REF, schema_hook=_id)[1]
        )
    )
    return made


def _id(_kind: type) -> Schema:
    """Of `Id`, the only type that msgspec does not know."""
    return {"anyOf": [{"type": "integer"}, {"type": "string"}]}


def _always_there(schema: Schema) -> None:
    """Answers are encoded with all their fields, also those with defaults, but for unset ones."""
    needed = schema.get("required", ())
    schema["required"] = [
        name for name, field in schema["properties"].items() if name in needed or "default" in field
    ]


def _sharpen(name: str, schema: Schema) -> None:
    for field, sharper in _SHARPER.get(name, {}).items():
        schema["properties"][field] = dict(sharper)


def _experience_bodies(fields: Schema) -> dict[str, Schema]:
    """The bodies that create and change an experience: flat, or below `ai_experience`."""
    needed = {name: {**fields["properties"][name], "type": "string"} for name in _NEEDED_EXPERIENCE}
    new = fields | {
        "title": "NewExperience",
        "description": "A new experience, which is unpublished unless it says otherwise.",
        "properties": fields["properties"] | needed,
        "required": list(_NEEDED_EXPERIENCE),
    }
    group = _closed({"ai_experience": reference("NewExperience")}, ["ai_experience"])
    flat, grouped = _as_text(new, "{}"), _as_text(new, "ai_experience[{}]")
    return {
        "NewExperience": new,
        "NewExperienceBody": {"description": _EITHER, "anyOf": [reference("NewExperience"), group]},
        "NewExperienceForm": {"description": _EITHER, "anyOf": [flat, grouped]},
        "ExperienceForm": {
            "description": _EITHER,
            "anyOf": [_as_text(fields, "{}"), _as_text(fields, "ai_experience[{}]")],
        },
    }


def _as_text(schema: Schema, key: str) -> Schema:
    """The same with the keys of a form, which has text only."""
    properties = {
        key.format(field): {**described, "type": "string"}
        for field, described in schema["properties"].items()
    }
    for described in properties.values():
        if "enum" in described:
            described["enum"] = [value for value in described["enum"] if value is not None]
    return _closed(properties, [key.format(field) for field in schema["required"]])


def _closed(properties: dict[str, Schema], required: list[str]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
