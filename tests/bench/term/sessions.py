"""What a learner does in one sitting: opens a conversation, or goes on with it, and talks."""

from collections.abc import Generator
from datetime import timedelta

import msgspec

from eventstore.events import (
    AssessmentFailed,
    ConversationCompleted,
    ConversationStarted,
    CoveredObjective,
    FeedbackGiven,
    FeedbackWithdrawn,
    MessagePosted,
    ObjectivesAssessed,
    OpeningFailed,
    OpeningRequested,
    ReplyCancelled,
    ReplyCompleted,
    ReplyFailed,
    ReplyRecord,
)
from eventstore.records import Actor, Metadata
from service.commands import Failure
from service.model.errors import ABANDONED, CANCELLED, MODEL_INTERRUPTED, SERVICE_STOPPING
from service.model.prompts import AssessorPrompt, TutorPrompt, starting_prompt
from tests.bench.term.answers import Question
from tests.bench.term.endings import complete, delete, seconds, spent_so_far, unanswered
from tests.bench.term.evaluations import evaluate
from tests.bench.term.institution import Fact, Institution, Life, by_model
from tests.bench.term.people import Conversation, Dialogue, Experience, Learner, Vote

_DEADLINE = timedelta(seconds=105)
_TUTOR = TutorPrompt().version
_ASSESSOR = AssessorPrompt().version

Answered = Generator[float, None, bool]
"""Waits while the model is asked; whether the learner got an answer."""


def attend(house: Institution, learner: Learner, experience: Experience) -> Life:
    """A sitting, unless the learner is at something else or the experience is not there."""
    if learner.busy or learner.gone or not experience.published:
        return
    learner.busy += 1
    house.sessions += 1
    house.running += 1
    yield from _sit(house, learner.dialogue(experience))
    house.running -= 1
    learner.busy -= 1


def _sit(house: Institution, dialogue: Dialogue) -> Life:
    chance, diligence = house.chance, dialogue.learner.diligence
    if dialogue.active is None or chance.random() < 0.12:
        opened = False
        for _ in range(chance.choice((1, 2, 3, 4))):
            opened = yield from _open(house, dialogue)
            if opened:
                break
            yield chance.uniform(4, 60)
        if not opened:
            return
    conversation = dialogue.active
    assert conversation is not None
    while chance.random() < 1 - 0.22 / (0.4 + diligence):
        yield min(chance.lognormvariate(3.6, 0.8), 1_500)
        answered = yield from _exchange(house, conversation)
        if dialogue.active is not conversation or (not answered and chance.random() < 0.3):
            return
        if answered and chance.random() < 0.07:
            yield from _vote(house, conversation)
        if not conversation.open_objectives and chance.random() < 0.6:
            break
    if chance.random() < (0.05 if conversation.open_objectives else 0.25):
        yield chance.uniform(2, 30)
        delete(house, conversation, house.by_learner(dialogue.learner))
    if conversation.replies >= 2 and chance.random() < 0.12:
        house.begin(evaluate(house, conversation), chance.expovariate(1 / 40_000))


def _open(house: Institution, dialogue: Dialogue) -> Answered:
    experience, learner = dialogue.experience, dialogue.learner
    conversation = Conversation(next(house.conversations), dialogue, experience.scenario.objectives)
    if learner.doomed:
        dialogue.past.append(conversation)
    turn_id = house.new_id()
    asked = OpeningRequested(
        conversation_id=conversation.id,
        turn_id=turn_id,
        course_id=experience.course.id,
        experience_id=experience.id,
        experience_version=experience.version,
        user_id=learner.user_id,
        model=house.models.reply,
        owner=house.owner,
        deadline_at=house.moment + _DEADLINE,
        starting_message_id=house.new_id(),
    )
    metadata = house.by_learner(learner, turn_id)
    event_id = house.record(dialogue.stream, metadata, Fact(asked))
    answer = house.answers.ask(_question(house, conversation, 60))
    later = by_model(metadata, event_id)
    if house.chance.random() < 0.004:
        yield house.chance.uniform(0.5, 4)
        stopped = Failure(code=CANCELLED, detail="requested")
        later = msgspec.structs.replace(house.by_learner(learner), causation_id=event_id)
        _fail_opening(house, conversation, asked, stopped, later)
        return False
    if isinstance(answer, Failure):
        yield seconds(answer.spent.duration_ms)
        _fail_opening(house, conversation, asked, answer, later)
        return False
    yield seconds(answer.duration_ms)
    _start(house, conversation, asked, answer, later)
    return True


def _fail_opening(
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
    house.record(conversation.dialogue.stream, metadata, Fact(failed, partial, conversation))


def _start(
    house: Institution,
    conversation: Conversation,
    asked: OpeningRequested,
    reply: ReplyRecord,
    metadata: Metadata,
) -> None:
    dialogue = conversation.dialogue
    before, facts = dialogue.active, []
    if before is not None:
        over = ConversationCompleted(conversation_id=before.id, reason="superseded")
        facts.append(Fact(over))
    message_id = house.new_id()
    started = ConversationStarted(
        conversation_id=asked.conversation_id,
        turn_id=asked.turn_id,
        course_id=asked.course_id,
        experience_id=asked.experience_id,
        experience_version=asked.experience_version,
        user_id=asked.user_id,
        objectives=conversation.objectives,
        starting_prompt=starting_prompt(dialogue.experience.scenario),
        starting_message_id=asked.starting_message_id or "",
        message_id=message_id,
        reply=reply,
    )
    text = house.words.say(2)
    house.record(dialogue.stream, metadata, *facts, Fact(started, text, conversation))
    if before is not None:
        complete(house, before)
    conversation.last_reply = message_id
    conversation.tokens = 40 + len(text) // 4
    conversation.asked_at = house.now
    dialogue.active = conversation
    dialogue.experience.course.recent.append(conversation)


def _exchange(house: Institution, conversation: Conversation) -> Answered:
    """The learner says something, and the model answers or does not."""
    dialogue, chance = conversation.dialogue, house.chance
    turn_id, text = house.new_id(), house.words.say(1.6)
    posted = MessagePosted(
        conversation_id=conversation.id,
        turn_id=turn_id,
        message_id=house.new_id(),
        course_id=dialogue.experience.course.id,
        experience_id=dialogue.experience.id,
        user_id=dialogue.learner.user_id,
        model=house.models.reply,
        owner=house.owner,
        deadline_at=house.moment + _DEADLINE,
    )
    metadata = house.by_learner(dialogue.learner, turn_id)
    event_id = house.record(dialogue.stream, metadata, Fact(posted, text, conversation))
    conversation.tokens += len(text) // 4
    conversation.messages += 1
    answered = yield from _answer(
        house, conversation, posted, by_model(metadata, event_id), chance.random()
    )
    if not answered:  # what was said is taken back
        conversation.tokens -= len(text) // 4
        conversation.messages -= 1
    return answered


def _answer(
    house: Institution,
    conversation: Conversation,
    posted: MessagePosted,
    metadata: Metadata,
    fate: float,
) -> Answered:
    stream, learner = conversation.dialogue.stream, conversation.dialogue.learner
    if fate < 0.003:
        yield house.chance.uniform(106, 600)
        system = Metadata(actor=Actor(None, "system"), correlation_id=posted.turn_id)
        house.record(stream, system, _failed(posted, Failure(code=ABANDONED), conversation))
        return False
    answer = house.answers.ask(_question(house, conversation, 95))
    if fate < 0.02:
        yield house.chance.uniform(0.4, 5)
        _stop(house, conversation, posted, answer, deletes=fate < 0.006)
        return False
    if fate < 0.0215:
        yield house.chance.uniform(1, 20)
        stopping = Failure(code=SERVICE_STOPPING, spent=spent_so_far(answer))
        house.record(stream, metadata, _failed(posted, stopping, conversation))
        return False
    judged = _judge(house, conversation, posted, answer)
    if isinstance(answer, Failure):
        yield seconds(answer.spent.duration_ms)
        partial = house.words.say(1) if answer.code == MODEL_INTERRUPTED else None
        house.record(stream, metadata, *judged, _failed(posted, answer, conversation, partial))
        return False
    yield seconds(answer.duration_ms)
    late = house.chance.random() < 0.04
    text = house.words.say(2.4)
    message_id = house.new_id()
    completed = ReplyCompleted(
        conversation_id=conversation.id,
        turn_id=posted.turn_id,
        message_id=message_id,
        reply=answer,
    )
    facts = () if late else judged
    house.record(stream, metadata, *facts, Fact(completed, text, conversation))
    conversation.tokens += answer.usage.output_tokens
    conversation.messages += 1
    conversation.replies += 1
    conversation.last_reply = message_id
    conversation.asked_at = house.now
    if late and judged:
        yield house.chance.uniform(1, 6)
        house.record(stream, metadata, *judged)
    return not learner.gone


def _stop(
    house: Institution,
    conversation: Conversation,
    posted: MessagePosted,
    answer: ReplyRecord | Failure,
    deletes: bool,
) -> None:
    """The learner does not want to wait, or deletes the conversation meanwhile."""
    metadata = house.by_learner(conversation.dialogue.learner)
    cancelled = ReplyCancelled(
        conversation_id=conversation.id,
        turn_id=posted.turn_id,
        reason="conversation_completed" if deletes else "requested",
        **msgspec.structs.asdict(spent_so_far(answer)),
    )
    partial = house.words.say(1) if house.chance.random() < 0.7 else None
    house.record(conversation.dialogue.stream, metadata, Fact(cancelled, partial, conversation))
    if deletes:
        delete(house, conversation, metadata)


def _judge(
    house: Institution,
    conversation: Conversation,
    posted: MessagePosted,
    answer: ReplyRecord | Failure,
) -> list[Fact]:
    """What becomes of judging the objectives beside a reply; nothing where all are covered."""
    if not conversation.open_objectives:
        return []
    judged = house.answers.ask(_question(house, conversation, 35, judges=True))
    if isinstance(judged, ReplyRecord) and house.answers.judgement_fails():
        judged = house.answers.unusable(judged)
    if isinstance(judged, Failure):
        failed = AssessmentFailed(
            conversation_id=conversation.id, turn_id=posted.turn_id, **unanswered(judged)
        )
        return [Fact(failed)]
    likely = 0.09 + 0.09 * min(conversation.dialogue.learner.diligence, 2.5)
    shown = [n for n in conversation.open_objectives if house.chance.random() < likely]
    counts = shown if isinstance(answer, ReplyRecord) else []
    conversation.covered.update(counts)
    assessed = ObjectivesAssessed(
        conversation_id=conversation.id,
        turn_id=posted.turn_id,
        covered=tuple(CoveredObjective(n, posted.message_id) for n in counts),
        judgement=judged,
    )
    return [Fact(assessed)]


def _vote(house: Institution, conversation: Conversation) -> Life:
    """A vote on what the model said last; some think again."""
    learner, chance = conversation.dialogue.learner, house.chance
    message_id = conversation.last_reply
    for _ in range(chance.choices((1, 2, 3), (85, 12, 3))[0]):
        yield chance.uniform(2, 20)
        vote: Vote = "liked" if chance.random() < 0.78 else "disliked"
        given = FeedbackGiven(
            conversation_id=conversation.id,
            feedback_id=house.new_id(),
            message_id=message_id,
            user_id=learner.user_id,
            vote=vote,
        )
        words = house.words.say(1) if chance.random() < 0.3 else None
        stream = conversation.dialogue.stream
        house.record(stream, house.by_learner(learner), Fact(given, words, conversation))
    if chance.random() < 0.1:
        yield chance.uniform(2, 60)
        withdrawn = FeedbackWithdrawn(
            conversation_id=conversation.id,
            feedback_id=given.feedback_id,
            message_id=message_id,
            user_id=learner.user_id,
        )
        house.record(stream, house.by_learner(learner), Fact(withdrawn))


def _question(
    house: Institution, conversation: Conversation, answer: float, judges: bool = False
) -> Question:
    models = house.models
    return Question(
        at=house.now,
        models=(models.judge,) if judges else models.first_and_fallback,
        prompt=_ASSESSOR if judges else _TUTOR,
        tokens=conversation.tokens,
        since=house.now - conversation.asked_at if conversation.asked_at else None,
        answer=answer,
        max_tokens=1024,
        messages=max(1, conversation.messages if conversation.asked_at else 1),
    )


def _failed(
    posted: MessagePosted,
    failure: Failure,
    conversation: Conversation,
    partial: str | None = None,
) -> Fact:
    failed = ReplyFailed(
        conversation_id=posted.conversation_id, turn_id=posted.turn_id, **unanswered(failure)
    )
    return Fact(failed, partial, conversation)
