"""The auditors' endpoints."""

from eventstore.privacy_events import MAX_REASON
from service.audit import handlers
from service.audit.audit_request import SCOPE
from service.audit.audited_events import AuditedEvent
from service.audit.replays import Replayed
from service.errors import NumberMalformed, TextTooLong, TimeMalformed
from service.http.endpoint import Endpoint
from service.http.refusals import QUERIED, STORES

AUDIT = "/api/v1/audit"

_WHO = f"a token with the scope `{SCOPE}`"
_RECORDED = "The read is recorded as an event before the answer is sent."
_READS: tuple[Exception, ...] = (TextTooLong("reason", MAX_REASON), *STORES)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        method="GET",
        path=AUDIT + "/events",
        handler=handlers.list_events,
        name="listAuditedEvents",
        tag="Audit",
        summary="Events of the log",
        text="Events must match all given filters. A page may be short or empty although its "
        "`Link` has a next page. With `Accept: application/x-ndjson` the answer is all matching "
        "events, one a line. With `text/event-stream` it is these and each new one, with its "
        f"position as id, until the service stops. {_RECORDED}",
        who=_WHO,
        answers=(AuditedEvent,),
        many=True,
        headers=("X-Audit-Reason", "Last-Event-ID"),
        query=(
            *("filter_course_id", "filter_experience_id", "filter_user_id"),
            *("filter_conversation_id", "filter_type", "filter_actor_id"),
            *("from", "to", "after", "per_page", "reason"),
        ),
        refuses=(*QUERIED, NumberMalformed("after"), TimeMalformed("to"), *_READS),
        scope=SCOPE,
        media=("application/x-ndjson", "text/event-stream"),
        head=False,
    ),
    Endpoint(
        method="GET",
        path=AUDIT + "/conversations/{id}/replay",
        handler=handlers.replay_conversation,
        name="replayConversation",
        tag="Audit",
        summary="A conversation as its learner saw it at a given time",
        text="`seen` is the answer that the learner got then, made by the same statements. `steps` "
        "are all events, including those that the learner did not see. Texts deleted since then "
        "read `[erased on …]`. With `Accept: text/html` the answer is a page to print. "
        f"{_RECORDED}",
        who=_WHO,
        answers=(Replayed,),
        headers=("X-Audit-Reason",),
        query=("at", "reason"),
        refuses=(TimeMalformed("at"), *_READS),
        scope=SCOPE,
        media=("text/html",),
        head=False,
    ),
)
