"""What the auditors' endpoints work with."""

from aiohttp import web

from service.audit.reading import AuditedLog
from service.audit.reads import AuditReads
from service.audit.replays import Replays
from service.audit.tails import Tails

AUDITED_LOG = web.AppKey("audited_log", AuditedLog)
REPLAYS = web.AppKey("replays", Replays)
AUDIT_READS = web.AppKey("audit_reads", AuditReads)
TAILS = web.AppKey("tails", Tails)
