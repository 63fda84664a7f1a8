"""What clients get: the answers of the contract, and every error in its shape."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from eventstore.database_errors import unavailable
from eventstore.errors import (
    AppendRefused,
    DatabaseBusy,
    GuardBroken,
    LimitReached,
    LogBusy,
    LogClosed,
    LogUnavailable,
)
from service import errors
from service.dialogue.state import Conversation, Dialogue, Feedback
from service.http.content_codings import KNOWN
from service.http.content_negotiation import prefers
from service.http.rate_limits import until_next
from service.http.request_keys import ACCESS, REQUEST_ID
from service.model.errors import LEARNER_SENTENCES
from service.retry_after import bounded

_JSON = "application/json; charset=utf-8"
_STRING_IDS = "application/json+canvas-string-ids"
_BEARER = {"WWW-Authenticate": 'Bearer realm="canvas-lms"'}
_NO_HEADERS: Mapping[str, str] = {}
_OFTEN = "You have asked very often today. Please go on tomorrow."
_REFUSED = "The database does not take what this request would record."
_encoder = msgspec.json.Encoder()


class FeedbackAnswer(msgspec.Struct, frozen=True):
    """A vote as the contract has it."""

    id: str
    vote: str
    user_id: int | str
    feedback_message: str | None
    created_at: str


class MessageAnswer(msgspec.Struct, frozen=True):
    """A message as the contract has it."""

    id: str
    role: str
    text: str | None
    created_at: str
    feedback: tuple[FeedbackAnswer, ...] = ()


class ObjectiveAnswer(msgspec.Struct, frozen=True):
    """One learning objective; `status` is empty or "covered"."""

    objective: str
    status: str = ""


class ProgressAnswer(msgspec.Struct, frozen=True):
    """How many of the objectives are covered."""

    current: int
    total: int
    percentage: int
    objectives: tuple[ObjectiveAnswer, ...]


class ConversationAnswer(msgspec.Struct, frozen=True):
    """The active conversation as the contract has it."""

    id: int | str
    messages: tuple[MessageAnswer, ...]
    progress: ProgressAnswer | None


def conversation_answer(
    request: web.Request, conversation: Conversation | None, status: int
) -> web.Response:
    """The answer that shows a whole conversation.

    Raises:
        NotFound: There is none.
    """
    if conversation is None:
        raise errors.NotFound
    tag = entity_tag(request, conversation.id, conversation.revision)
    return raw_response(_shown(request, conversation), status, {"ETag": tag})


def stream_ending(request: web.Request, outcome: Dialogue | Exception) -> tuple[str, bytes]:
    """Name and JSON of a turn's last server-sent event: what a plain request is answered with."""
    if isinstance(outcome, Dialogue) and outcome.active:
        return "done", _shown(request, outcome.active)
    error = outcome if isinstance(outcome, Exception) else errors.NotFound()
    return "error", _error_body(error, request[REQUEST_ID])[1]


def _shown(request: web.Request, conversation: Conversation) -> bytes:
    return _encoder.encode(
        ConversationAnswer(
            id=str(conversation.id) if wants_string_ids(request) else conversation.id,
            messages=tuple(
                MessageAnswer(
                    m.id,
                    m.role,
                    m.text,
                    timestamp(m.created_at),
                    _own_feedback(request, conversation, m.id),
                )
                for m in conversation.messages
            ),
            progress=_progress(conversation),
        )
    )


def _own_feedback(
    request: web.Request, conversation: Conversation, message_id: str
) -> tuple[FeedbackAnswer, ...]:
    """The caller's own votes on a message."""
    if not conversation.feedback:
        return ()
    user_id = request[ACCESS].user_id
    return tuple(
        feedback_answer(request, vote)
        for vote in conversation.feedback
        if (vote.message_id, vote.user_id) == (message_id, user_id)
    )


def feedback_answer(request: web.Request, vote: Feedback) -> FeedbackAnswer:
    """A vote as this client reads it."""
    user_id = str(vote.user_id) if wants_string_ids(request) else vote.user_id
    return FeedbackAnswer(vote.id, vote.vote, user_id, vote.text, timestamp(vote.created_at))


def json_response(
    answer: object, status: int = 200, headers: Mapping[str, str] = _NO_HEADERS
) -> web.Response:
    """An answer encoded as JSON."""
    return raw_response(_encoder.encode(answer), status, headers)


def raw_response(
    body: bytes, status: int = 200, headers: Mapping[str, str] = _NO_HEADERS
) -> web.Response:
    """An answer that is JSON already."""
    return web.Response(body=body, status=status, headers={"Content-Type": _JSON, **headers})


def wants_string_ids(request: web.Request) -> bool:
    """Whether the client asked for ids as strings, as JavaScript clients of Canvas do."""
    return prefers(request, _STRING_IDS)


def entity_tag(request: web.Request, conversation_id: int, revision: int) -> str:
    """The `ETag` of a conversation, in the form that this client reads."""
    return f'"{conversation_id}-{revision}{"-s" if wants_string_ids(request) else ""}"'


def timestamp(moment: datetime) -> str:
    """ISO 8601 to the second, as Canvas writes times.

    Args:
        moment: In UTC, as the database gives it.
    """
    return f"{moment.isoformat()[:19]}Z"


def error_response(
    error: Exception, reference_id: str, now: datetime | None = None
) -> web.Response:
    """The contract's answer to an error; 500 for one that nobody foresaw.

    Args:
        now: The database's time; this machine's if none is given.
    """
    status, body, headers = _error_body(error, reference_id, now)
    response = raw_response(body, status, headers)
    if response.status in (408, 413):  # what is still to come is no request
        response.force_close()
    return response


def _error_body(
    error: Exception, reference_id: str, now: datetime | None = None
) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers; a repeated request gets the reference of the first."""
    error = unavailable(error) or error
    if isinstance(error, GuardBroken) and error.changed in _FOUND_LATE:
        error = _FOUND_LATE[error.changed]()
    status, body, headers = _describe(error, now or datetime.now(UTC))
    if isinstance(error, errors.TurnFailed | errors.TurnCancelled):
        reference_id = error.reference_id or reference_id
    return status, _encoder.encode({**body, "reference_id": reference_id}), headers


Described = tuple[int, dict[str, Any], dict[str, str]]
"""Status, body and headers of an error's answer."""

_FOUND_LATE: dict[str, type[Exception]] = {
    "token": errors.InvalidToken,
    "role": errors.NotAuthorized,
}
"""What the checks would have found so much later, where that is known."""

_STATUS: dict[type[Exception], int] = {
    errors.NotFound: 404,
    errors.BadRequest: 400,
    errors.UnsupportedBody: 415,
    errors.UnsupportedCoding: 415,
    errors.ExpectationFailed: 417,
    errors.KeyMalformed: 400,
    errors.TextTooLong: 422,
    errors.DaysTooMany: 422,
    errors.KeyReused: 422,
    errors.ConversationMoved: 412,
    errors.HeadersTooLarge: 431,
}
_HEADERS: dict[type[Exception], dict[str, str]] = {
    errors.UnsupportedCoding: {"Accept-Encoding": KNOWN}
}
_CODED: dict[type[Exception], tuple[int, str, bool, dict[str, str]]] = {
    errors.TurnInProgress: (409, "turn_in_progress", True, {}),
    errors.TurnIsOver: (409, "turn_is_over", False, {}),
    errors.TurnCancelled: (409, "turn_cancelled", True, {}),
    errors.TextRemoved: (409, "text_removed", False, {}),
    errors.LegalHold: (409, "legal_hold", False, {}),
    AppendRefused: (422, "refused", False, {}),
    errors.ViewsBeingRebuilt: (503, "busy", True, {"Retry-After": "10"}),
    errors.TooManyReplies: (503, "busy", True, {"Retry-After": "2"}),
    errors.TooManyConnections: (503, "busy", True, {"Retry-After": "2"}),
    errors.Stopping: (503, "service_stopping", True, {"Retry-After": "1"}),
    errors.Busy: (503, "busy", True, {"Retry-After": "1"}),
    GuardBroken: (503, "busy", True, {"Retry-After": "1"}),
    LogBusy: (503, "busy", True, {"Retry-After": "1"}),
    DatabaseBusy: (503, "busy", True, {"Retry-After": "2"}),
    LogUnavailable: (503, "database_unavailable", True, {"Retry-After": "5"}),
    LogClosed: (503, "service_stopping", True, {"Retry-After": "1"}),
}


def _describe(error: Exception, now: datetime) -> Described:
    match error:
        case errors.Unauthenticated() | errors.InvalidToken() | errors.InsufficientScopes():
            return _unauthenticated(error)
        case errors.NotAuthorized():
            return 403, {"status": "unauthorized", "errors": [{"message": str(error)}]}, {}
        case errors.TurnFailed():
            sentence = LEARNER_SENTENCES[error.code]
            wait = error.retry_after
            headers = {} if wait is None else {"Retry-After": str(math.ceil(bounded(wait)))}
            return 503, _coded(sentence, error.code, error.retryable), headers
        case LimitReached():
            pause = {"Retry-After": str(math.ceil(until_next(error.day, now)))}
            return 429, _coded(_OFTEN, "rate_limited", True), pause
        case errors.FieldErrors():
            fields = {name: [{"message": why}] for name, why in error.fields.items()}
            return 400, {"errors": fields}, {}
        case web.HTTPException():
            return _http_error(error)
    if type(error) in _CODED:
        status, code, retryable, headers = _CODED[type(error)]
        return status, _coded(_sentence(error), code, retryable) | _more(error), headers
    status = _STATUS.get(type(error), 500)
    sentence = str(error) if status < 500 else "internal server error"
    return status, {"error": sentence}, _HEADERS.get(type(error), {})


def _sentence(error: Exception) -> str:
    """What may be told: not which stream, nor which error of the database."""
    return _REFUSED if isinstance(error, AppendRefused) else str(error)


def _more(error: Exception) -> dict[str, Any]:
    match error:
        case errors.TurnInProgress():
            return {"turn_id": error.turn_id}
        case errors.LegalHold():
            return {"holds": list(error.holds)}
        case _:
            return {}


def _unauthenticated(error: errors.ServiceError) -> Described:
    body: dict[str, Any] = {"errors": [{"message": str(error)}]}
    if isinstance(error, errors.Unauthenticated):
        body = {"status": "unauthenticated", **body}
    return 401, body, {} if isinstance(error, errors.InsufficientScopes) else _BEARER


def _coded(sentence: str, code: str, retryable: bool) -> dict[str, Any]:
    return {"error": sentence, "code": code, "retryable": retryable}


def _http_error(error: web.HTTPException) -> Described:
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    if error.status == 404:
        return 404, {"error": "Resource Not Found"}, {}
    if error.status == 408:
        return 408, {"error": "the body did not arrive in time"}, {}
    if error.status == 413:
        return 413, {"error": "the body must be 1 MiB or smaller"}, {}
    return error.status, {"error": error.reason}, headers


def _progress(conversation: Conversation) -> ProgressAnswer | None:
    total = len(conversation.objectives)
    if not total:
        return None
    still_open = conversation.open_objectives
    current = total - len(still_open)
    return ProgressAnswer(
        current=current,
        total=total,
        percentage=(200 * current + total) // (2 * total),  # rounded half up, as the view does
        objectives=tuple(
            ObjectiveAnswer(objective, "" if number in still_open else "covered")
            for number, objective in enumerate(conversation.objectives, 1)
        ),
    )
