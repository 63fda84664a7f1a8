"""The document's prose, its refusals in words, and the links from answer to request."""

from typing import Any

TEXT = """\
Conversations between learners and AI experiences. A client written for the Canvas LMS
AI Conversations API works unchanged.

**Tokens.** `Authorization: Bearer TOKEN`. A token acts for one user. One that has scopes may
call only the endpoints they name, each as Canvas writes it; the scope stands with every
operation. A token without scopes may do all that its user may. Tokens are the service's own, or
those of an institution's identity provider (JWT) where the service is set up for them. With an
administrator's token, `as_user_id` in the query (or a form) acts as another user. HEAD is answered
wherever GET is, with the same scope, but for the stream of a turn and the audit.

**Bodies.** `application/json` or `application/x-www-form-urlencoded`, nested fields as
`ai_experience[title]=…`; up to 1 MiB. Unknown fields are refused. Answers are JSON in UTF-8.

**Ids** are integers, and strings under `Accept: application/json+canvas-string-ids` (the
answer's type stays `application/json`), but in audit and analytics. Ids of messages, turns and
votes are UUIDs. What cannot be an id is not found. **Times** are ISO 8601 in UTC, ending in `Z`.

**Order of checks.** Token, scope, course, experience, conversation, then the request itself.
Somebody else's conversation is not found. A token that is nobody's is refused at once; all else is
checked when the whole body is there, and again in the transaction that records the request.

**Request ids.** `X-Request-Id` of a request is taken over where it is a UUID (five groups of hex
digits with hyphens); else the service makes one. Every answer has it.

**Errors** carry the request's id as `reference_id`. Codes of a 503:
`model_overloaded`, `model_rate_limited`, `model_unavailable`, `model_timeout`,
`model_interrupted`, `model_refused`, `model_empty`, `model_invalid`, `model_misconfigured`,
`service_stopping`, `internal_error`, `abandoned`, `database_unavailable`, `busy`. Of a 409:
`turn_in_progress` (with its `turn_id`), `turn_cancelled`, `turn_is_over`, `nothing_to_retry`,
`text_removed`, `legal_hold` (with its `holds`). A message without an answer stays: then the 503, or
the 409 `turn_cancelled`, has its `message_id` and the `turn_id` by which to retry it. Of a 422:
`refused` (by the database). Of a 429: `rate_limited`. A method that a path does not have: 405 with
`Allow`. A fault of ours: 500 `{"error":"internal server error"}`.

**Streaming.** Creating a conversation, posting a message and retrying one with
`Accept: text/event-stream` answer 200 with server-sent events: `accepted` (`turn_id`,
`message_id`, `conversation_id`), `delta` (`text`; all of them joined are the reply), then `done`
with the JSON of the plain answer or `error` with that of the error. Where another process has asked
the model anew, `restarted` comes first: the deltas since the last one are the reply. Ids rise;
comments keep the connection alive. A client
that goes away stops nothing: the stream of the turn gives what is missing after `Last-Event-ID`.
"""

REFUSALS: dict[int, tuple[str, str]] = {
    400: ("BadRequest", "The request cannot be read, or fields are missing or wrong."),
    401: ("Unauthenticated", "There is no token, or it is wrong, expired, or without the scope."),
    403: ("Forbidden", "The token's user is no member of the course, or may not do that."),
    404: ("NotFound", "There is no such thing for this caller."),
    408: ("RequestTimeout", "The body did not arrive in time."),
    409: ("Conflict", "A reply is under way, or over; words were deleted; or a hold forbids it."),
    412: ("PreconditionFailed", "The conversation has moved on since the ETag of `If-Match`."),
    413: ("TooLarge", "The body is over 1 MiB."),
    415: (
        "UnsupportedMediaType",
        "The body is neither JSON nor a form in UTF-8, plain or in gzip or deflate.",
    ),
    422: (
        "Unprocessable",
        "A text is too long, days are too many, or the Idempotency-Key had another request.",
    ),
    429: ("RateLimited", "The user's limit for today is used up."),
    431: ("HeadersTooLarge", "The headers are over 16 KiB."),
    503: ("Unavailable", "The model gave no answer, or the service cannot answer now."),
}
"""Name and description by status."""

_SAME = {
    "course_id": "$request.path.course_id",
    "ai_experience_id": "$request.path.ai_experience_id",
}


def _link(operation: str, text: str, **parameters: str) -> dict[str, Any]:
    return {"operationId": operation, "description": text, "parameters": _SAME | parameters}


_ID = "$response.body#/id"
_WITH_ID = {
    "say": _link("postMessage", "Say something in it.", id=_ID),
    "read": _link("getConversation", "Read it again.", id=_ID),
    "complete": _link("completeConversation", "Complete it.", id=_ID),
    "evaluate": _link("evaluateConversation", "Have it evaluated.", id=_ID),
    "evaluation": _link("getEvaluation", "Read its evaluation.", id=_ID),
    "student": _link("getStudentConversation", "Read it as a teacher.", conversation_id=_ID),
    "vote": _link(
        "giveFeedback",
        "Vote on the model's opening.",
        id=_ID,
        message_id="$response.body#/messages/1/id",
    ),
}
_EXPERIENCE = {
    name: {
        "operationId": operation,
        "parameters": {
            "course_id": "$request.path.course_id",
            "ai_experience_id": "$response.body#/id",
        },
    }
    for name, operation in (
        ("read", "getExperience"),
        ("change", "updateExperience"),
        ("delete", "deleteExperience"),
        ("open", "createConversation"),
    )
}

LINKS: dict[str, dict[str, Any]] = {
    "getActiveConversation": {"say": _WITH_ID["say"]},
    "createConversation": _WITH_ID,
    "postMessage": _WITH_ID,
    "giveFeedback": {
        "withdraw": _link(
            "withdrawFeedback",
            "Take the vote back.",
            id="$request.path.id",
            message_id="$request.path.message_id",
            feedback_id="$response.body#/feedback/id",
        )
    },
    "createExperience": _EXPERIENCE,
}
"""Links of the answers of success, by operation."""

TURN_LINKS = {
    "stream": _link(
        "streamTurn", "Read along.", id="$request.path.id", turn_id="$response.body#/turn_id"
    ),
    "cancel": _link(
        "cancelTurn", "Stop it.", id="$request.path.id", turn_id="$response.body#/turn_id"
    ),
}
"""Links of a 409 that names the turn under way."""

RETRY_LINKS = {
    "retry": _link(
        "retryTurn", "Ask again.", id="$request.path.id", turn_id="$response.body#/turn_id"
    ),
}
"""Links of a 503 that names a turn without an answer."""
