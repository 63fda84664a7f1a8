"""What a learner does in one sitting: opens a conversation, or goes on with it, and talks."""

from eventstore.dialogue_events import FeedbackGiven, FeedbackWithdrawn
from tests.bench.term.endings import delete
from tests.bench.term.evaluations import evaluate
from tests.bench.term.exchanges import exchange
from tests.bench.term.institution import Institution, Life, PendingEvent
from tests.bench.term.openings import Answered, open_conversation
from tests.bench.term.people import Conversation, Dialogue, Experience, Learner, Vote


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
    chance = house.chance
    if dialogue.active is None or chance.random() < 0.12:
        opened = yield from _try_to_open(house, dialogue)
        if not opened:
            return
    conversation = dialogue.active
    assert conversation is not None
    yield from _talk(house, conversation)
    if conversation.completed_at is not None:
        return
    if chance.random() < (0.05 if conversation.open_objectives else 0.25):
        yield chance.uniform(2, 30)
        delete(house, conversation, house.by_learner(dialogue.learner))
    if conversation.replies >= 2 and chance.random() < 0.12:
        house.begin(evaluate(house, conversation), chance.expovariate(1 / 40_000))


def _try_to_open(house: Institution, dialogue: Dialogue) -> Answered:
    """An opening that fails is asked for again, by the patient more often."""
    for _ in range(house.chance.choice((1, 2, 3, 4))):
        opened = yield from open_conversation(house, dialogue)
        if opened:
            return True
        yield house.chance.uniform(4, 60)
    return False


def _talk(house: Institution, conversation: Conversation) -> Life:
    """Message after message; the diligent go on for longer, the curious after all is covered."""
    chance, learner = house.chance, conversation.dialogue.learner
    while chance.random() < 1 - 0.22 / (0.4 + learner.diligence):
        yield min(chance.lognormvariate(3.6, 0.8), 1_500)
        answered = yield from exchange(house, conversation)
        if conversation.completed_at is not None:
            return
        if answered and chance.random() < 0.07:
            yield from _vote(house, conversation)
        if not answered and chance.random() < 0.3:
            return
        if not conversation.open_objectives and chance.random() < 0.6:
            return


def _vote(house: Institution, conversation: Conversation) -> Life:
    """A vote on what the model said last; some think again."""
    learner, chance = conversation.dialogue.learner, house.chance
    stream, message_id = conversation.dialogue.stream, conversation.last_reply
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
        house.record(stream, house.by_learner(learner), PendingEvent(given, words, conversation))
    if chance.random() < 0.1:
        yield chance.uniform(2, 60)
        withdrawn = FeedbackWithdrawn(
            conversation_id=conversation.id,
            feedback_id=given.feedback_id,
            message_id=message_id,
            user_id=learner.user_id,
        )
        house.record(stream, house.by_learner(learner), PendingEvent(withdrawn))
