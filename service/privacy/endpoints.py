"""The endpoints for data protection."""

from eventstore.privacy_events import MAX_REASON
from service.errors import FieldMissing, LegalHold, TextTooLong, ViewsBeingRebuilt
from service.http.endpoint import Endpoint
from service.http.refusals import BODY
from service.privacy import handlers
from service.privacy.answers import ErasedAnswer
from service.privacy.bodies import ErasureBody
from service.privacy.learner_record import LearnerRecord

LEARNER_DATA = "/api/v1/accounts/self/users/{user_id}/learner_data"
LEARNER_RECORD = "/api/v1/users/{user_id}/learner_record"

_TAG = "Data protection"
_ERASURES: tuple[Exception, ...] = (
    FieldMissing("reason"),
    TextTooLong("reason", MAX_REASON),
    LegalHold(101, (3,)),
    ViewsBeingRebuilt(),
)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        method="DELETE",
        path=LEARNER_DATA,
        handler=handlers.erase_learner,
        name="eraseLearner",
        tag=_TAG,
        summary="Erase a learner",
        text="Deletes all texts by and about the learner, their name and their logins. Their turns "
        "and evaluations are stopped. While a legal hold covers them: 409. If they are erased "
        "already: 200 with counts of 0.",
        who="an administrator of the account, acting as nobody else",
        body=ErasureBody,
        answers=(ErasedAnswer,),
        refuses=(*BODY, *_ERASURES),
    ),
    Endpoint(
        method="GET",
        path=LEARNER_RECORD,
        handler=handlers.get_learner_record,
        name="getLearnerRecord",
        tag=_TAG,
        summary="What is kept about a learner, and who has read it",
        text="With `Accept: text/html` the answer is a page. Only administrators see the reasons "
        "of holds.",
        who="the learner, or an administrator of the account",
        answers=(LearnerRecord,),
        media=("text/html",),
    ),
)
