"""What every log must be, told without the code that the service itself folds events with."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from eventstore.dialogue_events import (
    AssessmentFailed,
    ConversationCompleted,
    ConversationStarted,
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
    TurnRequest,
    TurnTakenOver,
)
from eventstore.envelope import RecordedEvent
from eventstore.evaluation_events import EvaluationFailed, EvaluationRecorded, EvaluationRequested
from eventstore.event import Unreadable
from eventstore.events import AnyEvent
from eventstore.privacy_events import TextExpired

ENDS = (ConversationStarted, OpeningFailed, ReplyCompleted, ReplyFailed, ReplyCancelled)
EVALUATION_ENDS = (EvaluationRecorded, EvaluationFailed)


def types_of(events: Iterable[RecordedEvent]) -> list[str]:
    """The events' types, without their versions."""
    return [str(e.event.__struct_config__.tag).partition(".")[0] for e in events]


def dialogues_of(events: Iterable[RecordedEvent]) -> dict[str, list[RecordedEvent]]:
    """The events of learners' dialogues by stream."""
    return _streams_of(events, "dialogue-")


def evaluations_of(events: Iterable[RecordedEvent]) -> dict[str, list[RecordedEvent]]:
    """The events of evaluations by stream."""
    return _streams_of(events, "evaluation-")


def _streams_of(events: Iterable[RecordedEvent], prefix: str) -> dict[str, list[RecordedEvent]]:
    streams: dict[str, list[RecordedEvent]] = defaultdict(list)
    for event in events:
        if event.stream.startswith(prefix):
            streams[event.stream].append(event)
    return streams


def said(events: Iterable[RecordedEvent]) -> list[str | None]:
    """What learners posted, answered or not, in order."""
    return [e.content for e in events if isinstance(e.event, MessagePosted)]


def answered(events: Sequence[RecordedEvent]) -> list[str | None]:
    """What learners posted and got a reply to, in the order of posting."""
    replies = [e.event for e in events if isinstance(e.event, ReplyCompleted)]
    turns = {reply.turn_id for reply in replies}
    done = {message for reply in replies for message in reply.answers}
    done |= {
        e.event.message_id
        for e in events
        if isinstance(e.event, LearnersTurn) and e.event.turn_id in turns
    }
    posted = [(e.event, e.content) for e in events if isinstance(e.event, MessagePosted)]
    return [content for event, content in posted if event.message_id in done]


def assert_lawful(events: Sequence[RecordedEvent], *, ended: bool = True) -> None:
    """Positions are dense and every stream is a lawful dialogue or evaluation.

    Args:
        ended: The log must leave no turn and no evaluation open.
    """
    assert [e.position for e in events] == list(range(1, len(events) + 1))
    for name, stream in dialogues_of(events).items():
        assert [e.revision for e in stream] == list(range(1, len(stream) + 1))
        left_open = assert_lawful_dialogue([e.event for e in stream])
        assert not (ended and left_open), f"turn {left_open} of {name} was never ended"
    started: dict[int, ConversationStarted] = {}
    for event in events:
        if isinstance(event.event, ConversationStarted):
            started[event.event.conversation_id] = event.event
        elif isinstance(event.event, EvaluationRequested):
            assert_lawful_request(event, started)
    for name, stream in evaluations_of(events).items():
        over = assert_lawful_evaluation(stream)
        assert over or not ended, f"{name} was never ended"


def assert_lawful_dialogue(events: Iterable[AnyEvent | Unreadable]) -> str | None:
    """One learner's events: each is allowed where it stands. Returns the turn left open."""
    rules = _Rules()
    for event in events:
        rules.allow(event)
    return rules.turn.turn_id if rules.turn else None


def assert_lawful_request(asked: RecordedEvent, started: Mapping[int, ConversationStarted]) -> None:
    """An evaluation is of a conversation that has started, and names it rightly."""
    event = asked.event
    assert isinstance(event, EvaluationRequested)
    assert asked.stream == f"evaluation-{event.turn_id}"
    of = started.get(event.conversation_id)
    assert of is not None, f"{asked.stream} is of a conversation that had not started"
    assert (event.experience_id, event.user_id) == (of.experience_id, of.user_id)


def assert_lawful_evaluation(stream: Sequence[RecordedEvent]) -> bool:
    """One evaluation's events: asked for once, ended at most once. Returns whether it has ended."""
    first, *rest = stream
    assert [e.revision for e in stream] == list(range(1, len(stream) + 1))
    assert isinstance(first.event, EvaluationRequested), f"{first.stream} begins with {first.event}"
    assert len(rest) <= 1, f"{first.stream} ended twice"
    for end in rest:
        assert isinstance(end.event, EVALUATION_ENDS), f"{first.stream} ends with {end.event}"
        assert end.event.turn_id == first.event.turn_id
        assert end.event.conversation_id == first.event.conversation_id
        assert (end.content_hash is not None) == isinstance(end.event, EvaluationRecorded)
    return bool(rest)


class _Rules(msgspec.Struct):
    """What a dialogue's events have led to.

    `owner` is the process that asks the model in the turn under way, None where it left it to
    another; `takeovers` counts how often another one took it.
    `shown` maps the messages that learners have said and that were not taken back to their turns.
    `unanswered` are those of them whose turns ended without an answer, `run` those since the model
    spoke last, and `run_before` those before that where it was stopped in the middle.
    `answered` are the turns of the active conversation that ended well, `assessed` those whose
    objectives were judged, or were not for a recorded reason.
    """

    active: int | None = None
    objectives: int = 0
    turn: TurnRequest | None = None
    owner: int | None = None
    takeovers: int = 0
    shown: dict[str, str] = {}
    unanswered: set[str] = set()
    run: tuple[str, ...] = ()
    run_before: tuple[str, ...] = ()
    answered: set[str] = set()
    assessed: set[str] = set()
    covered: dict[int, str] = {}

    def allow(self, event: AnyEvent | Unreadable) -> None:
        if isinstance(event, TurnRequest):
            self._ask(event)
        elif isinstance(event, TurnTakenOver | TurnReleased):
            self._change_owner(event)
        elif isinstance(event, ENDS):
            self._end(event)
        elif isinstance(event, ConversationCompleted):
            assert event.conversation_id == self.active, "completed without being active"
            assert not isinstance(self.turn, LearnersTurn), "completed with a reply under way"
            self.active = None
        elif isinstance(event, ObjectivesAssessed | AssessmentFailed):
            self._assess(event)
        elif not isinstance(event, TextExpired | FeedbackGiven | FeedbackWithdrawn):
            raise AssertionError(f"no event of a dialogue: {event}")

    def _ask(self, event: TurnRequest) -> None:
        assert self.turn is None, f"two turns at once: {self.turn} and {event}"
        if isinstance(event, LearnersTurn):
            assert event.conversation_id == self.active, "a message to another conversation"
        if isinstance(event, MessagePosted):
            assert event.message_id not in self.shown, f"a message for the second time: {event}"
            self.run += (event.message_id,)
        if isinstance(event, MessageRetried):
            self.run = self.run or self.run_before
            assert event.message_id == self.run[-1], f"not the newest message: {event}"
            assert event.message_id in self.unanswered, f"it is answered: {event}"
            assert event.retried_turn_id == self.shown[event.message_id], f"another turn: {event}"
            self.unanswered.discard(event.message_id)
        if isinstance(event, LearnersTurn):
            self.shown[event.message_id] = event.turn_id
        self.turn, self.owner, self.takeovers = event, event.owner, 0

    def _change_owner(self, event: TurnTakenOver | TurnReleased) -> None:
        assert self.turn is not None, f"of no turn: {event}"
        assert event.turn_id == self.turn.turn_id, f"of another turn: {event}"
        assert (event.kind == "opening") == isinstance(self.turn, OpeningRequested)
        if isinstance(event, TurnReleased):
            assert event.owner == self.owner, f"released by a stranger: {event}"
            self.owner = None
            return
        assert event.number == self.takeovers + 1 <= 2, f"taken over too often: {event}"
        self.owner, self.takeovers = event.owner, event.number

    def _end(self, event: AnyEvent) -> None:
        assert isinstance(event, ENDS)
        assert self.turn is not None, f"the end of no turn: {event}"
        assert event.turn_id == self.turn.turn_id, f"the end of another turn: {event}"
        assert event.conversation_id == self.turn.conversation_id
        of_opening = isinstance(event, ConversationStarted | OpeningFailed)
        assert of_opening == isinstance(self.turn, OpeningRequested)
        if isinstance(event, ConversationStarted | ReplyCompleted):
            assert event.takeovers == self.takeovers, f"taken over otherwise: {event}"
            assert self.owner is not None, f"an answer by nobody: {event}"
        if isinstance(event, ConversationStarted):
            self._start(event)
        elif isinstance(event, ReplyCompleted):
            expected = tuple(message for message in self.run[:-1] if message in self.unanswered)
            assert event.answers == expected, f"answers other messages: {event}"
            self.unanswered -= set(event.answers)
            self.answered.add(event.turn_id)
            self.run = self.run_before = ()
        elif isinstance(event, ReplyFailed | ReplyCancelled):
            self._leave_unanswered(event)
        self.turn = None

    def _leave_unanswered(self, event: ReplyFailed | ReplyCancelled) -> None:
        if not event.kept:
            self._take_back(event.turn_id)
            self.run = self.run[:-1]
            return
        assert isinstance(self.turn, LearnersTurn)
        assert self.turn.message_id not in self.covered.values(), "it covers an objective"
        self.unanswered.add(self.turn.message_id)
        if isinstance(event, ReplyCancelled) and event.partial_message_id:
            self.run, self.run_before = (), self.run

    def _start(self, event: ConversationStarted) -> None:
        assert self.active is None, "two active conversations"
        self.active, self.objectives = event.conversation_id, len(event.objectives)
        self.shown, self.answered, self.assessed, self.covered = {}, set(), set(), {}
        self.unanswered, self.run, self.run_before = set(), (), ()

    def _take_back(self, turn_id: str) -> None:
        self.shown = {message: turn for message, turn in self.shown.items() if turn != turn_id}
        gone = set(self.covered.values()) - set(self.shown)
        assert not gone, f"an objective is covered by a message that was taken back: {gone}"

    def _assess(self, event: ObjectivesAssessed | AssessmentFailed) -> None:
        assert event.conversation_id == self.active, "assessed without being active"
        under_way = isinstance(self.turn, LearnersTurn) and self.turn.turn_id == event.turn_id
        assert under_way or event.turn_id in self.answered, f"assessed out of turn: {event}"
        assert event.turn_id not in self.assessed, f"assessed for the second time: {event}"
        self.assessed.add(event.turn_id)
        if isinstance(event, ObjectivesAssessed):
            for entry in event.covered:
                assert 1 <= entry.objective <= self.objectives, f"no such objective: {entry}"
                assert entry.objective not in self.covered, f"covered for the second time: {entry}"
                assert entry.message_id in self.shown, f"covered by no message shown: {entry}"
                self.covered[entry.objective] = entry.message_id
