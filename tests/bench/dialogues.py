"""Conversations made directly in the log, for benchmarks to read."""

from uuid_utils.compat import uuid7

from eventstore.events import ConversationStarted, MessagePosted, OpeningRequested
from eventstore.log import EventLog
from eventstore.records import NewEvent
from tests.bench.appending import METADATA, RECORD, TEXT, message, reply


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
        events += [message(turn_id, conversation_id), reply(turn_id, conversation_id)]
    stream = f"dialogue-1-{user_id}"
    await log.append(1, stream, events, expected=0, metadata=METADATA)
