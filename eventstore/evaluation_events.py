"""Events of evaluation streams, in which a model judges a whole conversation."""

from datetime import datetime

from eventstore.reply_records import ReplyRecord
from eventstore.turn_events import TurnEvent, UnansweredTurn


class EvaluationRequested(TurnEvent, frozen=True, kw_only=True, tag="evaluation_requested.v1"):
    """A manager asked for an evaluation of a conversation; `turn_id` is the evaluation's id.

    `experience_version` is the experience's version at that time, `user_id` the learner.
    """

    course_id: int
    experience_id: int
    experience_version: int
    user_id: int
    model: str
    owner: int
    deadline_at: datetime


class EvaluationRecorded(TurnEvent, frozen=True, kw_only=True, tag="evaluation_recorded.v1"):
    """A model evaluated the conversation. Content: the evaluation as JSON."""

    experience_version: int
    judgement: ReplyRecord


class EvaluationFailed(UnansweredTurn, frozen=True, kw_only=True, tag="evaluation_failed.v1"):
    """The model gave no usable evaluation."""


AnyEvaluationEvent = EvaluationRequested | EvaluationRecorded | EvaluationFailed
