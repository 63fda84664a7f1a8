"""Event types are permanent: every stored event can always be decoded.

`golden/<type>.json` holds one stored example of each type. A golden file is never edited: a
changed form is a new version with an upcaster and a file of its own.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from eventstore.codec import decode_event, encode
from eventstore.dialogue_events import (
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
from eventstore.evaluation_events import EvaluationFailed, EvaluationRecorded, EvaluationRequested
from eventstore.events import AnyEvent, type_name
from eventstore.experience_events import ExperienceCreated, ExperienceDeleted, ExperienceEdited
from eventstore.privacy_events import (
    HistoryRead,
    HoldPlaced,
    HoldReleased,
    LearnerErased,
    RetentionRuleSet,
    TextExpired,
)
from eventstore.reply_records import AttemptRecord, ContextRecord, PromptVersion, ReplyRecord, Usage

GOLDEN = Path(__file__).parent / "golden"
TURN = "0198c0de-0000-7000-8000-000000000001"
MESSAGE = "0198c0de-0000-7000-8000-000000000002"
PROMPT = "0198c0de-0000-7000-8000-000000000003"
FEEDBACK = "0198c0de-0000-7000-8000-000000000004"
DEADLINE = datetime(2026, 8, 1, 12, 30, 15, 250_000, tzinfo=UTC)
REPLY = ReplyRecord(
    model_requested="claude-sonnet",
    model="claude-sonnet-20260801",
    max_tokens=1024,
    prompt=PromptVersion("tutor_v1", "5f" * 32),
    stop_reason="end_turn",
    usage=Usage(
        input_tokens=1200,
        output_tokens=85,
        cache_creation_input_tokens=300,
        cache_read_input_tokens=4000,
    ),
    provider_request_id="req_011CSHoEeqs5C35K2UUqR7Fy",
    first_token_ms=412,
    duration_ms=2048,
    attempts=2,
)
ATTEMPTS = (
    AttemptRecord(
        model="claude-sonnet",
        outcome="model_overloaded",
        detail="HTTP 529 overloaded_error",
        provider_request_id="req_1",
        duration_ms=120,
    ),
    AttemptRecord(
        model="claude-haiku-5-5",
        outcome="completed",
        usage=Usage(input_tokens=1200, output_tokens=85),
        cost_microusd=163,
        provider_request_id="req_2",
        duration_ms=900,
        waited_ms=512,
    ),
)
JUDGEMENT = msgspec.structs.replace(
    REPLY,
    attempt_records=ATTEMPTS,
    fallback=True,
    price_version="2026-11-22",
    cost_microusd=163,
    context=ContextRecord(messages_sent=42, messages_left_out=20, estimated_tokens=99_000),
)
UNANSWERED: dict[str, Any] = {
    "conversation_id": 16,
    "turn_id": TURN,
    "code": "model_overloaded",
    "detail": "HTTP 529 overloaded_error",
    "retryable": True,
    "retry_after": 2.5,
    "model": "claude-haiku-5-5",
    "usage": Usage(input_tokens=12, output_tokens=3),
    "provider_request_id": "req_2",
    "duration_ms": 31000,
    "attempt_records": ATTEMPTS,
    "price_version": "2026-11-22",
    "cost_microusd": 163,
}
EXAMPLES: tuple[AnyEvent, ...] = (
    OpeningRequested(
        conversation_id=16,
        turn_id=TURN,
        course_id=1,
        experience_id=2,
        experience_version=3,
        user_id=101,
        model="claude-sonnet",
        owner=281474976710655,
        deadline_at=DEADLINE,
    ),
    OpeningFailed(
        conversation_id=16,
        turn_id=TURN,
        code="overloaded",
        detail="scripted overloaded_error",
        provider_request_id="req_1",
        duration_ms=31000,
    ),
    ConversationStarted(
        conversation_id=16,
        turn_id=TURN,
        course_id=1,
        experience_id=2,
        experience_version=3,
        user_id=101,
        objectives=("Explain winter", "Compare the hemispheres – naïvely"),
        starting_prompt="Let us begin.",
        starting_message_id=PROMPT,
        message_id=MESSAGE,
        reply=REPLY,
    ),
    MessagePosted(
        conversation_id=16,
        turn_id=TURN,
        message_id=MESSAGE,
        course_id=1,
        experience_id=2,
        user_id=101,
        model="claude-sonnet",
        owner=281474976710655,
        deadline_at=DEADLINE,
    ),
    MessageRetried(
        conversation_id=16,
        turn_id=TURN,
        message_id=MESSAGE,
        retried_turn_id="0198c0de-0000-7000-8000-000000000009",
        course_id=1,
        experience_id=2,
        user_id=101,
        model="claude-sonnet",
        owner=281474976710655,
        deadline_at=DEADLINE,
    ),
    TurnTakenOver(
        conversation_id=16,
        turn_id=TURN,
        kind="message",
        owner=281474976710655,
        deadline_at=DEADLINE,
        number=1,
    ),
    TurnReleased(
        conversation_id=16,
        turn_id=TURN,
        kind="message",
        owner=281474976710655,
        model="claude-sonnet",
        provider_request_id="req_1",
        duration_ms=31000,
        price_version="2026-11-22",
        cost_microusd=163,
    ),
    ReplyCompleted(conversation_id=16, turn_id=TURN, message_id=MESSAGE, reply=REPLY),
    ReplyFailed(
        conversation_id=16,
        turn_id=TURN,
        code="stalled",
        detail="nothing came for 30 s",
        provider_request_id=None,
        duration_ms=None,
    ),
    ReplyCancelled(conversation_id=16, turn_id=TURN, reason="conversation_completed"),
    ObjectivesAssessed(
        conversation_id=16,
        turn_id=TURN,
        covered=(CoveredObjective(2, MESSAGE),),
        judgement=JUDGEMENT,
    ),
    AssessmentFailed(**UNANSWERED),
    EvaluationRequested(
        conversation_id=16,
        turn_id=TURN,
        course_id=1,
        experience_id=2,
        experience_version=4,
        user_id=101,
        model="claude-sonnet",
        owner=281474976710655,
        deadline_at=DEADLINE,
    ),
    EvaluationRecorded(conversation_id=16, turn_id=TURN, experience_version=4, judgement=JUDGEMENT),
    EvaluationFailed(**UNANSWERED),
    ConversationCompleted(conversation_id=16, reason="superseded"),
    ExperienceCreated(
        experience_id=2,
        course_id=1,
        title="Seasons",
        description="On an observatory.",
        facts="The axis is tilted by 23.4 degrees.",
        learning_objective="Explain winter\nCompare the hemispheres",
        pedagogical_guidance="Begin outside.",
        workflow_state="published",
    ),
    ExperienceEdited(
        experience_id=2,
        course_id=1,
        title="Seasons, north and south",
        description="",
        facts="The axis is tilted by 23.4 degrees – naïvely.",
        learning_objective="Explain winter",
        pedagogical_guidance="Begin outside.",
        workflow_state="unpublished",
    ),
    ExperienceDeleted(experience_id=2, course_id=1),
    FeedbackGiven(
        conversation_id=16,
        feedback_id=FEEDBACK,
        message_id=MESSAGE,
        user_id=101,
        vote="disliked",
    ),
    FeedbackWithdrawn(conversation_id=16, feedback_id=FEEDBACK, message_id=MESSAGE, user_id=101),
    TextExpired(conversation_id=16, user_id=101, texts=12, rule="course", days=30),
    LearnerErased(
        user_id=101,
        reason="asked by the learner, letter 12",
        texts=240,
        conversations=16,
        names=1,
        identities=1,
        tokens=2,
    ),
    HoldPlaced(hold_id=3, user_id=101, reason="case 12/2026 – naïvely"),
    HoldReleased(hold_id=3, user_id=101, reason="case closed"),
    RetentionRuleSet(course_id=0, days=365),
    HistoryRead(
        what="conversation",
        learner_id=101,
        conversation_id=16,
        course_id=9,
        reason="complaint 7",
    ),
)


def golden(example: AnyEvent) -> Path:
    return GOLDEN / f"{type_name(example)}.json"


@pytest.mark.parametrize("example", EXAMPLES, ids=type_name)
def test_a_stored_event_is_decoded_to_the_same_event(example: AnyEvent) -> None:
    assert decode_event(golden(example).read_text("utf-8")) == example


@pytest.mark.parametrize("example", EXAMPLES, ids=type_name)
def test_an_event_keeps_all_fields_of_its_golden_file(example: AnyEvent) -> None:
    """It may also have fields that were added since."""
    stored = msgspec.json.decode(encode(example))
    assert kept(stored, msgspec.json.decode(golden(example).read_bytes())) == stored
    assert decode_event(encode(example)) == example


def kept(stored: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """What is stored, with the old values in the old fields."""
    return stored | {
        name: kept(stored[name], value) if isinstance(value, dict) else value
        for name, value in old.items()
    }


def test_every_type_has_its_golden_file_and_every_file_its_type() -> None:
    types = {str(kind.__struct_config__.tag) for kind in get_args(AnyEvent)}
    assert {path.name for path in GOLDEN.iterdir()} == {f"{name}.json" for name in types}
    assert {type_name(example) for example in EXAMPLES} == types


@pytest.mark.parametrize("example", EXAMPLES, ids=type_name)
def test_the_name_of_a_type_ends_in_its_version(example: AnyEvent) -> None:
    name, version = type_name(example).split(".")
    assert name == name.lower()
    assert version[0] == "v"
    assert int(version[1:]) >= 1
