"""Evaluations: a model judges a whole conversation, for the teacher.

Each has a stream of its own, `evaluation-<id>`: asked for, then recorded or failed. So it never
gets in the learner's way.
"""

import asyncio
from contextlib import suppress

import msgspec
import structlog
from uuid_utils import uuid7

from eventstore.connections import AccountPool, retry_read
from eventstore.envelope import NO_STREAM, Actor, Metadata, NewEvent, RecordedEvent
from eventstore.errors import (
    AppendRefused,
    EventStoreError,
    GuardBroken,
    WrongExpectedRevision,
)
from eventstore.evaluation_events import EvaluationFailed, EvaluationRecorded, EvaluationRequested
from eventstore.guards import Guard
from eventstore.log import EventLog
from eventstore.notifier import Notifier
from service.dialogue.commands import Failure
from service.dialogue.decide import unanswered
from service.dialogue.ownership import TurnOwnership
from service.dialogue.repository import DialogueKey
from service.errors import KeyReused, Stopping, TooManyReplies, TurnFailed
from service.evaluations.evaluator import Evaluator
from service.model.errors import ABANDONED, INTERNAL_ERROR
from service.turns.tutor import ReplyLimits
from sql.loader import query

_PREFIX = "evaluation-"
_ENDED = 2
_TRIES = 10

log = structlog.get_logger("colloquy.evaluations")


def stream_of(evaluation_id: str) -> str:
    """The stream of an evaluation."""
    return f"{_PREFIX}{evaluation_id}"


def is_evaluation(stream: str) -> bool:
    """Whether a stream is an evaluation's."""
    return stream.startswith(_PREFIX)


class EvaluationRunner:
    """Runs evaluations of conversations.

    Args:
        events: Where that is recorded.
        pool: For reading the latest.
        notifier: Wakes those who wait for other processes.
        owners: Tells which evaluations nobody will end.
        evaluator: Asks the model.
        model: The one that is asked.
        limits: Of evaluations under way, and of the time that one may take.
    """

    def __init__(
        self,
        *,
        events: EventLog,
        pool: AccountPool,
        notifier: Notifier,
        owners: TurnOwnership,
        evaluator: Evaluator,
        model: str,
        limits: ReplyLimits,
    ) -> None:
        self._log = events
        self._pool = pool
        self._notifier = notifier
        self._owners = owners
        self._evaluator = evaluator
        self._model = model
        self._limits = limits
        self._stopping = False
        self._running: dict[str, asyncio.Task[None]] = {}

    async def begin(
        self,
        dialogue: DialogueKey,
        metadata: Metadata,
        guard: Guard,
        *,
        conversation_id: int,
        course_id: int,
        experience_version: int,
    ) -> RecordedEvent:
        """Starts an evaluation; returns the event that asks for it once that is on disk.

        It goes on whatever becomes of the caller. A request that was made before, by its
        idempotency key, leads to the evaluation of that time.

        Raises:
            Stopping, TooManyReplies, TextRemoved: Nothing was recorded.
            KeyReused: The key came with another request before.
            EventStoreError: The request could not be recorded.
        """
        asked = EvaluationRequested(
            conversation_id=conversation_id,
            turn_id=str(uuid7()),
            course_id=course_id,
            experience_id=dialogue.experience_id,
            experience_version=experience_version,
            user_id=dialogue.user_id,
            model=self._model,
            owner=self._owners.this,
            deadline_at=self._owners.deadline(self._limits.budget),
        )
        metadata = msgspec.structs.replace(metadata, correlation_id=asked.turn_id)
        first = await self._log.append_once(
            dialogue.account_id,
            metadata,
            lambda: self._begin(dialogue.account_id, asked, metadata, guard),
        )
        if (
            not isinstance(first.event, EvaluationRequested)
            or first.event.conversation_id != asked.conversation_id
        ):
            raise KeyReused
        return first

    async def result(self, first: RecordedEvent) -> str:
        """Waits for the evaluation that an event asked for; returns it as JSON.

        Raises:
            TurnFailed: The model gave no evaluation that could be used; that is recorded.
            Stopping: The service stops before another process is done.
        """
        return _result(first, await self._end_in_log(first))

    async def latest(
        self, account_id: int, conversation_id: int, experience_version: int
    ) -> tuple[str | None, bool]:
        """The latest evaluation as JSON, None if there is none, and whether it is stale.

        Args:
            experience_version: The experience as it is now.
        """
        row = await self._pool.fetchrow(
            account_id, query("get_evaluation"), account_id, conversation_id, experience_version
        )
        return (row["evaluation"], row["stale"]) if row else (None, False)

    def closes(self, stream: str) -> bool:
        """Whether a stream is an evaluation's."""
        return is_evaluation(stream)

    async def close_abandoned(self, account_id: int, stream: str) -> bool:
        """Ends an evaluation if its owner is gone; returns whether it was."""
        events = await self._log.read_stream(account_id, stream)
        if len(events) >= _ENDED:
            return False
        asked = events[0].event
        assert isinstance(asked, EvaluationRequested)
        if not await self._owners.is_abandoned(asked.turn_id, asked.owner, asked.deadline_at):
            return False
        abandoned = unanswered(EvaluationFailed, asked, Failure(code=ABANDONED))
        await self._record(events[0], abandoned, None, by="system")
        return True

    async def drain(self, grace: float) -> None:
        """Accepts no more, waits `grace` seconds for those under way, and ends the others."""
        self._stopping = True
        if self._running:
            _, late = await asyncio.wait(self._running.values(), timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    async def _begin(
        self, account_id: int, asked: EvaluationRequested, metadata: Metadata, guard: Guard
    ) -> list[RecordedEvent]:
        if self._stopping:
            raise Stopping
        if len(self._running) >= self._limits.max_concurrent:
            raise TooManyReplies
        await self._evaluator.refuse_removed(account_id, asked.conversation_id)
        self._owners.running.add(asked.turn_id)
        new = NewEvent(event=asked)
        try:
            recorded = await self._log.append(
                account_id,
                stream_of(asked.turn_id),
                [new],
                expected=NO_STREAM,
                metadata=metadata,
                guard=guard,
            )
        except EventStoreError:
            self._owners.running.discard(asked.turn_id)
            raise
        task = asyncio.create_task(self._own(recorded[0], asked))
        self._running[asked.turn_id] = task
        task.add_done_callback(lambda _: self._running.pop(asked.turn_id))
        return recorded

    async def _own(self, first: RecordedEvent, asked: EvaluationRequested) -> None:
        structlog.contextvars.bind_contextvars(
            turn_id=asked.turn_id, conversation_id=asked.conversation_id
        )
        try:
            await self._end(first, asked)
        except Exception as error:
            log.warning("evaluation_ended_badly", kind=type(error).__name__, error=str(error))
        finally:
            self._owners.running.discard(asked.turn_id)

    async def _end(self, first: RecordedEvent, asked: EvaluationRequested) -> None:
        judged = await self._evaluator.judge(first.account_id, asked)
        try:
            for _ in range(_TRIES):
                guard = await self._guard(first.account_id, asked)
                judged = await self._evaluator.unless_removed(first.account_id, asked, judged)
                with suppress(GuardBroken):  # something came of the conversation: look again
                    await self._record(first, *judged, guard=guard)
                    return
        except AppendRefused as error:
            log.error("evaluation_refused", error=str(error))
        failure = Failure(code=INTERNAL_ERROR, detail="append refused")
        await self._record(first, unanswered(EvaluationFailed, asked, failure), None)

    async def _guard(self, account_id: int, asked: EvaluationRequested) -> Guard:
        """The guard of an evaluation: no text of the conversation was deleted since it was read."""
        dialogue = DialogueKey(account_id, asked.experience_id, asked.user_id)
        position = await retry_read(lambda: self._log.head(account_id))
        return Guard(position=position, streams=(dialogue.stream,))

    async def _record(
        self,
        first: RecordedEvent,
        event: EvaluationRecorded | EvaluationFailed,
        content: str | None,
        by: str = "model",
        guard: Guard | None = None,
    ) -> None:
        asked = first.event
        assert isinstance(asked, EvaluationRequested)
        metadata = Metadata(
            actor=Actor(None, by),
            request_id=first.metadata.request_id,
            causation_id=str(first.event_id),
            correlation_id=asked.turn_id,
        )
        with suppress(WrongExpectedRevision):  # somebody has closed it as abandoned
            await self._log.append(
                first.account_id,
                first.stream,
                [NewEvent(event=event, content=content, subject_id=asked.user_id)],
                expected=first.revision,
                metadata=metadata,
                guard=guard,
            )

    async def _end_in_log(self, first: RecordedEvent) -> RecordedEvent:
        """Waits for the end in the log; the sweeper ensures that there is one."""
        assert isinstance(first.event, EvaluationRequested)
        if task := self._running.get(first.event.turn_id):
            await asyncio.wait((task,))

        async def look() -> RecordedEvent | None:
            events = await self._log.read_stream(
                first.account_id, first.stream, after=first.revision
            )
            if not events and self._stopping:
                raise Stopping
            return events[0] if events else None

        return await self._notifier.until(first.account_id, look)


def _result(first: RecordedEvent, end: RecordedEvent) -> str:
    if isinstance(end.event, EvaluationFailed):
        raise TurnFailed(
            end.event.code,
            retryable=end.event.retryable,
            retry_after=end.event.retry_after,
            reference_id=first.metadata.request_id,
        )
    return end.content or "null"
