"""What asking a model takes: attempts, tokens, costs, and how often it goes wrong."""

import random
from collections.abc import Sequence

import msgspec

from eventstore.reply_records import AttemptRecord, ContextRecord, PromptVersion, ReplyRecord, Usage
from service.dialogue.commands import Failure, Spent
from service.model import errors
from service.model.prices import Prices
from tests.bench.term.plan import DAY, HOUR, Term

_ATTEMPTS = 3
_TROUBLE = 0.05
_TROUBLE_AGAIN = 0.35
_TROUBLE_IN_OUTAGE = 0.9
_CACHED_SECONDS = 300.0
_SYSTEM_TOKENS = 1_150
_PATIENCE_MS = 40_000
_LONGEST_MS = 58_000

_CODES = {
    errors.MODEL_OVERLOADED: ("HTTP 529 overloaded_error", 50),
    errors.MODEL_RATE_LIMITED: ("HTTP 429 rate_limit_error", 14),
    errors.MODEL_UNAVAILABLE: ("HTTP 502", 10),
    errors.MODEL_TIMEOUT: ("nothing came for 20 s", 9),
    errors.MODEL_INTERRUPTED: ("the stream ended early", 12),
    errors.MODEL_EMPTY: ("no text", 4),
    errors.MODEL_REFUSED: ("stop reason refusal", 6),
}
_BILLED = {errors.MODEL_INTERRUPTED, errors.MODEL_EMPTY, errors.MODEL_REFUSED}
_OUTAGES = ("claude-sonnet-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "local-tutor")
_LAST = {errors.MODEL_INTERRUPTED, errors.MODEL_REFUSED}
"""After these nobody is asked again: something was shown, or would be refused again."""


class Models(msgspec.Struct, frozen=True):
    """Whom an institution asks: for replies, in their place, and for judgements."""

    reply: str
    fallback: str | None
    judge: str

    @property
    def first_and_fallback(self) -> tuple[str, ...]:
        """Whom to ask for replies, one after another."""
        return (self.reply, self.fallback) if self.fallback else (self.reply,)


CHOICES = (
    Models("claude-sonnet-5-5", "claude-haiku-5-5", "claude-haiku-5-5"),
    Models("local-tutor", "claude-haiku-5-5", "claude-haiku-5-5"),
    Models("claude-haiku-5-5", None, "claude-haiku-5-5"),
    Models("claude-haiku-5-5", "local-tutor", "claude-haiku-5-5"),
)
"""The local one has no price."""

_FIRST_TOKEN_MS = {"claude-sonnet-5-5": 900.0, "claude-haiku-5-5": 420.0, "local-tutor": 260.0}
_TOKEN_MS = {"claude-sonnet-5-5": 14.0, "claude-haiku-5-5": 6.5, "local-tutor": 28.0}


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is asked.

    Attributes:
        at: When, in seconds of the term.
        models: Whom, one after another.
        tokens: Of the conversation so far; the instructions come on top.
        since: Seconds since the conversation was last sent, None if it never was.
        answer: How many tokens an answer usually has.
        messages: How many are sent.
    """

    at: float
    models: tuple[str, ...]
    prompt: PromptVersion
    tokens: int
    since: float | None
    answer: float
    max_tokens: int
    messages: int


class Outage(msgspec.Struct, frozen=True):
    """From when to when a model was in trouble, for all institutions alike."""

    model: str
    began: float
    ended: float


def outages(term: Term) -> list[Outage]:
    """Some hours in which a model mostly failed."""
    chance = random.Random(f"{term.seed}/outages")
    found = []
    for _ in range(max(2, term.days // 8)):
        began = chance.randrange(term.days) * DAY + chance.uniform(8, 20) * HOUR
        length = chance.uniform(0.3, 2.5) * HOUR
        found.append(Outage(chance.choice(_OUTAGES), began, began + length))
    return found


class Answers:
    """Models as an institution knows them."""

    def __init__(self, chance: random.Random, prices: Prices, troubles: Sequence[Outage]) -> None:
        self._chance = chance
        self._prices = prices
        self._troubles = troubles

    def ask(self, question: Question) -> ReplyRecord | Failure:
        """How an answer came about, or why there was none."""
        effort = _Effort()
        failure = Failure(code=errors.INTERNAL_ERROR)
        for place, model in enumerate(question.models):
            for number in range(1, _ATTEMPTS + 1):
                waited = self._pause(number)
                effort.elapsed_ms += waited
                code = self._trouble(question.at, model, again=number > 1)
                if code is None:
                    return self._completed(question, effort, model, waited, place > 0)
                failure = self._failed(question, effort, model, waited, code)
                if code in _LAST or effort.elapsed_ms > _PATIENCE_MS:
                    return failure
        return failure

    def judgement_fails(self) -> bool:
        """Whether a judgement cannot be used, beside all that may go wrong on the way."""
        return self._chance.random() < 0.012

    def unusable(self, record: ReplyRecord) -> Failure:
        """What an answer is that was not of the form asked for."""
        last = record.attempt_records[-1]
        invalid = msgspec.structs.replace(
            last, outcome=errors.MODEL_INVALID, detail="not of the schema"
        )
        spent = Spent(
            model=record.model,
            usage=record.usage,
            provider_request_id=record.provider_request_id,
            duration_ms=record.duration_ms,
            attempt_records=(*record.attempt_records[:-1], invalid),
            price_version=record.price_version,
            cost_microusd=record.cost_microusd,
        )
        return Failure(code=errors.MODEL_INVALID, detail="not of the schema", spent=spent)

    def _trouble(self, at: float, model: str, again: bool) -> str | None:
        bad = any(o.model == model and o.began <= at < o.ended for o in self._troubles)
        usual = _TROUBLE_AGAIN if again else _TROUBLE
        if self._chance.random() >= (_TROUBLE_IN_OUTAGE if bad else usual):
            return None
        weights = [weight for _, weight in _CODES.values()]
        return self._chance.choices(list(_CODES), weights)[0]

    def _pause(self, number: int) -> int:
        if number == 1:
            return 0
        return round(500 * 2.0 ** (number - 2) * (0.5 + self._chance.random() / 2))

    def _failed(
        self, question: Question, effort: "_Effort", model: str, waited: int, code: str
    ) -> Failure:
        slow = code == errors.MODEL_TIMEOUT
        took = 20_000 if slow else round(self._chance.lognormvariate(5.6, 0.7))
        usage = self._usage(question, self._chance.randrange(1, 60)) if code in _BILLED else None
        effort.add(self._attempt(model, code, _CODES[code][0], usage, took, waited))
        limited = code == errors.MODEL_RATE_LIMITED
        return Failure(
            code=code,
            detail=_CODES[code][0],
            retryable=code != errors.MODEL_REFUSED,
            retry_after=float(self._chance.randrange(2, 30)) if limited else None,
            spent=self._spent(effort, model, usage),
        )

    def _completed(
        self, question: Question, effort: "_Effort", model: str, waited: int, fallback: bool
    ) -> ReplyRecord:
        output = max(4, round(question.answer * self._chance.lognormvariate(0, 0.45)))
        cut = output > question.max_tokens
        usage = self._usage(question, min(output, question.max_tokens))
        first = round(_FIRST_TOKEN_MS[model] * self._chance.lognormvariate(0, 0.45))
        rest = usage.output_tokens * _TOKEN_MS[model] * self._chance.lognormvariate(0, 0.2)
        took = min(first + round(rest), _LONGEST_MS)
        first += effort.elapsed_ms
        effort.add(self._attempt(model, "completed", "", usage, took, waited))
        spent = self._spent(effort, model, usage)
        return ReplyRecord(
            model_requested=model,
            model=model,
            max_tokens=question.max_tokens,
            prompt=question.prompt,
            stop_reason="max_tokens" if cut else "end_turn",
            usage=usage,
            provider_request_id=spent.provider_request_id,
            first_token_ms=first,
            duration_ms=effort.elapsed_ms,
            attempts=len(effort.attempts),
            attempt_records=spent.attempt_records,
            fallback=fallback,
            price_version=spent.price_version,
            cost_microusd=spent.cost_microusd,
            context=_context(question),
        )

    def _usage(self, question: Question, output: int) -> Usage:
        """What was sent before is read from the cache while that is warm; the rest is written."""
        fresh = self._chance.randrange(8, 40)
        warm = question.since is not None and question.since < _CACHED_SECONDS
        kept = int(question.tokens * 0.85) if warm else 0
        shared = _SYSTEM_TOKENS if warm or self._chance.random() < 0.6 else 0
        written = _SYSTEM_TOKENS + question.tokens - kept - shared
        return Usage(fresh, output, written, kept + shared)

    def _attempt(
        self, model: str, outcome: str, detail: str, usage: Usage | None, took: int, waited: int
    ) -> AttemptRecord:
        return AttemptRecord(
            model=model,
            outcome=outcome,
            detail=detail,
            usage=usage,
            cost_microusd=self._prices.cost_microusd(model, usage),
            provider_request_id=f"req_{self._chance.getrandbits(96):024x}",
            duration_ms=took,
            waited_ms=waited,
        )

    def _spent(self, effort: "_Effort", model: str, usage: Usage | None) -> Spent:
        costs = [a.cost_microusd for a in effort.attempts if a.usage is not None]
        known = [cost for cost in costs if cost is not None]
        return Spent(
            model=model,
            usage=usage,
            provider_request_id=effort.attempts[-1].provider_request_id,
            duration_ms=effort.elapsed_ms,
            attempt_records=tuple(effort.attempts),
            price_version=self._prices.version,
            cost_microusd=sum(known) if len(known) == len(costs) else None,
        )


def _context(question: Question) -> ContextRecord:
    return ContextRecord(
        messages_sent=question.messages,
        messages_left_out=0,
        estimated_tokens=_SYSTEM_TOKENS + question.tokens,
    )


class _Effort:
    """The attempts so far and the milliseconds that they took, pauses included."""

    def __init__(self) -> None:
        self.attempts: list[AttemptRecord] = []
        self.elapsed_ms = 0

    def add(self, attempt: AttemptRecord) -> None:
        self.attempts.append(attempt)
        self.elapsed_ms += attempt.duration_ms or 0
