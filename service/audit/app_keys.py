"""What the auditors' endpoints work with."""

from aiohttp import web

from service.audit.event_search import AuditedLog
from service.audit.live_tail import Tails
from service.audit.replays import Replays
from service.audit.service import AuditService

AUDITED_LOG = web.AppKey("audited_log", AuditedLog)
REPLAYS = web.AppKey("replays", Replays)
AUDIT = web.AppKey("audit", AuditService)
TAILS = web.AppKey("tails", Tails)
