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
_RECORDED = "The read is recorded as an event before anything is answered."
_READS: tuple[Exception, ...] = (TextTooLong("reason", MAX_REASON), *STORES)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        method="GET",
        path=AUDIT + "/events",
        handler=handlers.list_events,
        name="listAuditedEvents",
        tag="Audit",
        summary="Events of the log",
        text="All filters that are given must hold. A page may be short, or empty, while its "
        "`Link` still leads on. With `Accept: application/x-ndjson` all that match, an event a "
        "line; with `text/event-stream` those and the ones to come, each with its position as "
        f"id, until the service stops. {_RECORDED}",
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
        summary="A conversation as its learner saw it at a moment",
        text="`seen` is what the learner was answered then, made by the same statements; `steps` "
        "are all that happened, also what they did not see. Texts that were deleted since read "
        f"`[erased on …]`. With `Accept: text/html` a page to print. {_RECORDED}",
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
