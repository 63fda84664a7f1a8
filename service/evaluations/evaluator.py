"""Asks a model for the evaluation of a whole conversation."""

import asyncio

import msgspec
import structlog

from eventstore.connections import AccountPool, retry_read
from eventstore.evaluation_events import EvaluationFailed, EvaluationRecorded, EvaluationRequested
from service.dialogue.commands import Failure, Spent
from service.dialogue.decide import unanswered
from service.errors import NotFound, TextRemoved
from service.experiences.experiences import Experiences
from service.model.client import ModelClient
from service.model.errors import CANCELLED, SERVICE_STOPPING, ModelFailure
from service.model.interface import ChatMessage, EvaluationRequest
from service.model.judgements import read_evaluation
from service.turns.tutor import ModelChoice, broken, failed
from sql.loader import query

EVALUATION_TOKENS = 8_192

Judged = tuple[EvaluationRecorded | EvaluationFailed, str | None]
"""How an evaluation ends, with its text."""

_encoder = msgspec.json.Encoder()

log = structlog.get_logger("colloquy.evaluations")


class Evaluator:
    """Asks a model to evaluate a conversation.

    Args:
        pool: For reading the conversation.
        experiences: Gives the scenario.
        asker: Puts the question to the model.
        models: Whom to ask.
        budget: Seconds that it may take.
    """

    def __init__(
        self,
        *,
        pool: AccountPool,
        experiences: Experiences,
        asker: ModelClient,
        models: ModelChoice,
        budget: float,
    ) -> None:
        self._pool = pool
        self._experiences = experiences
        self._asker = asker
        self._models = models
        self._budget = budget

    async def refuse_removed(self, account_id: int, conversation_id: int) -> None:
        """Raises `TextRemoved` if texts were deleted: the rest cannot be judged fairly."""
        if await self._is_removed(account_id, conversation_id):
            raise TextRemoved

    async def judge(self, account_id: int, asked: EvaluationRequested) -> Judged:
        """The event that ends the evaluation, with its text if it succeeded.

        Words may have been deleted meanwhile: see `unless_removed`. Cancelled, it says so in the
        event: whoever cancels waits for that to be recorded.
        """
        attempt_log = self._asker.attempt_log()
        try:
            request = await retry_read(lambda: self._request(account_id, asked))
            evaluation, record = await self._asker.ask(
                request,
                self._models.first_and_fallback(self._models.evaluation),
                self._budget,
                attempt_log,
                lambda text: read_evaluation(text, request),
            )
        except asyncio.CancelledError:
            failure = ModelFailure(SERVICE_STOPPING, retryable=True, detail="")
        except ModelFailure as error:
            failure = error
        except Exception as error:
            log.exception("evaluation_broke")
            failure = broken(error)
        else:
            judged = EvaluationRecorded(
                conversation_id=asked.conversation_id,
                turn_id=asked.turn_id,
                experience_version=asked.experience_version,
                judgement=record,
            )
            return judged, _encoder.encode(evaluation).decode()
        log.warning("evaluation_failed", code=failure.code, detail=failure.detail)
        return unanswered(EvaluationFailed, asked, failed(failure, attempt_log, "")), None

    async def unless_removed(
        self, account_id: int, asked: EvaluationRequested, judged: Judged
    ) -> Judged:
        """The result, or a failure if texts were deleted meanwhile."""
        event = judged[0]
        if not isinstance(event, EvaluationRecorded):
            return judged
        if not await self._is_removed(account_id, asked.conversation_id):
            return judged
        failure = Failure(
            code=CANCELLED,
            detail="the words were deleted",
            retryable=False,
            spent=msgspec.convert(event.judgement, Spent, from_attributes=True),
        )
        log.warning("evaluation_failed", code=failure.code, detail=failure.detail)
        return unanswered(EvaluationFailed, asked, failure), None

    async def _is_removed(self, account_id: int, conversation_id: int) -> bool:
        conversation = (account_id, conversation_id)
        return bool(await self._pool.fetchval(account_id, query("has_removed_text"), *conversation))

    async def _request(self, account_id: int, asked: EvaluationRequested) -> EvaluationRequest:
        conversation = (account_id, asked.conversation_id)
        rows = await self._pool.fetch(account_id, query("list_messages"), *conversation)
        version = await self._pool.fetchval(
            account_id, query("get_experience_version"), *conversation
        )
        if version is None:
            raise NotFound
        experience = await self._experiences.at_version(account_id, asked.experience_id, version)
        return EvaluationRequest(
            scenario=experience.scenario,
            messages=tuple(
                ChatMessage("user" if row["role"] == "User" else "assistant", row["text"] or "…")
                for row in rows
            ),
            max_tokens=EVALUATION_TOKENS,
        )
