"""Turns: from the recorded question to the recorded end.

A turn belongs to a task of this process, not to the request that began it: a client that goes
away does not stop it. No database connection is held while the model talks.
"""

import asyncio
from uuid import UUID

import msgspec
import structlog
from uuid_utils import uuid7

from eventstore.errors import AppendRefused
from eventstore.events import OpeningRequested, ReplyRecord
from eventstore.records import Actor, Metadata
from service.commands import (
    Command,
    FailTurn,
    Failure,
    OpenConversation,
    PostMessage,
    RecordOpening,
    RecordReply,
)
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
    turn: Turn
    dialogue: Dialogue
    asked_by: UUID
    metadata: Metadata


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
        self._stopping = False
        self._running: set[asyncio.Task[Dialogue | Exception]] = set()
        self._asking: dict[str, asyncio.Task[tuple[Experience, Reply]]] = {}

    async def take(
        self, key: DialogueKey, command: OpenConversation | PostMessage, metadata: Metadata
    ) -> Dialogue:
        """Records the question, lets the model speak, and waits for the recorded end.

        Once the question is recorded, the turn goes on even if the caller does not.

        Raises:
            ServiceError: The question was refused, the model gave no reply (TurnFailed; that is
                recorded), or somebody ended the turn meanwhile (TurnIsOver).
            EventStoreError: The question or the end could not be recorded; whoever touches the
                dialogue next closes the turn.
        """
        task = asyncio.create_task(self._own(key, command, metadata), name=command.turn_id)
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
        self._stopping = True
        for asking in self._asking.values():
            asking.cancel()
        if late:
            await asyncio.wait(late, timeout=_LAST_WORDS)

    async def _own(
        self, key: DialogueKey, command: OpenConversation | PostMessage, metadata: Metadata
    ) -> Dialogue | Exception:
        """Nobody may be waiting for the outcome, so an error is returned, not raised."""
        structlog.contextvars.bind_contextvars(
            turn_id=command.turn_id, conversation_id=command.conversation_id
        )
        try:
            executed = await self._dialogues.execute(key, command, metadata)
            turn = executed.dialogue.turn
            assert turn is not None, "a question begins a turn"
            return await self._end(
                Started(key, turn, executed.dialogue, executed.event_id, metadata)
            )
        except Exception as error:
            if not isinstance(error, ServiceError):
                log.warning("turn_ended_badly", kind=type(error).__name__, error=str(error))
            return error
        finally:
            self._dialogues.running.discard(command.turn_id)

    async def _end(self, started: Started) -> Dialogue:
        try:
            experience, reply = await self._ask(started)
            return await self._record(started, self._answer(started.turn, experience, reply))
        except ModelFailure as error:
            failure = error
        except AppendRefused as error:
            # The database cannot store what the model said; so nothing of it is recorded.
            log.error("reply_refused", error=str(error))
            failure = ModelFailure(INTERNAL_ERROR, retryable=True, detail="append refused")
        log.warning("reply_failed", code=failure.code, detail=failure.detail)
        await self._record(started, FailTurn(turn_id=started.turn.id, failure=_why(failure)))
        raise TurnFailed(failure.code, failure.retryable, failure.retry_after)

    async def _ask(self, started: Started) -> tuple[Experience, Reply]:
        """Lets the model speak, in a task of its own that `drain` can end."""
        if self._stopping:
            raise ModelFailure(SERVICE_STOPPING, retryable=True, detail="")
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
            raise ModelFailure(
                INTERNAL_ERROR, retryable=True, detail=type(error).__name__
            ) from error
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
                text=_storable(reply.text),
                reply=record,
            )
        return RecordReply(
            turn_id=turn.id, message_id=str(uuid7()), text=_storable(reply.text), reply=record
        )

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
        partial_text=_storable(error.partial_text),
        model=error.model,
        usage=error.usage,
        provider_request_id=error.provider_request_id,
        duration_ms=error.duration_ms,
    )


def _storable(text: str) -> str:
    """The text with what PostgreSQL cannot hold, NUL and lone surrogates, marked as replaced."""
    return (
        text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )
