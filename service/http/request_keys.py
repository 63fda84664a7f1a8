"""Typed keys of request and application values that middlewares and handlers share."""

from aiohttp import web
from yarl import URL

from eventstore.clock import DatabaseClock
from eventstore.connections import AccountPool
from service.access_log import AccessLog
from service.http.rate_limits import DailyLimits
from service.identity.authenticator import Authenticator
from service.identity.authorization import Access
from service.timing import Timing

REQUEST_ID = web.RequestKey("request_id", str)
SCOPE = web.RequestKey("scope", str)
ACCESS = web.RequestKey("access", Access)
RECORDED = web.RequestKey("recorded", bool)
"""Something was recorded of the request, so that it must not be carried out again."""

POOL = web.AppKey("pool", AccountPool)
"""The service's own; a statement sees the rows of the account that it is given."""

AUTHENTICATOR = web.AppKey("authenticator", Authenticator)
CLOCK = web.AppKey("clock", DatabaseClock)
LIMITS = web.AppKey("limits", DailyLimits)
"""How often a user may ask in a day."""

ACCESS_LOG = web.AppKey("access_log", AccessLog)
TIMING = web.AppKey("timing", Timing)
PUBLIC_URL = web.AppKey("public_url", URL)
"""Where clients reach the service, where the settings say so."""
