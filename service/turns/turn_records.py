"""Appends the ends of turns, and late assessments of objectives."""

import asyncio

import msgspec
import structlog
from uuid_utils import uuid7

from eventstore.envelope import Actor
from eventstore.errors import AppendRefused, EventStoreError, GuardBroken
from service.dialogue.commands import (
    Assessed,
    CancelTurn,
    Command,
    FailTurn,
    Failure,
    RecordAssessment,
    RecordOpening,
    RecordReply,
    ReleaseTurn,
)
from service.dialogue.repository import DialogueRepository, Executed
from service.errors import AlreadyAsked, ServiceError
from service.model.client import AttemptLog
from service.model.errors import CANCELLED, INTERNAL_ERROR
from service.turns.live import LiveTurn, Stop, without_key
from service.turns.tutor import StartedTurn, spent

log = structlog.get_logger("colloquy.turns")

Ending = RecordOpening | RecordReply | FailTurn | CancelTurn | ReleaseTurn


class TurnRecords:
    """Appends the end of a turn to its dialogue.

    Args:
        dialogues: Where ends are recorded.
    """

    def __init__(self, dialogues: DialogueRepository) -> None:
        self._dialogues = dialogues

    async def end(self, live: LiveTurn, started: StartedTurn, ending: Ending) -> Executed:
        """Records the end of a turn; as a bare failure if its result cannot be stored.

        Raises:
            TurnIsOver: Another process has ended the turn.
            TurnTaken: Another process has taken it over.
            EventStoreError: The end could not be recorded.
        """
        if not isinstance(ending, CancelTurn):
            ending = msgspec.structs.replace(ending, owner=started.turn.owner)
        try:
            return await self._record(started, ending, live.stop)
        except AlreadyAsked:
            # The stop's key is in the log: another process ended the turn with it, which shows
            # now, or another request had the same key.
            return await self._record(started, ending, without_key(live.stop))
        except GuardBroken as error:
            # The caller of the stop has lost the permission. The turn ends, but not in their name.
            log.warning("stop_refused", changed=error.changed)
            return await self._record(started, _failed(started, CANCELLED, "the stop was refused"))
        except AppendRefused as error:
            # A result that cannot be stored must not leave the turn without an end.
            log.error("reply_refused", error=str(error))
            return await self._record(started, _failed(started, INTERNAL_ERROR, "append refused"))

    async def assessment(
        self, started: StartedTurn, assessing: "asyncio.Task[Assessed | Failure]"
    ) -> None:
        """Records an assessment that was not done when the turn ended."""
        await asyncio.wait((assessing,))
        if assessing.cancelled():  # before it had begun
            return
        assessment = assessing.result()
        command = RecordAssessment(
            conversation_id=started.turn.request.conversation_id,
            turn_id=started.turn.id,
            assessment=assessment,
        )
        try:
            await self._record(started, command)
        except (ServiceError, EventStoreError) as error:
            log.warning("assessment_not_recorded", kind=type(error).__name__, error=str(error))

    async def _record(
        self, started: StartedTurn, command: Command, stop: Stop | None = None
    ) -> Executed:
        by_person = isinstance(command, CancelTurn) and stop and stop.metadata
        metadata = msgspec.structs.replace(
            by_person or started.asked.metadata, causation_id=str(started.asked.event_id)
        )
        if not by_person:
            metadata = msgspec.structs.replace(
                metadata,
                actor=Actor(None, "model"),
                token_id=None,
                real_user_id=None,
                idempotency_key=None,
            )
        return await self._dialogues.execute(
            *(started.key, command, metadata),
            known=started.dialogue,
            guard=stop.guard if by_person and stop else None,
        )


def stopped(live: LiveTurn, turn_id: str, attempt_log: AttemptLog) -> ReleaseTurn | CancelTurn:
    """How a turn that was stopped goes on, with the text that had arrived."""
    assert live.stop is not None, "only a stop ends the asking without an answer"
    if live.stop.reason == "service_stopping":
        return ReleaseTurn(turn_id=turn_id, partial_text=live.text, spent=spent(attempt_log))
    return CancelTurn(
        turn_id=turn_id,
        reason=live.stop.reason,
        partial_text=live.text,
        partial_message_id=str(uuid7()),
        spent=spent(attempt_log),
    )


def _failed(started: StartedTurn, code: str, detail: str) -> FailTurn:
    failure = Failure(code=code, detail=detail)
    return FailTurn(turn_id=started.turn.id, failure=failure, owner=started.turn.owner)
