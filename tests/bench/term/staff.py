"""What teachers and operators do apart from conversations: experiences, holds, erasures, rules."""

from eventstore.envelope import Actor, Metadata
from eventstore.experience_events import (
    ExperienceCreated,
    ExperienceDeleted,
    ExperienceEdited,
    stream_of_experience,
)
from eventstore.privacy_events import (
    HistoryRead,
    HoldPlaced,
    HoldReleased,
    LearnerErased,
    RetentionRuleSet,
    TextExpired,
    stream_of_learner,
    stream_of_reads,
    stream_of_retention,
)
from service.access_log import OPERATOR
from tests.bench.term.endings import delete
from tests.bench.term.institution import Institution, Life, PendingEvent
from tests.bench.term.people import Conversation, Course, Experience, Learner
from tests.bench.term.plan import DAY, HOUR

_SYSTEM = Metadata(actor=Actor(None, "system"))


def teach(house: Institution, experience: Experience, first: bool) -> Life:
    """A teacher makes an experience before it is worked on, edits it, and may take it away.

    Args:
        first: Of its course; that one stays.
    """
    chance = house.chance
    yield max(30.0, experience.window.opens - chance.uniform(0.2, 2) * DAY)
    experience.published = chance.random() < 0.8
    _change(house, experience)
    if not experience.published:
        yield chance.uniform(0.1, 3) * HOUR
        experience.published = True
        _change(house, experience)
    length = experience.window.due - experience.window.opens
    for _ in range(chance.choices((0, 1, 2), (55, 30, 15))[0]):
        yield chance.uniform(0.1, 0.5) * length
        experience.scenario = house.words.scenario()
        _change(house, experience)
    if not first and chance.random() < 0.06:
        yield 1.5 * length
        experience.published = False
        course = experience.course
        gone = ExperienceDeleted(experience_id=experience.id, course_id=course.id)
        house.record(
            stream_of_experience(experience.id), house.by_teacher(course), PendingEvent(gone)
        )


def _change(house: Institution, experience: Experience) -> None:
    kind = ExperienceEdited if experience.version else ExperienceCreated
    scenario = experience.scenario
    changed = kind(
        experience_id=experience.id,
        course_id=experience.course.id,
        title=scenario.title,
        description=scenario.description,
        facts=scenario.facts,
        learning_objective="\n".join(scenario.objectives),
        pedagogical_guidance=scenario.pedagogical_guidance,
        workflow_state="published" if experience.published else "unpublished",
    )
    metadata = house.by_teacher(experience.course)
    house.record(stream_of_experience(experience.id), metadata, PendingEvent(changed))
    experience.version += 1


def hold(house: Institution, learner: Learner, ends: bool) -> Life:
    """A learner's texts must stay, for a while or to the end."""
    hold_id = next(house.holds)
    stream = stream_of_learner(learner.user_id)
    learner.held = True
    placed = HoldPlaced(hold_id=hold_id, user_id=learner.user_id, reason=f"case {hold_id}")
    house.record(stream, OPERATOR, PendingEvent(placed))
    if ends:
        yield house.chance.uniform(0.1, 0.4) * house.term.days * DAY
        learner.held = False
        released = HoldReleased(hold_id=hold_id, user_id=learner.user_id, reason="closed")
        house.record(stream, OPERATOR, PendingEvent(released))


def erase(house: Institution, learner: Learner) -> Life:
    """A learner's texts, name and ways in are removed, as soon as nothing is under way."""
    while learner.busy:
        yield 300.0
    conversations = sorted(_spoken(learner), key=lambda c: (c.dialogue.stream, c.id))
    if learner.held or not house.has_room(2 * len(conversations) + 50):
        return
    learner.gone = True
    for dialogue in learner.dialogues.values():
        if dialogue.active:
            delete(house, dialogue.active, OPERATOR)
    yield 0.1
    texts = 0
    for conversation in conversations:
        texts += _expire(house, conversation, OPERATOR, "erasure")
    erased = LearnerErased(
        user_id=learner.user_id,
        reason="letter of the learner",
        texts=texts,
        conversations=len(conversations),
        names=1,
        identities=0,
        tokens=1,
    )
    house.record(stream_of_learner(learner.user_id), OPERATOR, PendingEvent(erased))


def keep_texts(house: Institution) -> Life:
    """The rules are set on the first day, and carried out every night."""
    yield 9 * HOUR
    for course in house.courses:
        if course.keeps is not None:
            _rule(house, course, course.keeps)
    yield 18 * HOUR
    while True:
        for course in house.courses:
            _carry_out(house, course)
        yield DAY


def close_books(house: Institution) -> None:
    """From here on all texts are kept: else a service would expire them, by its own clock.

    What is left of the log's room says that an operator read it.
    """
    for course in house.courses:
        if course.keeps is not None:
            _rule(house, course, None)
    while house.has_room(0):
        house.record(
            stream_of_reads(None), OPERATOR, PendingEvent(HistoryRead(what="audit events"))
        )


def _rule(house: Institution, course: Course, days: int | None) -> None:
    rule = RetentionRuleSet(course_id=course.id, days=days)
    house.record(stream_of_retention(course.id), OPERATOR, PendingEvent(rule))


def _carry_out(house: Institution, course: Course) -> None:
    if course.keeps is None:
        return
    before = house.now - course.keeps * DAY
    left = []
    for conversation in course.expiring:
        due = conversation.completed_at is not None and conversation.completed_at <= before
        learner = conversation.dialogue.learner
        if learner.gone or conversation.expired:
            continue
        if not due or learner.held or learner.busy or not house.has_room(200):
            left.append(conversation)
        elif conversation.texts:
            _expire(house, conversation, _SYSTEM, "course")
    course.expiring = left


def _expire(house: Institution, conversation: Conversation, metadata: Metadata, rule: str) -> int:
    dialogue = conversation.dialogue
    texts = house.expire(conversation)
    expired = TextExpired(
        conversation_id=conversation.id,
        user_id=dialogue.learner.user_id,
        texts=texts,
        rule="course" if rule == "course" else "erasure",
        days=dialogue.experience.course.keeps if rule == "course" else None,
    )
    house.record(dialogue.stream, metadata, PendingEvent(expired))
    return texts


def _spoken(learner: Learner) -> list[Conversation]:
    """The conversations of a learner that have texts."""
    return [c for d in learner.dialogues.values() for c in d.past if c.texts]
