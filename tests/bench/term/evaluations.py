"""Teachers who look at conversations: evaluations, votes, and that they read at all."""

from datetime import timedelta

import msgspec

from eventstore.dialogue_events import FeedbackGiven
from eventstore.evaluation_events import EvaluationFailed, EvaluationRecorded, EvaluationRequested
from eventstore.privacy_events import HistoryRead, stream_of_reads
from eventstore.reply_records import ReplyRecord
from service.dialogue.commands import Failure
from service.model.prompt_templates import EvaluatorPrompt
from tests.bench.term.answers import Question
from tests.bench.term.endings import seconds, unanswered
from tests.bench.term.institution import Institution, Life, PendingEvent, by_model
from tests.bench.term.people import Conversation, Course

_EVALUATOR = EvaluatorPrompt().version
_TEXT = (
    '{"summary":"%s","overall_assessment":"%s","overall_score":%d,'
    '"learning_objectives_evaluation":[],"strengths":[],"areas_for_improvement":[],'
    '"key_moments":[]}'
)


def evaluate(house: Institution, conversation: Conversation) -> Life:
    """A teacher has a conversation evaluated, and reads the evaluation."""
    learner = conversation.dialogue.learner
    if learner.gone or conversation.expired:
        return
    learner.busy += 1
    asked = _asked(house, conversation)
    stream = f"evaluation-{asked.turn_id}"
    metadata = house.by_teacher(conversation.dialogue.experience.course, asked.turn_id)
    event_id = house.record(stream, metadata, PendingEvent(asked))
    answer = house.answers.ask(_question(house, conversation))
    if isinstance(answer, ReplyRecord) and house.answers.judgement_fails():
        answer = house.answers.unusable(answer)
    took = answer.spent.duration_ms if isinstance(answer, Failure) else answer.duration_ms
    yield seconds(took)
    house.record(stream, by_model(metadata, event_id), _end(house, conversation, asked, answer))
    if isinstance(answer, ReplyRecord):
        read(house, conversation, "evaluation")
    house.forget_stream(stream)
    learner.busy -= 1


def look_in(house: Institution, course: Course) -> Life:
    """A teacher reads some of what was said lately, week after week; and sometimes votes."""
    while True:
        yield house.chance.expovariate(1 / 200_000)
        for conversation in list(course.recent)[-house.chance.randrange(1, 5) :]:
            yield house.chance.uniform(20, 300)
            if conversation.dialogue.learner.gone or conversation.expired:
                continue
            read(house, conversation, "conversation")
            if house.chance.random() < 0.15:
                _vote(house, conversation)


def read(house: Institution, conversation: Conversation, what: str) -> None:
    """Records that the course's teacher reads a conversation."""
    learner, course = conversation.dialogue.learner, conversation.dialogue.experience.course
    hour = f"{house.moment:%Y-%m-%dT%H}"
    key = f"read {what} {learner.user_id} {conversation.id} None {hour}"
    if key in course.reads:  # the service, too, records it once an hour
        return
    course.reads = {known for known in course.reads if known.endswith(hour)} | {key}
    seen = HistoryRead(what=what, learner_id=learner.user_id, conversation_id=conversation.id)
    metadata = msgspec.structs.replace(house.by_teacher(course), idempotency_key=key)
    house.record(stream_of_reads(learner.user_id), metadata, PendingEvent(seen))


def _vote(house: Institution, conversation: Conversation) -> None:
    given = FeedbackGiven(
        conversation_id=conversation.id,
        feedback_id=house.new_id(),
        message_id=conversation.last_reply,
        user_id=conversation.dialogue.experience.course.teacher,
        vote="liked" if house.chance.random() < 0.6 else "disliked",
    )
    metadata = house.by_teacher(conversation.dialogue.experience.course)
    house.record(conversation.dialogue.stream, metadata, PendingEvent(given, None, conversation))


def _end(
    house: Institution,
    conversation: Conversation,
    asked: EvaluationRequested,
    answer: ReplyRecord | Failure,
) -> PendingEvent:
    if isinstance(answer, Failure):
        failed = EvaluationFailed(
            conversation_id=conversation.id, turn_id=asked.turn_id, **unanswered(answer)
        )
        return PendingEvent(failed)
    done = EvaluationRecorded(
        conversation_id=conversation.id,
        turn_id=asked.turn_id,
        experience_version=asked.experience_version,
        judgement=answer,
    )
    text = _TEXT % (house.words.say(2), house.words.say(3), house.chance.randrange(101))
    return PendingEvent(done, text, conversation)


def _asked(house: Institution, conversation: Conversation) -> EvaluationRequested:
    dialogue = conversation.dialogue
    return EvaluationRequested(
        conversation_id=conversation.id,
        turn_id=house.new_id(),
        course_id=dialogue.experience.course.id,
        experience_id=dialogue.experience.id,
        experience_version=dialogue.experience.version,
        user_id=dialogue.learner.user_id,
        model=house.models.reply,
        owner=house.owner,
        deadline_at=house.moment + timedelta(seconds=105),
    )


def _question(house: Institution, conversation: Conversation) -> Question:
    return Question(
        at=house.now,
        models=house.models.first_and_fallback,
        prompt=_EVALUATOR,
        tokens=conversation.tokens,
        since=None,
        answer=900,
        max_tokens=8_192,
        messages=conversation.messages,
    )
