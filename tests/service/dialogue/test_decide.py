"""The rules of a dialogue: given what happened, when something is asked, then this follows."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal, get_args
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore.dialogue_events import (
    AnyDialogueEvent,
    AssessmentFailed,
    ConversationCompleted,
    ConversationStarted,
    CoveredObjective,
    FeedbackGiven,
    FeedbackWithdrawn,
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
from eventstore.envelope import Actor, Metadata, RecordedEvent
from eventstore.evaluation_events import EvaluationFailed, EvaluationRecorded, EvaluationRequested
from eventstore.events import AnyEvent
from eventstore.experience_events import ExperienceCreated, ExperienceDeleted, ExperienceEdited
from eventstore.privacy_events import (
    HistoryRead,
    HoldPlaced,
    HoldReleased,
    LearnerErased,
    RetentionRuleSet,
    TextExpired,
)
from eventstore.reply_records import PromptVersion, ReplyRecord, Usage
from service.dialogue.commands import (
    Assessed,
    CancelTurn,
    Command,
    CompleteConversation,
    FailTurn,
    Failure,
    OpenConversation,
    PostMessage,
    RecordAssessment,
    RecordOpening,
    RecordReply,
    ReleaseTurn,
    RetryMessage,
    Spent,
    TakeOverTurn,
)
from service.dialogue.decide import PendingEvent, decide
from service.dialogue.messages import Message
from service.dialogue.state import Conversation, Dialogue, evolve, fold
from service.errors import (
    ConversationMoved,
    NotFound,
    NothingToRetry,
    ServiceError,
    TurnInProgress,
    TurnIsOver,
    TurnTaken,
)
from tests.service.histories import assert_lawful_dialogue

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=5)
REPLY = ReplyRecord(
    model_requested="asked",
    model="answered",
    max_tokens=100,
    prompt=PromptVersion(name="tutor.v1", sha256="00"),
    stop_reason="end_turn",
    usage=Usage(input_tokens=1),
    provider_request_id="req",
    first_token_ms=1,
    duration_ms=2,
)


def requested(conversation: int = 1, turn: str = "t1") -> OpeningRequested:
    return OpeningRequested(
        conversation_id=conversation,
        turn_id=turn,
        course_id=7,
        experience_id=8,
        experience_version=3,
        user_id=9,
        model="asked",
        owner=5,
        deadline_at=LATER,
        starting_message_id="prompt-1",
    )


def started(conversation: int = 1, turn: str = "t1") -> ConversationStarted:
    return ConversationStarted(
        conversation_id=conversation,
        turn_id=turn,
        course_id=7,
        experience_id=8,
        experience_version=3,
        user_id=9,
        objectives=("Ask", "Listen"),
        starting_prompt="Let us begin",
        starting_message_id=f"prompt-{conversation}",
        message_id=f"opening-{conversation}",
        reply=REPLY,
    )


def posted(conversation: int = 1, turn: str = "t2") -> MessagePosted:
    return MessagePosted(
        conversation_id=conversation,
        turn_id=turn,
        message_id=f"message-{turn}",
        course_id=7,
        experience_id=8,
        user_id=9,
        model="asked",
        owner=5,
        deadline_at=LATER,
    )


def retried(turn: str = "t3", of: str = "t2", message: str = "message-t2") -> MessageRetried:
    return MessageRetried(
        conversation_id=1,
        turn_id=turn,
        message_id=message,
        retried_turn_id=of,
        course_id=7,
        experience_id=8,
        user_id=9,
        model="asked",
        owner=5,
        deadline_at=LATER,
    )


def replied(conversation: int = 1, turn: str = "t2") -> ReplyCompleted:
    return ReplyCompleted(
        conversation_id=conversation, turn_id=turn, message_id=f"reply-{turn}", reply=REPLY
    )


def failed(conversation: int = 1, turn: str = "t2") -> ReplyFailed:
    return ReplyFailed(conversation_id=conversation, turn_id=turn, code="model_timeout")


def opening_failed(conversation: int = 1, turn: str = "t1") -> OpeningFailed:
    return OpeningFailed(conversation_id=conversation, turn_id=turn, code="model_timeout")


def cancelled(conversation: int = 1, turn: str = "t2") -> ReplyCancelled:
    return ReplyCancelled(
        conversation_id=conversation, turn_id=turn, reason="conversation_completed"
    )


def completed(conversation: int = 1, reason: str = "deleted") -> ConversationCompleted:
    return ConversationCompleted(conversation_id=conversation, reason=reason)  # type: ignore[arg-type]


def voted(
    message: str = "opening-1", vote: Literal["liked", "disliked"] = "liked", user: int = 9
) -> FeedbackGiven:
    return FeedbackGiven(
        conversation_id=1,
        feedback_id=f"{vote}-{message}-{user}",
        message_id=message,
        user_id=user,
        vote=vote,
    )


def withdrawn(message: str = "opening-1", user: int = 9) -> FeedbackWithdrawn:
    return FeedbackWithdrawn(
        conversation_id=1, feedback_id=f"liked-{message}-{user}", message_id=message, user_id=user
    )


CREATED = ExperienceCreated(
    experience_id=8,
    course_id=7,
    title="Tides",
    description="",
    facts="",
    learning_objective="Ask",
    pedagogical_guidance="Be kind",
    workflow_state="published",
)
EDITED = ExperienceEdited(**msgspec.structs.asdict(CREATED))
ONE_OF_EACH: tuple[AnyEvent, ...] = (
    retried(),
    TurnTakenOver(
        conversation_id=1, turn_id="t2", kind="message", owner=6, deadline_at=LATER, number=1
    ),
    TurnReleased(conversation_id=1, turn_id="t2", kind="message", owner=5),
    *(requested(), started(), posted(), replied(), failed(), opening_failed(), cancelled()),
    *(completed(), CREATED, EDITED, ExperienceDeleted(experience_id=8, course_id=7)),
    *(voted(), withdrawn()),
    TextExpired(conversation_id=1, user_id=9, texts=3, rule="erasure"),
    LearnerErased(
        user_id=9, reason="asked", texts=3, conversations=1, names=1, identities=0, tokens=1
    ),
    *(HoldPlaced(hold_id=1, user_id=9, reason="a case"), RetentionRuleSet(course_id=7, days=30)),
    HoldReleased(hold_id=1, user_id=9, reason="it is closed"),
    HistoryRead(what="conversation", learner_id=9, conversation_id=1),
    ObjectivesAssessed(
        conversation_id=1,
        turn_id="t2",
        covered=(CoveredObjective(1, "message-t2"),),
        judgement=REPLY,
    ),
    AssessmentFailed(conversation_id=1, turn_id="t2", code="model_timeout"),
    EvaluationRequested(
        conversation_id=1,
        turn_id="t9",
        course_id=7,
        experience_id=8,
        experience_version=3,
        user_id=9,
        model="asked",
        owner=5,
        deadline_at=LATER,
    ),
    EvaluationRecorded(conversation_id=1, turn_id="t9", experience_version=3, judgement=REPLY),
    EvaluationFailed(conversation_id=1, turn_id="t9", code="model_timeout"),
)
_UNMOVED = (
    *(ExperienceCreated, ExperienceEdited, ExperienceDeleted, AssessmentFailed),
    *(EvaluationRequested, EvaluationRecorded, EvaluationFailed),
)

NEW: tuple[AnyEvent, ...] = ()
OPENING = (requested(),)
ACTIVE = (*OPENING, started())
ASKED = (*ACTIVE, posted())
REOPENING = (*ACTIVE, requested(2, "t3"))
DONE = (*ACTIVE, completed())
HISTORIES = {
    "new": NEW,
    "opening": OPENING,
    "opening failed": (*OPENING, opening_failed()),
    "active": ACTIVE,
    "asked": ASKED,
    "answered": (*ASKED, replied()),
    "reply failed": (*ASKED, failed()),
    "completed": DONE,
    "cancelled": (*ASKED, cancelled(), completed()),
    "reopening": REOPENING,
    "reopening failed": (*REOPENING, opening_failed(2, "t3")),
    "reopening after the end": (*DONE, requested(2, "t3")),
    "superseded": (*REOPENING, completed(1, "superseded"), started(2, "t3")),
}


def recorded(number: int, event: AnyEvent, content: str | None) -> RecordedEvent:
    """The event as the log has it at that revision; the events are a minute apart."""
    return RecordedEvent(
        account_id=1,
        position=number + 100,
        stream="dialogue-8-9",
        revision=number,
        event_id=UUID(int=number),
        event=event,
        metadata=Metadata(actor=Actor(9, "learner")),
        recorded_at=NOON + timedelta(minutes=number),
        content=content,
    )


def record(events: Sequence[AnyEvent], contents: Sequence[str | None] = ()) -> list[RecordedEvent]:
    """The events as the log has them."""
    padded = [*contents, *["text"] * (len(events) - len(contents))]
    pairs = zip(events, padded, strict=True)
    return [recorded(number, *pair) for number, pair in enumerate(pairs, start=1)]


def after(events: Sequence[AnyEvent]) -> Dialogue:
    """The dialogue given these events."""
    return fold(record(events))


def active_in(dialogue: Dialogue) -> Conversation:
    assert dialogue.active is not None
    return dialogue.active


def open_(conversation: int = 2, turn: str = "t3") -> OpenConversation:
    return msgspec.convert(msgspec.structs.asdict(requested(conversation, turn)), OpenConversation)


SPENT = Spent(provider_request_id="req", duration_ms=7, cost_microusd=11)


def assess(*objectives: int) -> Assessed:
    covered = tuple(CoveredObjective(n, "message-t2") for n in objectives)
    return Assessed(covered=covered, judgement=REPLY)


def record_opening(turn: str = "t1") -> RecordOpening:
    return RecordOpening(
        turn_id=turn,
        objectives=("Ask", "Listen"),
        starting_prompt="Let us begin",
        starting_message_id="prompt-1",
        message_id="opening-1",
        text="Good day",
        reply=REPLY,
    )


def post(conversation: int = 1, turn: str = "t2") -> PostMessage:
    return PostMessage(
        conversation_id=conversation,
        turn_id=turn,
        message_id=f"message-{turn}",
        text="Why?",
        model="asked",
        owner=5,
        deadline_at=LATER,
    )


def record_reply(turn: str = "t2") -> RecordReply:
    return RecordReply(turn_id=turn, message_id=f"reply-{turn}", text="Because", reply=REPLY)


def fail(turn: str = "t2", partial: str = "") -> FailTurn:
    failure = Failure(
        code="model_timeout",
        detail="late",
        partial_text=partial,
        spent=SPENT,
    )
    return FailTurn(turn_id=turn, failure=failure)


COMPLETE = CompleteConversation(conversation_id=1)
REPLY_6 = record_reply("t6")
FAILED_ASSESSMENT = Failure(code="model_timeout")


@pytest.mark.parametrize(
    "name",
    ["new", "opening failed", "active", "answered", "reply failed", "completed", "cancelled"],
)
def test_opening_is_asked_for_whenever_no_turn_is_under_way(name: str) -> None:
    """The old conversation, if any, stays as it is until the model has spoken."""
    state = after(HISTORIES[name])
    assert decide(state, open_()) == [PendingEvent(requested(2, "t3"))]


@pytest.mark.parametrize(
    ("name", "turn"), [("opening", "t1"), ("asked", "t2"), ("reopening", "t3")]
)
@pytest.mark.parametrize("command", [open_(3, "t4"), post(1, "t4")], ids=["open", "post"])
def test_nobody_begins_a_turn_while_one_is_under_way(
    name: str, turn: str, command: Command
) -> None:
    """The refusal names it; where there is no conversation, there is nothing to post to."""
    state = after(HISTORIES[name])
    if name == "opening" and isinstance(command, PostMessage):
        with pytest.raises(NotFound):
            decide(state, command)
        return
    with pytest.raises(TurnInProgress) as refused:
        decide(state, command)
    assert refused.value.turn_id == turn


def test_an_opening_starts_the_conversation_that_was_asked_for() -> None:
    assert decide(after(OPENING), record_opening()) == [PendingEvent(started(), "Good day")]


def test_an_opening_completes_the_active_conversation_first() -> None:
    """In the same append, so that there is never a moment without or with two."""
    superseded, begun = decide(after(REOPENING), record_opening("t3"))
    assert superseded == PendingEvent(completed(1, "superseded"))
    assert isinstance(begun.event, ConversationStarted)
    assert (begun.event.conversation_id, begun.content) == (2, "Good day")


def test_a_message_goes_to_the_active_conversation_with_its_text_as_content() -> None:
    assert decide(after(ACTIVE), post()) == [PendingEvent(posted(), "Why?")]


@pytest.mark.parametrize(
    ("name", "conversation"),
    [
        *(("new", 1), ("opening failed", 1), ("completed", 1), ("cancelled", 1)),
        *(("active", 2), ("superseded", 1), ("reopening", 2)),
    ],
)
@pytest.mark.parametrize("kind", [post, lambda c: CompleteConversation(conversation_id=c)])
def test_only_the_active_conversation_takes_messages_and_can_be_completed(
    name: str, conversation: int, kind: Callable[[int], Command]
) -> None:
    with pytest.raises(NotFound):
        decide(after(HISTORIES[name]), kind(conversation))


def test_a_reply_ends_the_turn_that_was_asked_for() -> None:
    assert decide(after(ASKED), record_reply()) == [PendingEvent(replied(), "Because")]


@pytest.mark.parametrize("partial", ["", "Half a"])
def test_a_failed_turn_keeps_what_had_arrived_as_content(partial: str) -> None:
    """None where nothing had; and all that is known of the failure."""
    told = {"detail": "late", **msgspec.structs.asdict(SPENT)}
    of_reply = msgspec.structs.replace(failed(), kept=True, **told)
    assert decide(after(ASKED), fail("t2", partial)) == [PendingEvent(of_reply, partial or None)]
    of_opening = msgspec.structs.replace(opening_failed(), **told)
    assert decide(after(OPENING), fail("t1", partial)) == [
        PendingEvent(of_opening, partial or None)
    ]


@pytest.mark.parametrize("name", [n for n in HISTORIES if n not in {"asked"}])
@pytest.mark.parametrize("command", [record_reply(), fail()], ids=["reply", "failure"])
def test_a_turn_that_is_over_does_not_end_again(name: str, command: Command) -> None:
    """Whatever became of it, and even while another turn is under way."""
    with pytest.raises(TurnIsOver):
        decide(after(HISTORIES[name]), command)


@pytest.mark.parametrize("name", [n for n in HISTORIES if n != "opening"])
def test_an_opening_that_is_over_starts_nothing(name: str) -> None:
    with pytest.raises(TurnIsOver):
        decide(after(HISTORIES[name]), record_opening("t1"))


def test_a_message_is_not_answered_by_an_opening_nor_an_opening_by_a_reply() -> None:
    with pytest.raises(TurnIsOver):
        decide(after(ASKED), record_opening("t2"))
    with pytest.raises(TurnIsOver):
        decide(after(OPENING), record_reply("t1"))


@pytest.mark.parametrize(
    "name", ["active", "answered", "reply failed", "reopening", "reopening failed"]
)
def test_completing_ends_the_conversation_and_nothing_else(name: str) -> None:
    assert decide(after(HISTORIES[name]), COMPLETE) == [PendingEvent(completed())]


def test_a_conversation_is_not_completed_in_the_middle_of_a_reply() -> None:
    """Whoever wants that stops the reply first; an opening under way is no reply in it."""
    with pytest.raises(TurnInProgress) as refused:
        decide(after(ASKED), COMPLETE)
    assert refused.value.turn_id == "t2"


def test_a_cancelled_reply_keeps_what_had_arrived_and_what_it_took() -> None:
    command = CancelTurn(turn_id="t2", reason="requested", partial_text="Half", spent=SPENT)
    stopped = msgspec.structs.replace(
        cancelled(), reason="requested", kept=True, **msgspec.structs.asdict(SPENT)
    )
    assert decide(after(ASKED), command) == [PendingEvent(stopped, "Half")]


def test_a_cancelled_opening_is_one_that_failed() -> None:
    command = CancelTurn(turn_id="t1", reason="requested", partial_text="Half", spent=SPENT)
    (fact,) = decide(after(OPENING), command)
    assert isinstance(fact.event, OpeningFailed)
    assert (fact.event.code, fact.event.cost_microusd, fact.content) == ("cancelled", 11, "Half")


def test_a_message_is_refused_where_the_conversation_has_moved_on() -> None:
    """Its revision is that of the last event which changed what is seen."""
    then = frozenset({active_in(after(ACTIVE)).revision})
    command = msgspec.structs.replace(post(1, "t3"), if_revision=then)
    assert decide(after(ACTIVE), command) == [PendingEvent(posted(1, "t3"), "Why?")]
    assert decide(after(HISTORIES["reply failed"]), command)
    for name in ("asked", "answered"):
        with pytest.raises(ConversationMoved):
            decide(after(HISTORIES[name]), command)
    with pytest.raises(ConversationMoved):
        decide(after(ACTIVE), msgspec.structs.replace(command, if_revision=frozenset()))


def test_objectives_are_covered_once_and_for_all() -> None:
    """What was covered before is left out of the next assessment, in whatever order it comes."""
    first = msgspec.structs.replace(record_reply(), assessment=assess(2))
    facts = decide(after(ASKED), first)
    assert [type(fact.event) for fact in facts] == [ObjectivesAssessed, ReplyCompleted]
    history = (*ASKED, *(fact.event for fact in facts))
    assert active_in(after(history)).open_objectives == (1,)
    late = RecordAssessment(conversation_id=1, turn_id="t2", assessment=assess(2, 1))
    (fact,) = decide(after(history), late)
    assert isinstance(fact.event, ObjectivesAssessed)
    assert [covered.objective for covered in fact.event.covered] == [1]
    state = active_in(after((*history, fact.event)))
    assert state.open_objectives == ()
    assert state.revision == len(history) + 1


@pytest.mark.parametrize(
    "command",
    [fail(), CancelTurn(turn_id="t2", reason="requested")],
    ids=["failed", "cancelled"],
)
def test_a_turn_without_a_reply_covers_nothing_but_keeps_the_cost(
    command: FailTurn | CancelTurn,
) -> None:
    facts = decide(after(ASKED), msgspec.structs.replace(command, assessment=assess(1)))
    assessed = facts[0].event
    assert isinstance(assessed, ObjectivesAssessed)
    assert (assessed.covered, assessed.judgement) == ((), REPLY)
    assert len(facts) == 2


def test_an_assessment_that_failed_is_on_record_and_the_reply_stands() -> None:
    failure = Failure(code="model_timeout", spent=SPENT)
    facts = decide(after(ASKED), msgspec.structs.replace(record_reply(), assessment=failure))
    assert [type(fact.event) for fact in facts] == [AssessmentFailed, ReplyCompleted]
    assert active_in(after((*ASKED, *(f.event for f in facts)))).open_objectives == (1, 2)


@pytest.mark.parametrize("name", ["completed", "superseded", "reply failed"])
def test_a_late_assessment_of_what_is_not_there_any_more_is_refused(name: str) -> None:
    late = RecordAssessment(conversation_id=1, turn_id="t2", assessment=assess(1))
    with pytest.raises(NotFound):
        decide(after(HISTORIES[name]), late)


def test_decide_changes_nothing() -> None:
    state = after(ASKED)
    decide(state, record_reply())
    assert state == after(ASKED)


def test_an_active_conversation_shows_the_prompt_and_the_opening() -> None:
    state = fold(record(ACTIVE, [None, "Good day"]))
    moment = NOON + timedelta(minutes=2)
    assert state == Dialogue(
        revision=2,
        active=Conversation(
            id=1,
            course_id=7,
            experience_id=8,
            experience_version=3,
            user_id=9,
            objectives=("Ask", "Listen"),
            messages=(
                Message(
                    id="prompt-1",
                    turn_id="t1",
                    role="User",
                    text="Let us begin",
                    created_at=moment,
                    revision=2,
                ),
                Message(
                    id="opening-1",
                    turn_id="t1",
                    role="Assistant",
                    text="Good day",
                    created_at=moment,
                    revision=2,
                ),
            ),
            shown_revision=2,
        ),
        turn=None,
    )


def test_messages_and_replies_stand_in_their_order() -> None:
    events = (*ASKED, replied(), posted(1, "t3"), replied(1, "t3"))
    shown = active_in(fold(record(events, [None, "Hi", "Why?", "Because", "Why so?", "Well"])))
    assert [(m.role, m.text) for m in shown.messages[2:]] == [
        ("User", "Why?"),
        ("Assistant", "Because"),
        ("User", "Why so?"),
        ("Assistant", "Well"),
    ]


def test_an_erased_text_is_none_and_its_message_stays() -> None:
    shown = active_in(fold(record(ASKED, [None, None, None])))
    assert [m.text for m in shown.messages] == ["Let us begin", None, None]


@pytest.mark.parametrize("end", [failed(1, "t3"), cancelled(1, "t3")], ids=["failed", "cancelled"])
def test_a_turn_without_a_reply_leaves_the_view_and_others_stay(end: AnyEvent) -> None:
    events = (*ASKED, replied(), posted(1, "t3"), end)
    assert active_in(after(events)).messages == active_in(after(events[:4])).messages
    assert after(events).turn is None


@pytest.mark.parametrize(
    ("name", "turn", "active"),
    [
        ("new", None, None),
        ("opening", "t1", None),
        ("opening failed", None, None),
        ("active", None, 1),
        ("asked", "t2", 1),
        ("answered", None, 1),
        ("reply failed", None, 1),
        ("completed", None, None),
        ("cancelled", None, None),
        ("reopening", "t3", 1),
        ("reopening failed", None, 1),
        ("reopening after the end", "t3", None),
        ("superseded", None, 2),
    ],
)
def test_a_history_leads_to_a_turn_and_a_conversation(
    name: str, turn: str | None, active: int | None
) -> None:
    state = after(HISTORIES[name])
    assert (state.turn.id if state.turn else None) == turn
    assert (state.active.id if state.active else None) == active
    assert state.revision == len(HISTORIES[name])


def test_the_samples_are_one_of_each_type() -> None:
    assert {type(event) for event in ONE_OF_EACH} == set(get_args(AnyEvent))


@pytest.mark.parametrize("name", HISTORIES)
@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda e: type(e).__name__)
def test_evolve_takes_any_event_in_any_state(name: str, event: AnyEvent) -> None:
    """A log is never refused, whatever is in it; the revision is that of the last event."""
    history = HISTORIES[name]
    state = evolve(after(history), record([*history, event])[-1])
    assert state.revision == len(history) + 1
    assert isinstance(event, _UNMOVED) <= (
        msgspec.structs.replace(state, revision=len(history)) == after(history)
    )


def votes_after(*events: AnyEvent) -> list[tuple[str, int, str]]:
    conversation = active_in(after((*HISTORIES["answered"], *events)))
    return [(f.message_id, f.user_id, f.vote) for f in conversation.feedback]


def test_a_vote_replaces_the_voters_last_on_the_message_and_no_other() -> None:
    first = (voted(), voted("reply-t2"), voted(user=5))
    others = [("reply-t2", 9, "liked"), ("opening-1", 5, "liked")]
    assert votes_after(*first) == [("opening-1", 9, "liked"), *others]
    changed = votes_after(*first, voted(vote="disliked"))
    assert changed == [*others, ("opening-1", 9, "disliked")]
    assert votes_after(*first, withdrawn()) == others


def test_a_vote_changes_what_is_shown_and_its_withdrawal_does_too() -> None:
    revisions = [
        active_in(after((*HISTORIES["answered"], *events))).revision
        for events in ((), (voted(),), (voted(), withdrawn()))
    ]
    answered = len(HISTORIES["answered"])
    assert revisions == [answered, answered + 1, answered + 2]


def test_a_vote_on_an_earlier_conversation_does_not_touch_the_active_one() -> None:
    history = HISTORIES["superseded"]
    assert active_in(after((*history, voted()))) == active_in(after(history))
    assert after((*HISTORIES["completed"], voted())).active is None


CONVERSATION_IDS = st.integers(1, 4)
TURN_IDS = st.sampled_from(["t1", "t2", "t3", "t4", "t5", "t6"])
COMMANDS: st.SearchStrategy[Command] = st.one_of(
    st.builds(post, CONVERSATION_IDS, TURN_IDS),
    st.builds(record_opening, TURN_IDS),
    st.builds(record_reply, TURN_IDS),
    st.builds(fail, TURN_IDS, st.sampled_from(["", "half"])),
    st.builds(lambda t: CancelTurn(turn_id=t, reason="requested"), TURN_IDS),
    st.builds(
        lambda c, t, n: RecordAssessment(conversation_id=c, turn_id=t, assessment=assess(*n)),
        CONVERSATION_IDS,
        TURN_IDS,
        st.sets(st.integers(1, 2)),
    ),
    st.builds(lambda c: CompleteConversation(conversation_id=c), CONVERSATION_IDS),
    st.builds(lambda of, turn: retry(of, turn), TURN_IDS, TURN_IDS),
    st.builds(lambda turn, owner: take_over(turn, owner), TURN_IDS, st.integers(6, 9)),
    st.builds(lambda turn: ReleaseTurn(turn_id=turn), TURN_IDS),
)


OF_TURNS = (RecordOpening, RecordReply, FailTurn, CancelTurn, TakeOverTurn, ReleaseTurn)


class Script(msgspec.Struct):
    """Carries out commands one after another, as the service would."""

    state: Dialogue
    log: list[RecordedEvent]
    accepted: int = 0

    def carry_out(self, command: Command) -> None:
        try:
            facts = decide(self.state, command)
        except ServiceError:
            return
        self.accepted += 1
        for fact in facts:
            self.log.append(recorded(len(self.log) + 1, fact.event, fact.content))
            self.state = evolve(self.state, self.log[-1])

    def likely(self, command: Command) -> Command:
        """The command, aimed at what is there, so that much of it is accepted."""
        turn, active = self.state.turn, self.state.active
        if turn and isinstance(command, OF_TURNS):
            return msgspec.structs.replace(command, turn_id=turn.id)
        if active and active.unanswered and isinstance(command, RetryMessage):
            return msgspec.structs.replace(
                command, conversation_id=active.id, retried_turn_id=active.unanswered.turn_id
            )
        if active and isinstance(command, PostMessage | CompleteConversation):
            return msgspec.structs.replace(command, conversation_id=active.id)
        return command


def played(steps: list[tuple[Command | None, bool]]) -> Script:
    """Plays commands; None opens a conversation with an id of its own, as the service does."""
    script = Script(state=Dialogue(), log=[])
    for number, (command, aimed) in enumerate(steps):
        if command is None:
            script.carry_out(open_(number + 1, f"opening-{number}"))
        else:
            script.carry_out(script.likely(command) if aimed else command)
    return script


STEPS = st.lists(st.tuples(st.none() | COMMANDS, st.booleans()), max_size=40)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_no_sequence_of_commands_makes_two_turns_or_two_conversations(
    steps: list[tuple[Command | None, bool]],
) -> None:
    """Told by rules of the test's own, not by the code that folds."""
    script = played(steps)
    left_open = assert_lawful_dialogue(e.event for e in script.log)
    assert left_open == (script.state.turn.id if script.state.turn else None)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_the_log_leads_to_the_state_that_decide_saw(
    steps: list[tuple[Command | None, bool]],
) -> None:
    """Read whole, or only from the last start on, as the service reads it."""
    script = played(steps)
    assert fold(script.log) == script.state
    starts = [n for n, e in enumerate(script.log) if isinstance(e.event, ConversationStarted)]
    assert fold(script.log[starts[-1] if starts else 0 :]) == script.state


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_the_model_never_speaks_twice_in_a_row(
    steps: list[tuple[Command | None, bool]],
) -> None:
    """The learner may, where there was no answer."""
    script = played(steps)
    messages = script.state.active.messages if script.state.active else ()
    roles = [m.role for m in messages]
    assert roles[:2] in ([], ["User", "Assistant"])
    assert ("Assistant", "Assistant") not in pairwise(roles)


def test_the_random_sequences_get_far() -> None:
    """A check of the tests above: commands aimed at what is there are accepted."""
    aimed: list[tuple[Command | None, bool]] = [
        *((None, True), (record_opening(), True), (post(), True), (record_reply(), True)),
        *((None, True), (record_opening(), True), (COMPLETE, True), (None, True), (fail(), True)),
    ]
    assert played(aimed).accepted == len(aimed)


def test_every_dialogue_event_can_come_from_a_command() -> None:
    """Votes come from none: they are lawful wherever the dialogue stands."""
    aimed: list[tuple[Command | None, bool]] = [
        *((None, True), (fail(), True), (None, True), (record_opening(), True)),
        *((post(), True), (record_reply(), True), (post(1, "t4"), True), (fail(), True)),
        *((post(1, "t5"), True), (CancelTurn(turn_id="t5", reason="requested"), True)),
        *((post(1, "t6"), True), (msgspec.structs.replace(REPLY_6, assessment=assess(1)), True)),
        (RecordAssessment(conversation_id=3, turn_id="t6", assessment=FAILED_ASSESSMENT), True),
        *((post(1, "t7"), True), (fail("t7"), True), (retry("t7", "t8"), True)),
        *((ReleaseTurn(turn_id="t8"), True), (take_over("t8"), True), (fail("t8"), True)),
        (COMPLETE, True),
    ]
    assert played(aimed).accepted == len(aimed)
    made = {type(e.event) for e in played(aimed).log}
    assert made == set(get_args(AnyDialogueEvent)) - {FeedbackGiven, FeedbackWithdrawn}


KEPT = msgspec.structs.replace(failed(), kept=True)
STOPPED = msgspec.structs.replace(cancelled(), kept=True)
SEEN = msgspec.structs.replace(STOPPED, partial_message_id="seen-t2")


def retry(of: str = "t2", turn: str = "t3") -> RetryMessage:
    return RetryMessage(
        conversation_id=1,
        turn_id=turn,
        retried_turn_id=of,
        model="asked",
        owner=5,
        deadline_at=LATER,
    )


@pytest.mark.parametrize("end", [KEPT, STOPPED, SEEN], ids=["failed", "stopped", "seen"])
def test_the_newest_message_without_an_answer_is_retried(end: AnyEvent) -> None:
    assert decide(after((*ASKED, end)), retry()) == [PendingEvent(retried())]


@pytest.mark.parametrize(
    "history",
    [
        *(ACTIVE, (*ASKED, replied()), (*ASKED, failed()), (*ASKED, cancelled())),
        (*ASKED, KEPT, posted(1, "t3"), replied(1, "t3")),
        (*ASKED, KEPT, posted(1, "t3"), msgspec.structs.replace(KEPT, turn_id="t3")),
        (*ASKED, KEPT, retried(), msgspec.structs.replace(KEPT, turn_id="t3")),
    ],
    ids=[
        *("none", "answered", "taken back", "taken back by a stop", "answered by the next"),
        *("not the newest", "another turn"),
    ],
)
def test_nothing_else_is_retried(history: Sequence[AnyEvent]) -> None:
    with pytest.raises(NothingToRetry):
        decide(after(history), retry())


def test_a_message_is_retried_in_its_active_conversation_without_a_turn_under_way() -> None:
    with pytest.raises(TurnInProgress):
        decide(after((*ASKED, KEPT, retried())), retry("t3", "t4"))
    with pytest.raises(NotFound):
        decide(after((*ASKED, KEPT, completed())), retry())


def test_the_same_words_right_after_a_message_without_an_answer_are_its_retry() -> None:
    same, other = (
        msgspec.structs.replace(post(1, "t3"), text=text) for text in ("text", "Something else")
    )
    assert decide(after((*ASKED, KEPT)), same) == [PendingEvent(retried())]
    assert decide(after((*ASKED, KEPT)), other) == [PendingEvent(posted(1, "t3"), "Something else")]
    (after_seen,) = decide(after((*ASKED, SEEN)), same)
    assert after_seen.event == posted(1, "t3"), "the newest message is the partial reply"


def test_a_stop_keeps_only_a_partial_text_that_shows_something() -> None:
    for partial, kept in (("Half", "seen"), ("", None), (" \n", None)):
        command = CancelTurn(
            turn_id="t2", reason="requested", partial_text=partial, partial_message_id="seen"
        )
        (fact,) = decide(after(ASKED), command)
        assert isinstance(fact.event, ReplyCancelled)
        assert fact.event.partial_message_id == kept


def test_a_reply_answers_the_messages_right_before_its_own() -> None:
    """Not those that the model has spoken after, be it only in part."""
    twice = (*ASKED, KEPT, posted(1, "t3"))
    (reply,) = decide(after(twice), record_reply("t3"))
    assert reply.event == msgspec.structs.replace(replied(1, "t3"), answers=("message-t2",))
    (reply,) = decide(after((*ASKED, SEEN, posted(1, "t3"))), record_reply("t3"))
    assert reply.event == replied(1, "t3")


def states_in(history: Sequence[AnyEvent]) -> list[tuple[str, str, str | None]]:
    """Id, turn and state of what came after the opening."""
    messages = active_in(after(history)).messages[2:]
    return [(message.id, message.turn_id, message.state) for message in messages]


def test_a_message_says_whether_it_has_an_answer() -> None:
    assert states_in((*ASKED, KEPT)) == [("message-t2", "t2", "unanswered")]
    seen = [("message-t2", "t2", "stopped"), ("seen-t2", "t2", "incomplete")]
    assert states_in((*ASKED, SEEN)) == seen
    assert states_in((*ASKED, SEEN, retried())) == [("message-t2", "t3", None)]
    both = msgspec.structs.replace(replied(1, "t3"), answers=("message-t2",))
    assert states_in((*ASKED, KEPT, posted(1, "t3"), both)) == [
        *(("message-t2", "t2", None), ("message-t3", "t3", None), ("reply-t3", "t3", None))
    ]


def test_what_clients_see_has_another_revision_after_each_of_these_events() -> None:
    history = (*ASKED, KEPT, retried(), msgspec.structs.replace(SEEN, turn_id="t3"))
    for number in range(len(ASKED), len(history) + 1):
        assert active_in(after(history[:number])).revision == number


def take_over(turn: str = "t2", owner: int = 6) -> TakeOverTurn:
    return TakeOverTurn(turn_id=turn, owner=owner, deadline_at=LATER)


TAKEN = TurnTakenOver(
    conversation_id=1, turn_id="t2", kind="message", owner=6, deadline_at=LATER, number=1
)


def test_a_turn_is_taken_over_once_more_each_time() -> None:
    assert decide(after(ASKED), take_over()) == [PendingEvent(TAKEN)]
    (second,) = decide(after((*ASKED, TAKEN)), take_over(owner=7))
    assert second.event == msgspec.structs.replace(TAKEN, owner=7, number=2)
    with pytest.raises(TurnTaken):
        decide(after((*ASKED, TAKEN, second.event)), take_over(owner=8))
    with pytest.raises(TurnIsOver):
        decide(after((*ASKED, replied())), take_over())


def test_a_former_owner_ends_nothing() -> None:
    """Neither where the turn was taken over nor where it has left it."""
    released = TurnReleased(conversation_id=1, turn_id="t2", kind="message", owner=5)
    ends: tuple[RecordReply | FailTurn, ...] = (record_reply(), fail())
    for history, owner in (((*ASKED, TAKEN), 5), ((*ASKED, released), 5), (ASKED, 6)):
        for end in ends:
            with pytest.raises(TurnTaken):
                decide(after(history), msgspec.structs.replace(end, owner=owner))
        with pytest.raises(TurnTaken):
            decide(after(history), ReleaseTurn(turn_id="t2", owner=owner))
    opening = (*OPENING, msgspec.structs.replace(TAKEN, turn_id="t1", kind="opening"))
    with pytest.raises(TurnTaken):
        decide(after(opening), msgspec.structs.replace(record_opening(), owner=5))
    (begun,) = decide(after(opening), msgspec.structs.replace(record_opening(), owner=6))
    assert begun.event == msgspec.structs.replace(started(), takeovers=1)


def test_an_owner_ends_its_turn_and_a_person_anybodys() -> None:
    (reply,) = decide(after((*ASKED, TAKEN)), msgspec.structs.replace(record_reply(), owner=6))
    assert reply.event == msgspec.structs.replace(replied(), takeovers=1)
    assert decide(after((*ASKED, TAKEN)), CancelTurn(turn_id="t2", reason="requested"))
    (given_up,) = decide(after((*ASKED, TAKEN)), fail())
    assert isinstance(given_up.event, ReplyFailed)
    (left,) = decide(after(ASKED), ReleaseTurn(turn_id="t2", owner=5, partial_text="Half"))
    assert (left.event, left.content) == (
        TurnReleased(conversation_id=1, turn_id="t2", kind="message", owner=5),
        "Half",
    )
