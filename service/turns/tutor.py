"""Calls the model for a turn: builds its requests, and commands from its answers."""

import asyncio

import msgspec
import structlog
from uuid_utils import uuid7

from eventstore.connections import retry_read
from eventstore.database_errors import is_passing
from eventstore.dialogue_events import CoveredObjective, OpeningRequested
from eventstore.envelope import RecordedEvent
from eventstore.reply_records import ContextRecord, ReplyRecord
from service.dialogue.commands import Assessed, Failure, RecordOpening, RecordReply, Spent
from service.dialogue.repository import DialogueKey
from service.dialogue.state import Conversation, Dialogue, Turn
from service.experiences.experiences import Experiences, ExperienceVersion
from service.model.client import AttemptLog, ModelClient
from service.model.context_window import ContextWindow, estimate_tokens, truncate
from service.model.errors import CANCELLED, INTERNAL_ERROR, ModelFailure
from service.model.interface import AssessmentRequest, ChatMessage, ReplyRequest, Scenario
from service.model.judgements import Covered, read_assessment
from service.model.prompt_templates import starting_prompt
from service.model.response import OnDelta

ASSESSMENT_TOKENS = 1024
_PROMPT_TOKENS = 2_500
_DATABASE_PAUSE = 5.0
"""Seconds after which to ask again where the database, and not the model, was away."""

log = structlog.get_logger("colloquy.turns")


class ModelChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Names of the models to ask; the fallback is asked if the first fails."""

    reply: str
    fallback: str | None
    assessment: str
    evaluation: str

    def first_and_fallback(self, first: str) -> tuple[str, ...]:
        """The models to ask, in order."""
        return (first, self.fallback) if self.fallback else (first,)


class ReplyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of replies.

    `budget` is in seconds for all attempts. `max_tokens` bounds a reply, `context_tokens` the
    request (None: no bound), and `max_concurrent` the replies under way in this process.
    """

    budget: float
    max_tokens: int
    context_tokens: int | None
    max_concurrent: int


class StartedTurn(msgspec.Struct, frozen=True):
    """A turn whose question is recorded: the dialogue right after it, and the event."""

    key: DialogueKey
    turn: Turn
    dialogue: Dialogue
    asked: RecordedEvent

    @property
    def opening(self) -> bool:
        """Whether the model opens the conversation."""
        return isinstance(self.turn.request, OpeningRequested)

    @property
    def conversation(self) -> Conversation:
        """The active conversation, in which the learner has said something."""
        assert self.dialogue.active is not None, "only an active conversation takes messages"
        return self.dialogue.active


class Tutor:
    """Asks the model for replies, and for assessments of objectives.

    Args:
        asker: Calls the model, with retries.
        experiences: Gives the scenarios.
        models: The models to ask.
        limits: Bounds of replies.
    """

    def __init__(
        self,
        asker: ModelClient,
        experiences: Experiences,
        models: ModelChoice,
        limits: ReplyLimits,
    ) -> None:
        self._asker = asker
        self._experiences = experiences
        self._models = models
        self._limits = limits

    def attempt_log(self, on_delta: OnDelta | None = None) -> AttemptLog:
        """A new log of attempts."""
        return self._asker.attempt_log(on_delta)

    async def reply(
        self, started: StartedTurn, attempt_log: AttemptLog
    ) -> RecordOpening | RecordReply:
        """Asks the model for a reply.

        Raises:
            ModelFailure: It gave no answer; `attempt_log` has the attempts.
        """
        experience = await self._experience(started)
        fitted = self._fit(started, experience.scenario)
        request = ReplyRequest(
            scenario=experience.scenario,
            messages=fitted.messages,
            max_tokens=self._limits.max_tokens,
        )
        models = self._models.first_and_fallback(self._models.reply)
        text, record = await self._asker.ask_for_text(
            request, models, self._limits.budget, attempt_log
        )
        record = msgspec.structs.replace(record, context=_context(fitted))
        if started.opening:
            return _opening(started.turn, experience.scenario, text, record)
        return RecordReply(
            turn_id=started.turn.id, message_id=str(uuid7()), text=text, reply=record
        )

    def assessing(self, started: StartedTurn) -> "asyncio.Task[Assessed | Failure] | None":
        """Starts the assessment of the open objectives; None if there is nothing to assess.

        The task never fails. Cancelled, it ends at once and returns a `Failure` with its cost.
        """
        if started.opening or not started.conversation.open_objectives:
            return None
        return asyncio.create_task(self._assess(started))

    async def _assess(self, started: StartedTurn) -> Assessed | Failure:
        attempt_log = self.attempt_log()
        try:
            return await self._assessment(started, attempt_log)
        except asyncio.CancelledError:  # by the turn that owns it, which wants to know the cost
            return Failure(code=CANCELLED, spent=spent(attempt_log))
        except ModelFailure as failure:
            log.warning("assessment_failed", code=failure.code, detail=failure.detail)
            return failed(failure, attempt_log, partial_text="")
        except Exception as error:
            log.exception("assessment_broke")
            return failed(broken(error), attempt_log, partial_text="")

    async def _assessment(self, started: StartedTurn, attempt_log: AttemptLog) -> Assessed:
        experience = await self._experience(started)
        fitted = self._fit(started, experience.scenario)
        request = AssessmentRequest(
            scenario=experience.scenario,
            messages=fitted.messages,
            open_objectives=started.conversation.open_objectives,
            max_tokens=ASSESSMENT_TOKENS,
        )
        assessment, record = await self._asker.ask(
            request,
            self._models.first_and_fallback(self._models.assessment),
            self._limits.budget,
            attempt_log,
            lambda text: read_assessment(text, request),
        )
        return Assessed(
            covered=tuple(
                _covered(entry, fitted, started.conversation) for entry in assessment.covered
            ),
            judgement=msgspec.structs.replace(record, context=_context(fitted)),
        )

    async def _experience(self, started: StartedTurn) -> ExperienceVersion:
        asked = started.turn.request
        version = (
            asked.experience_version
            if isinstance(asked, OpeningRequested)
            else started.conversation.experience_version
        )
        account_id = started.key.account_id
        return await retry_read(
            lambda: self._experiences.at_version(account_id, asked.experience_id, version)
        )

    def _fit(self, started: StartedTurn, scenario: Scenario) -> ContextWindow:
        messages = _messages(started, scenario)
        texts = (scenario.title, scenario.description, scenario.facts, *scenario.objectives)
        fixed = _PROMPT_TOKENS + estimate_tokens("\n".join(texts) + scenario.pedagogical_guidance)
        limit = self._limits.context_tokens
        return truncate(messages, 2**63 if limit is None else limit, fixed)


def spent(attempt_log: AttemptLog) -> Spent:
    """The cost of all attempts, as it is recorded."""
    return Spent(
        model=attempt_log.model,
        usage=attempt_log.usage,
        provider_request_id=attempt_log.provider_request_id,
        duration_ms=attempt_log.elapsed_ms,
        attempt_records=attempt_log.attempt_records,
        price_version=attempt_log.price_version,
        cost_microusd=attempt_log.cost_microusd,
    )


def broken(error: Exception) -> ModelFailure:
    """The failure as which an error of our own counts."""
    return ModelFailure(
        INTERNAL_ERROR,
        retryable=True,
        detail=type(error).__name__,
        retry_after=_DATABASE_PAUSE if is_passing(error) else None,
    )


def failed(failure: ModelFailure, attempt_log: AttemptLog, partial_text: str) -> Failure:
    """A failure of the model, as it is recorded."""
    return Failure(
        code=failure.code,
        detail=failure.detail,
        retryable=failure.retryable,
        retry_after=failure.retry_after,
        partial_text=partial_text,
        spent=spent(attempt_log),
    )


def _messages(started: StartedTurn, scenario: Scenario) -> tuple[ChatMessage, ...]:
    """The messages for the model: the learner's view, in which roles alternate."""
    if started.opening:
        return (ChatMessage("user", starting_prompt(scenario)),)
    return tuple(
        ChatMessage("user" if message.role == "User" else "assistant", message.text or "…")
        for message in started.conversation.messages
    )


def _opening(turn: Turn, scenario: Scenario, text: str, record: ReplyRecord) -> RecordOpening:
    asked = turn.request
    assert isinstance(asked, OpeningRequested)
    return RecordOpening(
        turn_id=turn.id,
        objectives=scenario.objectives,
        starting_prompt=starting_prompt(scenario),
        starting_message_id=asked.starting_message_id or str(uuid7()),
        message_id=str(uuid7()),
        text=text,
        reply=record,
    )


def _context(fitted: ContextWindow) -> ContextRecord:
    return ContextRecord(
        messages_sent=len(fitted.messages),
        messages_left_out=fitted.left_out,
        estimated_tokens=fitted.estimated_tokens,
    )


def _covered(entry: Covered, fitted: ContextWindow, conversation: Conversation) -> CoveredObjective:
    """The entry with the id of its message; its number does not count the messages left out."""
    place = entry.message - 1 + (fitted.left_out if entry.message > 2 else 0)
    return CoveredObjective(entry.objective, conversation.messages[place].id)
