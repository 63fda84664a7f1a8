"""Application keys of the auditors' endpoints."""

from aiohttp import web

from service.audit.event_search import EventSearch
from service.audit.live_tail import LiveTail
from service.audit.replays import Replays
from service.audit.service import AuditService

EVENT_SEARCH = web.AppKey("audited_log", EventSearch)
REPLAYS = web.AppKey("replays", Replays)
AUDIT = web.AppKey("audit", AuditService)
LIVE_TAIL = web.AppKey("tails", LiveTail)
