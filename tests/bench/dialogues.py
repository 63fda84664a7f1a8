"""Conversations made directly in the log, for benchmarks to read."""

import asyncio
from datetime import UTC, datetime, timedelta

from uuid_utils.compat import uuid7

from eventstore.connections import connect
from eventstore.dialogue_events import (
    ConversationStarted,
    MessagePosted,
    OpeningRequested,
    ReplyCompleted,
)
from eventstore.envelope import Actor, Metadata, NewEvent
from eventstore.log import EventLog
from eventstore.reply_records import PromptVersion, ReplyRecord, Usage
from eventstore.running_log import running_log

EXCHANGES = 9
TEXT = "The near side is pulled more strongly than the far side, so the water is drawn out. " * 3
METADATA = Metadata(actor=Actor(101, "learner"), token_id=1, request_id=str(uuid7()))

_TOGETHER = 64


async def start_dialogue(
    log: EventLog,
    *,
    conversation_id: int,
    user_id: int,
    exchanges: int,
    objectives: tuple[str, ...] = ("Explain the tides", "Predict them"),
) -> None:
    """Starts a conversation with experience 1 and holds it for some exchanges."""
    turn_id = str(uuid7())
    asked = message(turn_id).event
    assert isinstance(asked, MessagePosted)
    opening = OpeningRequested(
        conversation_id=conversation_id,
        turn_id=turn_id,
        course_id=1,
        experience_id=1,
        experience_version=1,
        user_id=user_id,
        model="claude-haiku-5-5",
        owner=1,
        deadline_at=asked.deadline_at,
    )
    started = ConversationStarted(
        conversation_id=conversation_id,
        turn_id=turn_id,
        course_id=1,
        experience_id=1,
        experience_version=1,
        user_id=user_id,
        objectives=objectives,
        starting_prompt="Let us begin.",
        starting_message_id=str(uuid7()),
        message_id=str(uuid7()),
        reply=RECORD,
    )
    events = [
        NewEvent(event=opening),
        NewEvent(event=started, content=TEXT, subject_id=user_id),
    ]
    for _ in range(exchanges):
        turn_id = str(uuid7())
        events += [
            message(turn_id, conversation_id, user_id),
            reply(turn_id, conversation_id, user_id),
        ]
    stream = f"dialogue-1-{user_id}"
    await log.append(1, stream, events, expected=0, metadata=METADATA)


def message(turn_id: str, conversation_id: int = 1, user_id: int = 101) -> NewEvent:
    """A learner's message, as a new event."""
    posted = MessagePosted(
        conversation_id=conversation_id,
        turn_id=turn_id,
        message_id=str(uuid7()),
        course_id=1,
        experience_id=1,
        user_id=user_id,
        model="claude-haiku-5-5",
        owner=1,
        deadline_at=datetime.now(UTC) + timedelta(minutes=1),
    )
    return NewEvent(event=posted, content=TEXT, subject_id=user_id)


def reply(turn_id: str, conversation_id: int = 1, user_id: int = 101) -> NewEvent:
    """The model's reply, as a new event."""
    completed = ReplyCompleted(
        conversation_id=conversation_id,
        turn_id=turn_id,
        message_id=str(uuid7()),
        reply=RECORD,
    )
    return NewEvent(event=completed, content=TEXT, subject_id=user_id)


RECORD = ReplyRecord(
    model_requested="claude-haiku-5-5",
    model="claude-haiku-5-5",
    max_tokens=1024,
    prompt=PromptVersion("socratic_tutor.v1", "0" * 64),
    stop_reason="end_turn",
    usage=Usage(1200, 60, 0, 1100),
    provider_request_id="req_0123456789",
    first_token_ms=400,
    duration_ms=1300,
)


async def fill(url: str, dialogues: int) -> None:
    """Appends this many dialogues of `EXCHANGES` exchanges, and collects statistics."""
    async with running_log(url) as (log, _, _):
        limit = asyncio.Semaphore(_TOGETHER)

        async def one(number: int) -> None:
            async with limit:
                await start_dialogue(
                    log, conversation_id=number, user_id=number, exchanges=EXCHANGES
                )

        async with asyncio.TaskGroup() as group:
            for number in range(1, dialogues + 1):
                group.create_task(one(number))
    connection = await connect(url)
    await connection.execute("VACUUM ANALYZE", timeout=600)
    await connection.execute("CHECKPOINT", timeout=600)
    await connection.close()
