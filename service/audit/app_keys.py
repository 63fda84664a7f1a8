"""What the auditors' endpoints work with."""

from aiohttp import web

from service.audit.event_search import AuditedLog
from service.audit.live_tail import Tails
from service.audit.reads import AuditReads
from service.audit.replays import Replays

AUDITED_LOG = web.AppKey("audited_log", AuditedLog)
REPLAYS = web.AppKey("replays", Replays)
AUDIT_READS = web.AppKey("audit_reads", AuditReads)
TAILS = web.AppKey("tails", Tails)
