"""Every error in the shape that the contract gives it."""

import math
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
from service.errors import KeptMessage
from service.http.content_codings import KNOWN
from service.http.rate_limits import until_next
from service.http.responses import raw_response
from service.model.errors import LEARNER_SENTENCES
from service.retry_after import bounded

_encoder = msgspec.json.Encoder()
_BEARER = {"WWW-Authenticate": 'Bearer realm="canvas-lms"'}


_OFTEN = "You have asked very often today. Please go on tomorrow."


_REFUSED = "The database does not take what this request would record."


def error_response(
    error: Exception, reference_id: str, now: datetime | None = None
) -> web.Response:
    """The contract's response to an error; 500 for an unexpected one.

    Args:
        now: The database's time; this machine's if none is given.
    """
    status, body, headers = error_body(error, reference_id, now)
    response = raw_response(body, status, headers)
    if response.status in (408, 413):  # what is still to come is no request
        response.force_close()
    return response


def error_body(
    error: Exception, reference_id: str, now: datetime | None = None
) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers. A repeated request gets the reference id of the first."""
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
    errors.TextTooLong: 422,
    errors.DaysTooMany: 422,
    errors.YearsOutOfRange: 422,
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
    errors.NothingToRetry: (409, "nothing_to_retry", False, {}),
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
            return 503, _coded(sentence, error.code, error.retryable) | _more(error), headers
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
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)
    sentence = str(error) if status < 500 else "internal server error"
    return status, {"error": sentence}, _HEADERS.get(type(error), {})


def _sentence(error: Exception) -> str:
    """The error's text without names of streams or details of database errors."""
    return _REFUSED if isinstance(error, AppendRefused) else str(error)


def _more(error: Exception) -> dict[str, Any]:
    match error:
        case errors.TurnInProgress():
            return {"turn_id": error.turn_id}
        case errors.TurnFailed(kept=KeptMessage() as kept):
            return msgspec.structs.asdict(kept)
        case errors.TurnCancelled(kept=KeptMessage() as kept):
            return msgspec.structs.asdict(kept)
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
