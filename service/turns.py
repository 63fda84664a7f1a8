"""Turns: from the recorded question to the recorded end.

A turn belongs to a task of this process, not to the request that began it: a client that goes
away does not stop it. No database connection is held while the model talks.
"""

import asyncio
from uuid import UUID

import msgspec
import structlog
from uuid_utils import uuid7

from eventstore.errors import EventStoreError
from eventstore.events import OpeningRequested, ReplyRecord
from eventstore.records import Actor, Metadata
from service.commands import Command, FailTurn, Failure, RecordOpening, RecordReply
from service.conversation import Dialogue, Turn
from service.dialogues import DialogueKey, Dialogues
from service.errors import ServiceError, TurnFailed
from service.experiences import Experience, Experiences
from service.model.errors import INTERNAL_ERROR, SERVICE_STOPPING, ModelFailure
from service.model.interface import ChatMessage, Model, Reply, ReplyRequest
from service.model.prompts import starting_prompt

_LAST_WORDS = 35.0
"""Seconds that recording the end of a turn may take, a restart of the database included."""

log = structlog.get_logger("colloquy.turns")


class TurnLimits(msgspec.Struct, frozen=True):
    """How long (seconds, all in all) and how much (tokens) the model may speak."""

    budget: float
    max_tokens: int


class Started(msgspec.Struct, frozen=True):
    """A turn whose question is on disk: the dialogue then, and who asked."""

    key: DialogueKey
    dialogue: Dialogue
    asked_by: UUID
    metadata: Metadata

    @property
    def turn(self) -> Turn:
        """The turn under way."""
        assert self.dialogue.turn is not None
        return self.dialogue.turn


class Turns:
    """The turns that this process owns.

    Args:
        dialogues: Where the ends are recorded.
        experiences: Gives the model its scenario.
        model: Answers.
        limits: Bounds of one reply.
    """

    def __init__(
        self, dialogues: Dialogues, experiences: Experiences, model: Model, limits: TurnLimits
    ) -> None:
        self._dialogues = dialogues
        self._experiences = experiences
        self._model = model
        self._limits = limits
        self._running: set[asyncio.Task[Dialogue | Exception]] = set()
        self._asking: dict[str, asyncio.Task[tuple[Experience, Reply]]] = {}

    async def run(self, started: Started) -> Dialogue:
        """Lets the model speak and waits for the end; the turn goes on if the caller does not.

        Raises:
            TurnFailed: The model gave no reply; the failure is recorded.
            TurnIsOver: Somebody ended the turn meanwhile.
            EventStoreError: The end could not be recorded; the sweeper will close the turn.
        """
        task = asyncio.create_task(self._own(started), name=f"turn {started.turn.id}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        outcome = await asyncio.shield(task)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def drain(self, patience: float) -> None:
        """Waits `patience` seconds for the running turns, then ends and records the others."""
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=patience)
        for asking in self._asking.values():
            asking.cancel()
        if late:
            await asyncio.wait(late, timeout=_LAST_WORDS)

    async def _own(self, started: Started) -> Dialogue | Exception:
        """Nobody may be waiting for the outcome, so an error is returned, not raised."""
        with structlog.contextvars.bound_contextvars(
            request_id=started.metadata.request_id,
            conversation_id=started.turn.request.conversation_id,
            turn_id=started.turn.id,
        ):
            try:
                return await self._end(started)
            except TurnFailed as error:
                return error
            except (ServiceError, EventStoreError) as error:
                log.warning("turn_ended_badly", error=repr(error))
                return error
            except Exception as error:
                log.exception("turn_broke")
                return error

    async def _end(self, started: Started) -> Dialogue:
        try:
            experience, reply = await self._ask(started)
        except ModelFailure as error:
            log.warning("reply_failed", code=error.code, detail=error.detail)
            await self._record(started, FailTurn(turn_id=started.turn.id, failure=_why(error)))
            raise TurnFailed(error.code, error.retryable) from error
        return await self._record(started, self._answer(started.turn, experience, reply))

    async def _ask(self, started: Started) -> tuple[Experience, Reply]:
        """Lets the model speak, in a task of its own that `drain` can end."""
        turn_id = started.turn.id
        asking = self._asking[turn_id] = asyncio.create_task(self._reply(started))
        try:
            return await asking
        except asyncio.CancelledError:
            raise ModelFailure(SERVICE_STOPPING, retryable=True, detail="") from None
        except ModelFailure:
            raise
        except Exception as error:
            log.exception("model_broke")
            raise ModelFailure(INTERNAL_ERROR, retryable=True, detail=repr(error)) from error
        finally:
            del self._asking[turn_id]

    async def _reply(self, started: Started) -> tuple[Experience, Reply]:
        experience = await self._experience(started)
        request = ReplyRequest(
            model=self._model.name,
            scenario=experience.scenario,
            messages=_messages(started, experience),
            max_tokens=self._limits.max_tokens,
            budget=self._limits.budget,
        )
        return experience, await self._model.reply(request)

    async def _experience(self, started: Started) -> Experience:
        active, asked = started.dialogue.active, started.turn.request
        if isinstance(asked, OpeningRequested):
            version = asked.experience_version
        else:
            assert active is not None, "only an active conversation takes messages"
            version = active.experience_version
        return await self._experiences.at_version(
            started.key.account_id, asked.experience_id, version
        )

    def _answer(self, turn: Turn, experience: Experience, reply: Reply) -> Command:
        record = ReplyRecord(
            model_requested=self._model.name,
            model=reply.model,
            max_tokens=self._limits.max_tokens,
            prompt=self._model.prompt,
            stop_reason=reply.stop_reason,
            usage=reply.usage,
            provider_request_id=reply.provider_request_id,
            first_token_ms=reply.first_token_ms,
            duration_ms=reply.duration_ms,
        )
        if isinstance(turn.request, OpeningRequested):
            return RecordOpening(
                turn_id=turn.id,
                objectives=experience.scenario.objectives,
                starting_prompt=starting_prompt(experience.scenario),
                starting_message_id=str(uuid7()),
                message_id=str(uuid7()),
                text=reply.text,
                reply=record,
            )
        return RecordReply(turn_id=turn.id, message_id=str(uuid7()), text=reply.text, reply=record)

    async def _record(self, started: Started, command: Command) -> Dialogue:
        metadata = msgspec.structs.replace(
            started.metadata,
            actor=Actor(None, "model"),
            token_id=None,
            causation_id=str(started.asked_by),
        )
        executed = await self._dialogues.execute(
            started.key, command, metadata, known=started.dialogue
        )
        return executed.dialogue


def _messages(started: Started, experience: Experience) -> tuple[ChatMessage, ...]:
    """What the model reads: the learner's view, which never has two questions in a row."""
    active = started.dialogue.active
    if active is None or isinstance(started.turn.request, OpeningRequested):
        return (ChatMessage("user", starting_prompt(experience.scenario)),)
    return tuple(
        ChatMessage("user" if message.role == "User" else "assistant", message.text or "…")
        for message in active.messages
    )


def _why(error: ModelFailure) -> Failure:
    return Failure(
        code=error.code,
        detail=error.detail,
        partial_text=error.partial_text,
        provider_request_id=error.provider_request_id,
        duration_ms=error.duration_ms,
    )
