"""Parameters of paths, queries and headers, and the headers of answers."""

from typing import Any

from service.http.pagination import DEFAULT_SIZE, LARGEST_SIZE
from service.openapi.schemas import DAY, ID, TIME, UUID, Schema

_STRING: Schema = {"type": "string"}


def _path(name: str, text: str, schema: Schema, example: object) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": text,
        "schema": schema,
        "example": example,
    }


def _optional(place: str, name: str, text: str, schema: Schema) -> dict[str, Any]:
    return {"name": name, "in": place, "description": text, "schema": schema}


_UUID_EXAMPLE = "019c2f3e-7a10-7cc1-b7a5-2f0c5d1e9a02"
_NUMBER: Schema = {"type": "integer", "minimum": 1, "maximum": 1_000_000}

PATH_PARAMETERS: dict[str, dict[str, Any]] = {
    "course_id": _path("course_id", "The course.", ID, 1),
    "ai_experience_id": _path("ai_experience_id", "The experience.", ID, 1),
    "id": _path("id", "The conversation.", ID, 17),
    "conversation_id": _path("conversation_id", "The conversation.", ID, 17),
    "user_id": _path("user_id", "The user; `self` stands for the caller in their record.", ID, 101),
    "message_id": _path("message_id", "The message.", UUID, _UUID_EXAMPLE),
    "feedback_id": _path("feedback_id", "The vote.", UUID, _UUID_EXAMPLE),
    "turn_id": _path("turn_id", "The turn, as `accepted` named it.", UUID, _UUID_EXAMPLE),
}

PARAMETERS: dict[str, dict[str, Any]] = {
    "page": _optional(
        "query",
        "page",
        "The page, from 1. Better follow the `Link` headers, whose values of `page` are opaque "
        "and may be used as they are.",
        {**_NUMBER, "default": 1},
    ),
    "per_page": _optional(
        "query",
        "per_page",
        f"Items on a page; more than {LARGEST_SIZE} counts as {LARGEST_SIZE}.",
        {**_NUMBER, "default": DEFAULT_SIZE},
    ),
    "workflow_state": _optional(
        "query",
        "workflow_state",
        "`published` or `unpublished`; any other state has no experiences.",
        _STRING,
    ),
    **{
        f"filter_{name}": _optional("query", name, text, ID)
        for name, text in (
            ("course_id", "Only of this course."),
            ("experience_id", "Only of this experience."),
            ("user_id", "Only of this learner."),
            ("conversation_id", "Only this conversation."),
            ("actor_id", "Only what this user did."),
        )
    },
    "filter_type": _optional(
        "query",
        "type",
        "Only events of this type, such as `message_posted.v1`; can be given again.",
        {"type": "array", "items": {"type": "string", "pattern": "^[ -~]+$"}},
    ),
    "from": _optional("query", "from", "Only from this time on.", TIME),
    "to": _optional("query", "to", "Only up to this time; not with events to come.", TIME),
    "first_day": _optional("query", "from", "The first day, in UTC.", DAY),
    "last_day": _optional("query", "to", "The last day, in UTC.", DAY),
    "after": _optional(
        "query", "after", "Only positions above this one.", {**ID, "minimum": 0, "default": 0}
    ),
    "at": _optional(
        "query",
        "at",
        "The position, or the time, to replay; without it the log's end.",
        {"anyOf": [{**ID, "minimum": 0}, TIME]},
    ),
    "reason": _optional(
        "query", "reason", "As the header `X-Audit-Reason`.", {"type": "string", "maxLength": 500}
    ),
    "X-Audit-Reason": _optional(
        "header",
        "X-Audit-Reason",
        "Why the auditor reads; recorded with the read. A setting can require it.",
        {"type": "string", "maxLength": 500},
    ),
    "Idempotency-Key": _optional(
        "header",
        "Idempotency-Key",
        "The client's name for this request. Repeated with the same request, it gives the same "
        "status and body and nothing happens twice; with another request: 422.",
        {"type": "string", "pattern": "^[!-~]{1,255}$"},
    ),
    "If-Match": _optional(
        "header",
        "If-Match",
        "An `ETag`: 412 where the conversation has moved on since.",
        _STRING,
    ),
    "If-None-Match": _optional(
        "header", "If-None-Match", "An `ETag`: 304 where nothing has changed since.", _STRING
    ),
    "Last-Event-ID": _optional(
        "header",
        "Last-Event-ID",
        "The last event that the client got; what is no number counts as none.",
        _STRING,
    ),
}


def _sent(text: str, **more: object) -> dict[str, Any]:
    return {"description": text, "schema": _STRING, **more}


RESPONSE_HEADERS: dict[str, dict[str, Any]] = {
    "Accept-Encoding": _sent("The codings that a body may have."),
    "ETag": _sent("Stands for exactly this answer, for `If-None-Match` and `If-Match`."),
    "Link": _sent("Absolute links: `current`, `first`, and `next` where there is more."),
    "Retry-After": {
        "description": "Seconds after which to try again, where that is known.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "WWW-Authenticate": _sent("Where the token is missing or wrong; not for a missing scope."),
    "X-Request-Id": _sent("The exchange's id, also the `reference_id` of errors.", required=True),
}
