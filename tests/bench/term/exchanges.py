"""A learner says something, and the model answers, fails, or is stopped."""

import msgspec

from eventstore.dialogue_events import (
    AssessmentFailed,
    CoveredObjective,
    LearnersTurn,
    MessagePosted,
    MessageRetried,
    ObjectivesAssessed,
    ReplyCancelled,
    ReplyCompleted,
    ReplyFailed,
    TurnReleased,
    TurnTakenOver,
)
from eventstore.envelope import Actor, Metadata
from eventstore.reply_records import ReplyRecord
from service.dialogue.commands import Failure
from service.model.errors import ABANDONED, MODEL_INTERRUPTED
from tests.bench.term.endings import delete, seconds, spent_so_far, unanswered
from tests.bench.term.institution import Institution, PendingEvent, by_model
from tests.bench.term.openings import DEADLINE, Answered, question
from tests.bench.term.people import Conversation


def exchange(house: Institution, conversation: Conversation) -> Answered:
    """A message, and what becomes of it; most learners ask again where there is no answer."""
    text = house.words.say(1.6)
    posted = _posted(house, conversation)
    metadata = house.by_learner(conversation.dialogue.learner, posted.turn_id)
    fact = PendingEvent(posted, text, conversation)
    event_id = house.record(conversation.dialogue.stream, metadata, fact)
    conversation.tokens += len(text) // 4
    conversation.messages += 1
    conversation.unanswered += (posted.message_id,)
    turn = _Turn(house, conversation, posted, by_model(metadata, event_id))
    answered = yield from turn.run()
    if answered or conversation.completed_at is not None or house.chance.random() > 0.6:
        return answered
    yield house.chance.uniform(2, 60)
    retried = _retried(house, posted)
    metadata = house.by_learner(conversation.dialogue.learner, retried.turn_id)
    event_id = house.record(
        conversation.dialogue.stream, metadata, PendingEvent(retried, None, conversation)
    )
    if posted.message_id not in conversation.unanswered:  # a part of an answer was seen
        conversation.messages -= 1
        conversation.unanswered = (*conversation.unanswered_before, posted.message_id)
    return (yield from _Turn(house, conversation, retried, by_model(metadata, event_id)).run())


def _posted(house: Institution, conversation: Conversation) -> MessagePosted:
    dialogue = conversation.dialogue
    return MessagePosted(
        conversation_id=conversation.id,
        turn_id=house.new_id(),
        message_id=house.new_id(),
        course_id=dialogue.experience.course.id,
        experience_id=dialogue.experience.id,
        user_id=dialogue.learner.user_id,
        model=house.models.reply,
        owner=house.owner,
        deadline_at=house.moment + DEADLINE,
    )


def _retried(house: Institution, posted: MessagePosted) -> MessageRetried:
    return MessageRetried(
        conversation_id=posted.conversation_id,
        turn_id=house.new_id(),
        message_id=posted.message_id,
        retried_turn_id=posted.turn_id,
        course_id=posted.course_id,
        experience_id=posted.experience_id,
        user_id=posted.user_id,
        model=house.models.reply,
        owner=house.owner,
        deadline_at=house.moment + DEADLINE,
    )


class _Turn:
    """A turn under way; `metadata` is that of what the model does in it."""

    def __init__(
        self,
        house: Institution,
        conversation: Conversation,
        posted: LearnersTurn,
        metadata: Metadata,
    ) -> None:
        self._house = house
        self._conversation = conversation
        self._posted = posted
        self._metadata = metadata
        self._stream = conversation.dialogue.stream
        self._takeovers = 0

    def run(self) -> Answered:
        house, fate = self._house, self._house.chance.random()
        if fate < 0.003:
            yield house.chance.uniform(106, 600)
            system = Metadata(actor=Actor(None, "system"), correlation_id=self._posted.turn_id)
            self._fail(Failure(code=ABANDONED), system)
            return False
        answer = house.answers.ask(question(house, self._conversation, 95))
        if fate < 0.02:
            yield house.chance.uniform(0.4, 5)
            self._stop(answer, deletes=fate < 0.006)
            return False
        if fate < 0.0215:
            yield house.chance.uniform(1, 20)
            self._release(answer)
            yield house.chance.uniform(1, 6)
            self._take_over()
        judged = self._judge(counts=isinstance(answer, ReplyRecord))
        if isinstance(answer, Failure):
            yield seconds(answer.spent.duration_ms)
            self._fail(answer, self._metadata, *judged)
            return False
        yield seconds(answer.duration_ms)
        late = judged and house.chance.random() < 0.04
        self._reply(answer, [] if late else judged)
        if late:
            yield house.chance.uniform(1, 6)
            house.record(self._stream, self._metadata, *judged)
        return True

    def _reply(self, record: ReplyRecord, judged: list[PendingEvent]) -> None:
        conversation = self._conversation
        completed = ReplyCompleted(
            conversation_id=conversation.id,
            turn_id=self._posted.turn_id,
            message_id=self._house.new_id(),
            reply=record,
            answers=conversation.unanswered[:-1],
            takeovers=self._takeovers,
        )
        conversation.unanswered = ()
        fact = PendingEvent(completed, self._house.words.say(2.4), conversation)
        self._house.record(self._stream, self._metadata, *judged, fact)
        conversation.tokens += record.usage.output_tokens
        conversation.messages += 1
        conversation.replies += 1
        conversation.last_reply = completed.message_id
        conversation.asked_at = self._house.now

    def _release(self, answer: ReplyRecord | Failure) -> None:
        """The process that asks the model is restarted."""
        released = TurnReleased(
            conversation_id=self._conversation.id,
            turn_id=self._posted.turn_id,
            kind="message",
            owner=self._posted.owner,
            **msgspec.structs.asdict(spent_so_far(answer)),
        )
        self._house.record(self._stream, self._metadata, PendingEvent(released))

    def _take_over(self) -> None:
        self._takeovers += 1
        taken = TurnTakenOver(
            conversation_id=self._conversation.id,
            turn_id=self._posted.turn_id,
            kind="message",
            owner=self._house.owner,
            deadline_at=self._house.moment + DEADLINE,
            number=self._takeovers,
        )
        system = Metadata(actor=Actor(None, "system"), correlation_id=self._posted.turn_id)
        self._house.record(self._stream, system, PendingEvent(taken))

    def _fail(self, failure: Failure, metadata: Metadata, *judged: PendingEvent) -> None:
        failed = ReplyFailed(
            conversation_id=self._conversation.id,
            turn_id=self._posted.turn_id,
            kept=True,
            **unanswered(failure),
        )
        partial = self._house.words.say(1) if failure.code == MODEL_INTERRUPTED else None
        fact = PendingEvent(failed, partial, self._conversation)
        self._house.record(self._stream, metadata, *judged, fact)

    def _stop(self, answer: ReplyRecord | Failure, deletes: bool) -> None:
        """The learner does not want to wait, or deletes the conversation meanwhile."""
        metadata = self._house.by_learner(self._conversation.dialogue.learner)
        partial = self._house.words.say(1) if self._house.chance.random() < 0.7 else None
        cancelled = ReplyCancelled(
            conversation_id=self._conversation.id,
            turn_id=self._posted.turn_id,
            kept=True,
            partial_message_id=None if partial is None else self._house.new_id(),
            reason="conversation_completed" if deletes else "requested",
            **msgspec.structs.asdict(spent_so_far(answer)),
        )
        self._house.record(
            self._stream, metadata, PendingEvent(cancelled, partial, self._conversation)
        )
        if partial is not None:
            conversation = self._conversation
            conversation.messages += 1
            conversation.unanswered_before = conversation.unanswered[:-1]
            conversation.unanswered = ()
        if deletes:
            delete(self._house, self._conversation, metadata)

    def _judge(self, counts: bool) -> list[PendingEvent]:
        """What becomes of judging the objectives; a message without an answer shows nothing."""
        house, conversation = self._house, self._conversation
        if not conversation.open_objectives:
            return []
        judged = house.answers.ask(question(house, conversation, 35, judges=True))
        if isinstance(judged, ReplyRecord) and house.answers.judgement_fails():
            judged = house.answers.unusable(judged)
        turn_id = self._posted.turn_id
        if isinstance(judged, Failure):
            failed = AssessmentFailed(
                conversation_id=conversation.id, turn_id=turn_id, **unanswered(judged)
            )
            return [PendingEvent(failed)]
        likely = 0.09 + 0.09 * min(conversation.dialogue.learner.diligence, 2.5)
        shown = [n for n in conversation.open_objectives if house.chance.random() < likely]
        covered = tuple(CoveredObjective(n, self._posted.message_id) for n in shown if counts)
        conversation.covered.update(entry.objective for entry in covered)
        assessed = ObjectivesAssessed(
            conversation_id=conversation.id, turn_id=turn_id, covered=covered, judgement=judged
        )
        return [PendingEvent(assessed)]
