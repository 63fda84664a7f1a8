"""Learners ask for a conversation, and the model opens it or does not."""

from collections.abc import Generator
from datetime import timedelta

import msgspec

from eventstore.dialogue_events import (
    ConversationCompleted,
    ConversationStarted,
    OpeningFailed,
    OpeningRequested,
)
from eventstore.envelope import Metadata
from eventstore.reply_records import ReplyRecord
from service.dialogue.commands import Failure
from service.model.errors import CANCELLED, MODEL_INTERRUPTED
from service.model.prompt_templates import AssessorPrompt, TutorPrompt, starting_prompt
from tests.bench.term.answers import Question
from tests.bench.term.endings import complete, seconds, unanswered
from tests.bench.term.institution import Institution, PendingEvent, by_model
from tests.bench.term.people import Conversation, Dialogue

DEADLINE = timedelta(seconds=105)
_TUTOR = TutorPrompt().version
_ASSESSOR = AssessorPrompt().version

Answered = Generator[float, None, bool]
"""Waits while the model is asked; whether the learner got an answer."""


def open_conversation(house: Institution, dialogue: Dialogue) -> Answered:
    """Asks the model to open one; the one that was active is over when it does."""
    learner, chance = dialogue.learner, house.chance
    objectives = dialogue.experience.scenario.objectives
    conversation = Conversation(next(house.conversations), dialogue, objectives)
    if learner.doomed:
        dialogue.past.append(conversation)
    asked = _asked(house, conversation)
    metadata = house.by_learner(learner, asked.turn_id)
    event_id = house.record(dialogue.stream, metadata, PendingEvent(asked))
    answer = house.answers.ask(question(house, conversation, 60))
    later = by_model(metadata, event_id)
    if chance.random() < 0.004:
        yield chance.uniform(0.5, 4)
        answer = Failure(code=CANCELLED, detail="requested")
        later = msgspec.structs.replace(house.by_learner(learner), causation_id=event_id)
    elif isinstance(answer, Failure):
        yield seconds(answer.spent.duration_ms)
    else:
        yield seconds(answer.duration_ms)
    if isinstance(answer, Failure):
        _fail(house, conversation, asked, answer, later)
        return False
    _start(house, conversation, asked, answer, later)
    return True


def question(
    house: Institution, conversation: Conversation, answer: float, judges: bool = False
) -> Question:
    """What a model is asked about a conversation; `answer` in tokens, as it usually has."""
    models, spoken = house.models, conversation.last_reply != ""
    return Question(
        at=house.now,
        models=(models.judge,) if judges else models.first_and_fallback,
        prompt=_ASSESSOR if judges else _TUTOR,
        tokens=conversation.tokens,
        since=house.now - conversation.asked_at if spoken else None,
        answer=answer,
        max_tokens=1024,
        messages=conversation.messages if spoken else 1,
    )


def _asked(house: Institution, conversation: Conversation) -> OpeningRequested:
    dialogue = conversation.dialogue
    return OpeningRequested(
        conversation_id=conversation.id,
        turn_id=house.new_id(),
        course_id=dialogue.experience.course.id,
        experience_id=dialogue.experience.id,
        experience_version=dialogue.experience.version,
        user_id=dialogue.learner.user_id,
        model=house.models.reply,
        owner=house.owner,
        deadline_at=house.moment + DEADLINE,
        starting_message_id=house.new_id(),
    )


def _fail(
    house: Institution,
    conversation: Conversation,
    asked: OpeningRequested,
    failure: Failure,
    metadata: Metadata,
) -> None:
    failed = OpeningFailed(
        conversation_id=asked.conversation_id, turn_id=asked.turn_id, **unanswered(failure)
    )
    partial = house.words.say(1) if failure.code == MODEL_INTERRUPTED else None
    house.record(
        conversation.dialogue.stream, metadata, PendingEvent(failed, partial, conversation)
    )


def _start(
    house: Institution,
    conversation: Conversation,
    asked: OpeningRequested,
    reply: ReplyRecord,
    metadata: Metadata,
) -> None:
    dialogue, text = conversation.dialogue, house.words.say(2)
    started = _started(house, conversation, asked, reply)
    facts = [PendingEvent(started, text, conversation)]
    if before := dialogue.active:
        over = ConversationCompleted(conversation_id=before.id, reason="superseded")
        facts.insert(0, PendingEvent(over))
        complete(house, before)
    house.record(dialogue.stream, metadata, *facts)
    conversation.last_reply = started.message_id
    conversation.tokens = 40 + len(text) // 4
    conversation.asked_at = house.now
    dialogue.active = conversation
    dialogue.experience.course.recent.append(conversation)


def _started(
    house: Institution, conversation: Conversation, asked: OpeningRequested, reply: ReplyRecord
) -> ConversationStarted:
    return ConversationStarted(
        conversation_id=asked.conversation_id,
        turn_id=asked.turn_id,
        course_id=asked.course_id,
        experience_id=asked.experience_id,
        experience_version=asked.experience_version,
        user_id=asked.user_id,
        objectives=conversation.objectives,
        starting_prompt=starting_prompt(conversation.dialogue.experience.scenario),
        starting_message_id=asked.starting_message_id or "",
        message_id=house.new_id(),
        reply=reply,
    )
