"""The endpoints of evaluations."""

from service.errors import TextRemoved, TurnFailed
from service.evaluations import handlers
from service.evaluations.answers import EvaluationAnswer, LatestEvaluation
from service.experiences.endpoints import EXPERIENCE
from service.http.bodies import NoBody
from service.http.endpoint import Endpoint
from service.http.refusals import LIMITED, MODEL, POSTED
from service.model.errors import CANCELLED

EVALUATION = EXPERIENCE + "/conversations/{id}/evaluation"

_JUDGE = "Evaluations"
_MANAGER = "a manager of the course: teacher, ta or designer"
_REMOVED: tuple[Exception, ...] = (TextRemoved(), TurnFailed(CANCELLED, retryable=False))
_KEYED = ("Idempotency-Key",)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        method="GET",
        path=EVALUATION,
        handler=handlers.get_evaluation,
        name="getEvaluation",
        tag=_JUDGE,
        summary="The latest evaluation",
        text="`null` where there is none. Never asks a model.",
        who=_MANAGER,
        answers=(LatestEvaluation,),
    ),
    Endpoint(
        method="POST",
        path=EVALUATION,
        handler=handlers.post_evaluation,
        name="evaluateConversation",
        tag=_JUDGE,
        summary="Have a model evaluate the conversation",
        text="The evaluation is kept, and counts against the caller's daily limit.",
        who=_MANAGER,
        body=NoBody,
        body_optional=True,
        answers=(EvaluationAnswer,),
        headers=_KEYED,
        refuses=(*POSTED, *LIMITED, *MODEL, *_REMOVED),
    ),
)
