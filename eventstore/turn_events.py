"""Base classes of the events of a turn."""

from eventstore.event import DialogueEvent
from eventstore.reply_records import AttemptRecord, Usage


class TurnEvent(DialogueEvent, frozen=True, kw_only=True):
    """An event of one turn: a request to the model, or its outcome."""

    turn_id: str


class UnansweredTurn(TurnEvent, frozen=True, kw_only=True):
    """The end of a turn without an answer of the model: the reason, usage and cost."""

    code: str
    detail: str = ""
    retryable: bool = True
    retry_after: float | None = None
    model: str | None = None
    usage: Usage | None = None
    provider_request_id: str | None = None
    duration_ms: int | None = None
    attempt_records: tuple[AttemptRecord, ...] = ()
    price_version: str | None = None
    cost_microusd: int | None = None
