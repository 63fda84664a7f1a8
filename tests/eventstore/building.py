"""Builders of events: single ones, a learner's dialogue step by step, random histories."""

import random
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Literal
from uuid import uuid4

import msgspec

from eventstore.connections import Connection
from eventstore.dialogue_events import (
    AssessmentFailed,
    ConversationCompleted,
    ConversationStarted,
    CoveredObjective,
    FeedbackGiven,
    FeedbackWithdrawn,
    LearnersTurn,
    MessagePosted,
    MessageRetried,
    ObjectivesAssessed,
    OpeningFailed,
    OpeningRequested,
    ReplyCancelled,
    ReplyCompleted,
    ReplyFailed,
    TurnReleased,
    TurnTakenOver,
)
from eventstore.envelope import Actor, Metadata, NewEvent, RecordedEvent
from eventstore.evaluation_events import EvaluationFailed, EvaluationRecorded, EvaluationRequested
from eventstore.events import AnyEvent
from eventstore.experience_events import ExperienceCreated, ExperienceDeleted, ExperienceEdited
from eventstore.log import EventLog
from eventstore.privacy_events import HoldPlaced, HoldReleased, RetentionRuleSet, TextExpired
from eventstore.reply_records import PromptVersion, ReplyRecord, Usage
from tests.eventstore.log_reading import read_all

ACCOUNT = 1
DEADLINE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OWNER = 77
BY_LEARNER = Metadata(actor=Actor(101, "learner"))

REPLY = ReplyRecord(
    model_requested="claude-sonnet",
    model="claude-sonnet-1",
    max_tokens=1024,
    prompt=PromptVersion("tutor", "ab" * 32),
    stop_reason="end_turn",
    usage=Usage(100, 20, 30, 40),
    provider_request_id="req_1",
    first_token_ms=250,
    duration_ms=1500,
)

TEXTS = (
    "Why is it cold in winter?",
    "",
    "  two\n\tlines  ",
    "naïve e\u0301tude",
    "שלום عليكم",
    "👩‍🔬 𝒳 🧪",
    '{"a": "\\u0000"}',
)


class Step(msgspec.Struct, frozen=True):
    """The events of one append to a stream."""

    stream: str
    events: tuple[NewEvent, ...]


class ModelMessage(msgspec.Struct, frozen=True):
    """A message of the model and its conversation."""

    conversation_id: int
    message_id: str


def message(text: str | None = "Hello", conversation_id: int = 1, user_id: int = 101) -> NewEvent:
    """A learner's message; without a text, one without content."""
    event = MessagePosted(
        conversation_id=conversation_id,
        turn_id=str(uuid4()),
        message_id=str(uuid4()),
        course_id=1,
        experience_id=1,
        user_id=user_id,
        model=REPLY.model_requested,
        owner=OWNER,
        deadline_at=DEADLINE,
    )
    return NewEvent(event=event, content=text, subject_id=None if text is None else user_id)


def messages(number: int, conversation_id: int = 1) -> list[NewEvent]:
    """So many messages of the conversation's learner, each with another text."""
    return [message(f"Message {n}", conversation_id, 100 + conversation_id) for n in range(number)]


def experience_created(experience_id: int = 1, course_id: int = 1, title: str = "Seasons") -> Step:
    """A course gets an experience."""
    event = ExperienceCreated(
        experience_id=experience_id,
        course_id=course_id,
        title=title,
        description="On an observatory.",
        facts="The axis is tilted.",
        learning_objective="Explain winter\nCompare the hemispheres",
        pedagogical_guidance="Begin outside.",
        workflow_state="published",
    )
    return Step(f"experience-{experience_id}", (NewEvent(event=event),))


def experience_edited(
    experience_id: int = 1,
    course_id: int = 1,
    title: str = "Winter",
    workflow_state: Literal["published", "unpublished"] = "published",
) -> Step:
    """A manager changes an experience."""
    event = ExperienceEdited(
        experience_id=experience_id,
        course_id=course_id,
        title=title,
        description="In a cabin.",
        facts="The Sun stands low.",
        learning_objective="Explain winter",
        pedagogical_guidance="Begin at the window.",
        workflow_state=workflow_state,
    )
    return Step(f"experience-{experience_id}", (NewEvent(event=event),))


def edits(number: int) -> list[NewEvent]:
    """So many changes of an experience: events that leave no turn open."""
    return [experience_edited(title=f"Title {n}").events[0] for n in range(number)]


def experience_deleted(experience_id: int = 1, course_id: int = 1) -> Step:
    """A manager takes an experience away."""
    event = ExperienceDeleted(experience_id=experience_id, course_id=course_id)
    return Step(f"experience-{experience_id}", (NewEvent(event=event),))


class Learner:
    """One learner's dialogue with one experience; every method is the next step of it.

    Args:
        conversation_ids: An iterator of conversations' numbers, which learners of one account
            share.
    """

    def __init__(
        self,
        user_id: int = 101,
        experience_id: int = 1,
        course_id: int = 1,
        conversation_ids: Iterator[int] | None = None,
    ) -> None:
        self.user_id = user_id
        self.experience_id = experience_id
        self.course_id = course_id
        self.stream = f"dialogue-{experience_id}-{user_id}"
        self.active: int | None = None
        self.opening: OpeningRequested | None = None
        self.turn: LearnersTurn | None = None
        self.answered: LearnersTurn | None = None
        self.takeovers = 0
        self.unanswered: list[LearnersTurn] = []
        self.broken_off: list[LearnersTurn] = []
        self.objectives = 0
        self.covered = 0
        self.replies: list[ModelMessage] = []
        self.votes: dict[tuple[str, int], FeedbackGiven] = {}
        self._ids = conversation_ids or count(1)

    def asks_to_open(self) -> Step:
        self.opening = OpeningRequested(
            conversation_id=next(self._ids),
            turn_id=str(uuid4()),
            course_id=self.course_id,
            experience_id=self.experience_id,
            experience_version=1,
            user_id=self.user_id,
            model=REPLY.model_requested,
            owner=OWNER,
            deadline_at=DEADLINE,
        )
        return self._step((self.opening, None))

    def opening_fails(self, code: str = "overloaded", partial: str | None = None) -> Step:
        asked = self._end_opening()
        failed = OpeningFailed(
            conversation_id=asked.conversation_id,
            turn_id=asked.turn_id,
            code=code,
            duration_ms=900,
        )
        return self._step((failed, partial))

    def opens(
        self,
        text: str = "What do you know?",
        objectives: tuple[str, ...] = ("Explain winter",),
        reply: ReplyRecord = REPLY,
    ) -> Step:
        """The model opens the conversation, which ends the one that was active."""
        asked = self._end_opening()
        started = ConversationStarted(
            conversation_id=asked.conversation_id,
            turn_id=asked.turn_id,
            course_id=self.course_id,
            experience_id=self.experience_id,
            experience_version=1,
            user_id=self.user_id,
            objectives=objectives,
            starting_prompt="Let us begin.",
            starting_message_id=str(uuid4()),
            message_id=str(uuid4()),
            reply=reply,
        )
        self.replies.append(ModelMessage(started.conversation_id, started.message_id))
        before, self.active = self.active, started.conversation_id
        self.objectives, self.covered, self.answered = len(objectives), 0, None
        self.unanswered, self.broken_off = [], []
        if before is None:
            return self._step((started, text))
        over = ConversationCompleted(conversation_id=before, reason="superseded")
        return self._step((over, None), (started, text))

    def opens_with_more(self) -> Step:
        """The model opens a conversation with two objectives."""
        return self.opens(objectives=("Explain winter", "Compare the hemispheres"))

    def says(self, text: str = "Because it is cold.") -> Step:
        self.turn = MessagePosted(
            conversation_id=self._conversation(),
            turn_id=str(uuid4()),
            message_id=str(uuid4()),
            course_id=self.course_id,
            experience_id=self.experience_id,
            user_id=self.user_id,
            model=REPLY.model_requested,
            owner=OWNER,
            deadline_at=DEADLINE,
        )
        self.broken_off = []
        return self._step((self.turn, text))

    def is_answered(
        self,
        text: str = "And why is that?",
        reply: ReplyRecord = REPLY,
        covers: Sequence[int] | None = None,
    ) -> Step:
        """The model replies.

        Args:
            covers: Objectives that this message was found to cover; None where nobody judged it.
        """
        asked = self.answered = self._end_turn()
        answer = ReplyCompleted(
            conversation_id=asked.conversation_id,
            turn_id=asked.turn_id,
            message_id=str(uuid4()),
            reply=reply,
            answers=tuple(turn.message_id for turn in self.unanswered),
        )
        self.unanswered, self.broken_off = [], []
        self.replies.append(ModelMessage(answer.conversation_id, answer.message_id))
        if covers is None:
            return self._step((answer, text))
        self.answered = None
        assessed = ObjectivesAssessed(
            conversation_id=asked.conversation_id,
            turn_id=asked.turn_id,
            covered=tuple(CoveredObjective(n, asked.message_id) for n in covers),
            judgement=reply,
        )
        return self._step((assessed, None), (answer, text))

    def is_answered_well(self) -> Step:
        """The model replies, and the next objective is found covered."""
        self.covered += 1
        return self.is_answered(covers=[self.covered])

    def is_judged_late(self, covers: Sequence[int] = (), reply: ReplyRecord = REPLY) -> Step:
        """The assessment of the last answered message, after its reply."""
        assert self.answered is not None
        asked, self.answered = self.answered, None
        assessed = ObjectivesAssessed(
            conversation_id=asked.conversation_id,
            turn_id=asked.turn_id,
            covered=tuple(CoveredObjective(n, asked.message_id) for n in covers),
            judgement=reply,
        )
        return self._step((assessed, None))

    def is_not_judged(self, code: str = "overloaded") -> Step:
        """The assessment of the last answered message fails."""
        assert self.answered is not None
        asked, self.answered = self.answered, None
        failed = AssessmentFailed(
            conversation_id=asked.conversation_id, turn_id=asked.turn_id, code=code
        )
        return self._step((failed, None))

    def is_evaluated(self, reply: ReplyRecord = REPLY, code: str | None = None) -> list[Step]:
        """A teacher has the conversation evaluated; with a code, it fails."""
        asked = EvaluationRequested(
            conversation_id=self._conversation(),
            turn_id=str(uuid4()),
            course_id=self.course_id,
            experience_id=self.experience_id,
            experience_version=1,
            user_id=self.user_id,
            model=REPLY.model_requested,
            owner=OWNER,
            deadline_at=DEADLINE,
        )
        stream = f"evaluation-{asked.turn_id}"
        begun = Step(stream, (NewEvent(event=asked),))
        if code is not None:
            failed = EvaluationFailed(
                conversation_id=asked.conversation_id, turn_id=asked.turn_id, code=code
            )
            return [begun, Step(stream, (NewEvent(event=failed),))]
        done = EvaluationRecorded(
            conversation_id=asked.conversation_id,
            turn_id=asked.turn_id,
            experience_version=1,
            judgement=reply,
        )
        new = NewEvent(event=done, content="{}", subject_id=self.user_id)
        return [begun, Step(stream, (new,))]

    def is_not_answered(
        self,
        code: str = "overloaded",
        partial: str | None = None,
        model: str | None = None,
        usage: Usage | None = None,
    ) -> Step:
        asked = self._end_turn()
        failed = ReplyFailed(
            conversation_id=asked.conversation_id,
            turn_id=asked.turn_id,
            code=code,
            model=model,
            usage=usage,
        )
        return self._step((failed, partial))

    def is_left_unanswered(self, code: str = "overloaded") -> Step:
        """The model does not reply, and the message stays."""
        asked = self._end_turn()
        self.unanswered.append(asked)
        failed = ReplyFailed(
            conversation_id=asked.conversation_id, turn_id=asked.turn_id, code=code, kept=True
        )
        return self._step((failed, None))

    def is_taken_over(self) -> Step:
        """Another process asks the model in the turn under way."""
        asked = self._asked()
        self.takeovers += 1
        taken = TurnTakenOver(
            conversation_id=asked.conversation_id,
            turn_id=asked.turn_id,
            kind="opening" if self.opening else "message",
            owner=OWNER + self.takeovers,
            deadline_at=DEADLINE + timedelta(minutes=self.takeovers),
            number=self.takeovers,
        )
        return self._step((taken, None))

    def is_released(self, partial: str | None = None) -> Step:
        """The process that asks the model leaves the turn to another one."""
        asked = self._asked()
        released = TurnReleased(
            conversation_id=asked.conversation_id,
            turn_id=asked.turn_id,
            kind="opening" if self.opening else "message",
            owner=OWNER + self.takeovers,
            model=REPLY.model,
            usage=REPLY.usage,
            cost_microusd=7,
        )
        return self._step((released, partial))

    def stops(self, partial: str | None = "What do you") -> Step:
        """The learner stops the reply; the message stays, and what was seen of the reply."""
        asked = self._end_turn()
        self.unanswered.append(asked)
        if partial is not None:
            self.broken_off, self.unanswered = self.unanswered, []
        cancelled = ReplyCancelled(
            conversation_id=asked.conversation_id,
            turn_id=asked.turn_id,
            reason="requested",
            kept=True,
            partial_message_id=None if partial is None else str(uuid4()),
        )
        return self._step((cancelled, partial))

    def retries(self) -> Step:
        """The learner asks again for an answer to the newest message."""
        *self.unanswered, asked = self.unanswered or self.broken_off
        self.broken_off = []
        self.turn = MessageRetried(
            conversation_id=asked.conversation_id,
            turn_id=str(uuid4()),
            message_id=asked.message_id,
            retried_turn_id=asked.turn_id,
            course_id=self.course_id,
            experience_id=self.experience_id,
            user_id=self.user_id,
            model=REPLY.model_requested,
            owner=OWNER,
            deadline_at=DEADLINE,
        )
        return self._step((self.turn, None))

    def deletes(self) -> Step:
        """The learner deletes the conversation, which cancels a turn under way."""
        over = ConversationCompleted(conversation_id=self._conversation(), reason="deleted")
        self.active = self.answered = None
        self.unanswered, self.broken_off = [], []
        if self.turn is None:
            return self._step((over, None))
        asked = self._end_turn()
        cancelled = ReplyCancelled(
            conversation_id=asked.conversation_id,
            turn_id=asked.turn_id,
            reason="conversation_completed",
            kept=isinstance(asked, MessageRetried),
        )
        return self._step((cancelled, None), (over, None))

    def gets_feedback(
        self,
        message: "ModelMessage",
        vote: Literal["liked", "disliked"] = "liked",
        text: str | None = None,
        voter: int | None = None,
    ) -> Step:
        """Somebody, the learner if nobody is named, votes on a message of the model."""
        given = FeedbackGiven(
            conversation_id=message.conversation_id,
            feedback_id=str(uuid4()),
            message_id=message.message_id,
            user_id=voter or self.user_id,
            vote=vote,
        )
        self.votes[given.message_id, given.user_id] = given
        return self._step((given, text))

    def loses_feedback(self, vote: FeedbackGiven) -> Step:
        """A vote is withdrawn."""
        del self.votes[vote.message_id, vote.user_id]
        withdrawn = FeedbackWithdrawn(
            conversation_id=vote.conversation_id,
            feedback_id=vote.feedback_id,
            message_id=vote.message_id,
            user_id=vote.user_id,
        )
        return self._step((withdrawn, None))

    def loses_texts(self, conversation_id: int) -> Step:
        """The event that a conversation's texts were deleted, without the deletion."""
        expired = TextExpired(
            conversation_id=conversation_id, user_id=self.user_id, texts=2, rule="account", days=30
        )
        return self._step((expired, None))

    def possible_steps(self) -> list[Callable[[], Step]]:
        """The possible next steps."""
        if self.turn:
            judged = [self.is_answered_well] if self.covered < self.objectives else []
            fails = [self.is_not_answered] if isinstance(self.turn, MessagePosted) else []
            kept = [self.is_left_unanswered, self.stops, lambda: self.stops(None)]
            moves = [self.is_taken_over, self.is_released]
            return [*(self.is_answered,) * 3, *judged, *fails, *kept, *moves, self.deletes]
        deletion = [] if self.active is None else [self.deletes]
        if self.opening:
            opens = [self.opens, self.opens, self.opens_with_more, self.opening_fails]
            return [*opens, self.is_taken_over, self.is_released, *deletion]
        talk = [] if self.active is None else [self.says] * 4
        retry = [self.retries] if self.unanswered or self.broken_off else []
        return [self.asks_to_open, *deletion, *talk, *retry]

    def _conversation(self) -> int:
        assert self.active is not None
        return self.active

    def _asked(self) -> OpeningRequested | LearnersTurn:
        asked = self.opening or self.turn
        assert asked is not None
        return asked

    def _end_opening(self) -> OpeningRequested:
        asked, self.opening, self.takeovers = self.opening, None, 0
        assert asked is not None
        return asked

    def _end_turn(self) -> LearnersTurn:
        asked, self.turn, self.takeovers = self.turn, None, 0
        assert asked is not None
        return asked

    def _step(self, *facts: tuple[AnyEvent, str | None]) -> Step:
        events = (
            NewEvent(event=event, content=text, subject_id=None if text is None else self.user_id)
            for event, text in facts
        )
        return Step(self.stream, tuple(events))


def dialogue(learner: Learner, exchanges: int = 2) -> list[Step]:
    """A dialogue without failures: an opening and some exchanges; the conversation stays active."""
    steps = [learner.asks_to_open(), learner.opens()]
    for _ in range(exchanges):
        steps += [learner.says(), learner.is_answered()]
    return steps


def history(seed: int, steps: int = 120, learners: int = 6) -> list[Step]:
    """A random history.

    Failures, cancelled turns; messages taken back, kept and retried; conversations superseded,
    deleted, judged and voted on, also when they are over; texts that are deleted; experiences that
    are edited, and one that is deleted.
    """
    chance = random.Random(seed)
    ids = count(seed * 1_000_000 + 1)
    dialogues = [Learner(seed * 1000 + n, 1 + n % 3, 1 + n % 2, ids) for n in range(learners)]
    created = [experience_created(seed * 1000 + n) for n in range(3)]
    said: list[Step] = []
    for _ in range(steps):
        learner = chance.choice(dialogues)
        said.append(chance.choice(learner.possible_steps())())
        if learner.active is not None and chance.random() < 0.1:
            said += learner.is_evaluated(code=chance.choice([None, None, "stalled"]))
        if learner.answered is not None and chance.random() < 0.2:
            said.append(_judges_late(chance, learner))
        if learner.replies and chance.random() < 0.3:
            said.append(_votes(chance, learner))
        if learner.replies and chance.random() < 0.1:
            said.append(learner.loses_texts(chance.choice(learner.replies).conversation_id))
        if chance.random() < 0.1:
            edited = seed * 1000 + chance.randrange(2)
            state: Literal["published", "unpublished"] = chance.choice(["published", "unpublished"])
            said.append(
                experience_edited(edited, title=f"Edited {len(said)}", workflow_state=state)
            )
    said += _protected(seed * 1000)
    said.insert(len(said) // 2, experience_edited(seed * 1000 + 2))
    said.insert(len(said) // 2 + 1, experience_deleted(seed * 1000 + 2))
    return created + [_with_texts(chance, step) for step in said]


def _protected(user_id: int) -> list[Step]:
    """Holds on a learner, one of them released; retention rules that are set and changed."""
    events: list[AnyEvent] = [
        *(HoldPlaced(hold_id=user_id + n, user_id=user_id, reason="A case") for n in range(2)),
        HoldReleased(hold_id=user_id, user_id=user_id, reason="It is closed"),
    ]
    rules = [(0, 365), (user_id, 30), (user_id, None)]
    return [Step(f"learner-{user_id}", (NewEvent(event=event),)) for event in events] + [
        Step(
            f"retention-{course}",
            (NewEvent(event=RetentionRuleSet(course_id=course, days=days)),),
        )
        for course, days in rules
    ]


def _judges_late(chance: random.Random, learner: Learner) -> Step:
    """An assessment of the last reply with or without covered objectives, or a failed one."""
    if learner.covered < learner.objectives and chance.random() < 0.5:
        learner.covered += 1
        return learner.is_judged_late([learner.covered])
    return learner.is_judged_late() if chance.random() < 0.5 else learner.is_not_judged()


def _votes(chance: random.Random, learner: Learner) -> Step:
    """A vote on one of a few messages, new or in place of another, or the withdrawal of one."""
    if learner.votes and chance.random() < 0.3:
        return learner.loses_feedback(chance.choice(list(learner.votes.values())))
    message = chance.choice(learner.replies[-3:])
    vote: Literal["liked", "disliked"] = chance.choice(["liked", "disliked"])
    return learner.gets_feedback(
        message, vote, chance.choice([None, "Why?"]), chance.choice([None, 1])
    )


def _with_texts(chance: random.Random, step: Step) -> Step:
    """The step with texts of all kinds in place of the usual ones."""
    events = (
        new if new.content is None else msgspec.structs.replace(new, content=chance.choice(TEXTS))
        for new in step.events
    )
    return Step(step.stream, tuple(events))


async def append(
    log: EventLog,
    stream: str,
    *events: NewEvent,
    expected: int | None = None,
    metadata: Metadata = BY_LEARNER,
    account_id: int = ACCOUNT,
) -> list[RecordedEvent]:
    """Appends with default metadata and any revision."""
    return await log.append(account_id, stream, events, expected=expected, metadata=metadata)


async def append_steps(
    log: EventLog, steps: Iterable[Step], account_id: int = ACCOUNT
) -> list[RecordedEvent]:
    """Appends one step after the other."""
    done: list[RecordedEvent] = []
    for step in steps:
        done += await append(log, step.stream, *step.events, account_id=account_id)
    return done


async def add_account(owner: Connection, account_id: int) -> None:
    """Adds an account with an empty log."""
    await owner.execute(
        "INSERT INTO accounts (account_id, name) VALUES ($1, 'Another account')", account_id
    )
    await owner.execute("INSERT INTO log_heads (account_id) VALUES ($1)", account_id)


async def whole_log(log: EventLog, account_id: int = ACCOUNT) -> list[RecordedEvent]:
    """All events of an account in order."""
    return await read_all(log, account_id, limit=1_000_000)


async def take(follower: AsyncIterator[list[RecordedEvent]], number: int) -> list[RecordedEvent]:
    """At least the next `number` events of a follower."""
    taken: list[RecordedEvent] = []
    while len(taken) < number:
        taken += await anext(follower)
    return taken


def positions(events: Sequence[RecordedEvent]) -> list[int]:
    """The events' positions in the log."""
    return [event.position for event in events]
