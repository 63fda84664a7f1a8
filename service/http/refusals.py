"""The errors that many endpoints can refuse with, as the description of the API shows them."""

from datetime import date

from aiohttp import web

from eventstore.errors import AppendRefused, DatabaseBusy, LimitReached, LogUnavailable
from service import errors
from service.model import errors as model

DAY = date(2031, 3, 1)
"""The day on which the examples happen."""

_PAUSE = 30.0


_KEPT = errors.KeptMessage(
    turn_id="019c2f3e-7a10-7cc1-b7a5-2f0c5d1e9a01",
    message_id="019c2f3e-7a10-7cc1-b7a5-2f0c5d1e9a02",
)


def _failed(code: str, kept: errors.KeptMessage | None = None) -> errors.TurnFailed:
    pause = _PAUSE if code == model.MODEL_RATE_LIMITED else None
    retryable = model.Cause(code, "", pause).retryable
    return errors.TurnFailed(code, retryable=retryable, retry_after=pause, kept=kept)


EVERYWHERE: tuple[Exception, ...] = (
    errors.HeaderRepeated("Authorization"),
    errors.SeveralUsersNamed(),
    errors.Unauthenticated(),
    errors.InvalidToken(),
    errors.InsufficientScopes(),
    errors.NotAuthorized(),
    errors.NotFound(),
    errors.HeadersTooLarge(),
    errors.Busy(),
    errors.TooManyConnections(),
    errors.Stopping(),
    LogUnavailable(),
    DatabaseBusy(),
)
"""What each endpoint that needs a token can refuse with."""

STORES: tuple[Exception, ...] = (AppendRefused(),)
"""What a request that records something can be refused with."""

BODY: tuple[Exception, ...] = (
    errors.BodyUnreadable(),
    web.HTTPRequestTimeout(),
    web.HTTPRequestEntityTooLarge(max_size=0, actual_size=0),
    errors.UnsupportedBody(),
    errors.UnsupportedCoding(),
    *STORES,
)
"""What a request that writes can be refused with: its body is read even where none is needed."""

POSTED: tuple[Exception, ...] = (*BODY, errors.KeyMalformed(), errors.KeyReused())
"""What a request with a body and an idempotency key can be refused with."""

LIMITED: tuple[Exception, ...] = (LimitReached(DAY),)
"""What a request that counts against a daily limit can be refused with."""

PAGED: tuple[Exception, ...] = (errors.NumberMalformed("page"),)
"""What a request for a page of a list can be refused with."""

QUERIED: tuple[Exception, ...] = (
    errors.UnknownParameter("days"),
    errors.ParameterRepeated("from"),
)
"""What a request whose query is checked parameter by parameter can be refused with."""

MODEL: tuple[Exception, ...] = (
    errors.TooManyReplies(),
    *(_failed(code) for code in model.LEARNER_SENTENCES),
)
"""What a request that a model answers can be refused with."""

ANSWERED: tuple[Exception, ...] = (
    errors.TooManyReplies(),
    *(_failed(code, _KEPT) for code in model.LEARNER_SENTENCES),
    errors.TurnCancelled(None, _KEPT),
)
"""What a request for the answer to a message can be refused with. The message stays."""
