"""The model's part of a turn: the reply, the assessment of objectives, and the recorded end."""

import asyncio
from collections.abc import Coroutine

import msgspec
import structlog

from eventstore.database_errors import DATABASE_ERRORS
from eventstore.dialogue_events import TurnReleased
from service.dialogue.commands import (
    Assessed,
    FailTurn,
    Failure,
    RecordOpening,
    RecordReply,
    ReleaseTurn,
)
from service.dialogue.repository import DialogueRepository
from service.errors import Stopping, TurnIsOver, TurnTaken
from service.model.client import AttemptLog
from service.model.errors import ModelFailure
from service.timing import Timing
from service.turns.live import LiveTurn, Outcome
from service.turns.outcome import failure_of, find_end
from service.turns.turn_records import Ending, TurnRecords, stopped
from service.turns.tutor import StartedTurn, Tutor, broken, failed

log = structlog.get_logger("colloquy.turns")


class ModelReply:
    """Calls the model for a turn, and records the result.

    Args:
        dialogues: Where that is recorded.
        tutor: Asks the model.
        timing: Has the seconds that a reply waits for its assessment.

    `late` holds the tasks that record judgements after their turns have ended.
    """

    def __init__(self, dialogues: DialogueRepository, tutor: Tutor, timing: Timing) -> None:
        self._dialogues = dialogues
        self._timeout = timing.assessment
        self._records = TurnRecords(dialogues)
        self._tutor = tutor
        self.late: set[asyncio.Task[None]] = set()
        self._assessing: set[asyncio.Task[Assessed | Failure]] = set()

    def cancel_assessments(self) -> None:
        """Cancels all assessments; each is recorded as cancelled."""
        for assessing in self._assessing:
            assessing.cancel()

    async def outcome(self, live: LiveTurn, started: StartedTurn) -> Outcome:
        """The outcome of a turn. Errors are returned, since nobody may be waiting."""
        try:
            return await self._answer(live, started)
        except TurnIsOver:
            log.warning("turn_ended_by_others")
            return await self._ended_by_others(started)
        except TurnTaken as taken:
            log.warning("turn_taken_by_others")
            return taken
        except Exception as error:
            log.warning("turn_ended_badly", kind=type(error).__name__, error=str(error))
            return error

    async def _ended_by_others(self, started: StartedTurn) -> Outcome:
        try:
            end = await find_end(self._dialogues, started.asked)
        except DATABASE_ERRORS as error:
            return error
        return end.outcome if end else TurnIsOver()

    async def _answer(self, live: LiveTurn, started: StartedTurn) -> Outcome:
        attempt_log = self._tutor.attempt_log(live.add)
        # The reply is asked for first: of a model that may be tried once, it gets the trial.
        reply_task = asyncio.create_task(self._tutor.reply(started, attempt_log))
        assessing = self._assess(started)
        ending = await self._ending(live, started, reply_task, attempt_log)
        if assessing:
            ending = await _with_assessment(ending, assessing, self._timeout)
        try:
            executed = await self._records.end(live, started, ending)
        except Exception:
            if assessing:
                assessing.cancel()
            raise
        released = isinstance(ending, ReleaseTurn)
        if assessing and not released and getattr(ending, "assessment", None) is None:
            spawn(self.late, self._records.assessment(started, assessing))
        if isinstance(executed.event.event, TurnReleased):
            return Stopping()
        return failure_of(started.asked, executed.event) or executed.dialogue

    def _assess(self, started: StartedTurn) -> "asyncio.Task[Assessed | Failure] | None":
        assessing = self._tutor.assessing(started)
        if assessing:
            self._assessing.add(assessing)
            assessing.add_done_callback(self._assessing.discard)
        return assessing

    async def _ending(
        self,
        live: LiveTurn,
        started: StartedTurn,
        reply_task: "asyncio.Task[RecordOpening | RecordReply]",
        attempt_log: AttemptLog,
    ) -> Ending:
        turn_id = started.turn.id
        try:
            answer = await live.until_stopped(reply_task)
        except ModelFailure as failure:
            log.warning("reply_failed", code=failure.code, detail=failure.detail)
            return FailTurn(turn_id=turn_id, failure=failed(failure, attempt_log, live.text))
        except Exception as error:
            log.exception("model_broke")
            return FailTurn(turn_id=turn_id, failure=failed(broken(error), attempt_log, live.text))
        return answer or stopped(live, turn_id, attempt_log)


def spawn(tasks: set[asyncio.Task[None]], work: Coroutine[object, object, None]) -> None:
    """Runs a coroutine in a task that stays referenced until it is done."""
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def _with_assessment(
    ending: Ending, assessing: "asyncio.Task[Assessed | Failure]", seconds: float
) -> Ending:
    """The end of a turn with the assessment of its objectives, if that is done in time."""
    if isinstance(ending, RecordOpening):
        return ending
    if not isinstance(ending, RecordReply):
        assessing.cancel()
    await asyncio.wait((assessing,), timeout=seconds)
    if not assessing.done() or assessing.cancelled() or isinstance(ending, ReleaseTurn):
        return ending  # of a turn that goes on, the next owner records the assessment
    return msgspec.structs.replace(ending, assessment=assessing.result())
