"""What the evaluations' endpoints answer with."""

import msgspec

from service.json_values import Id
from service.model.judgements import Evaluation


class EvaluationAnswer(msgspec.Struct, frozen=True):
    """A model's evaluation of the conversation."""

    id: Id
    evaluation: Evaluation


class LatestEvaluation(msgspec.Struct, frozen=True):
    """The latest evaluation, if any; `stale`: the experience was edited since."""

    id: Id
    evaluation: Evaluation | None
    stale: bool
