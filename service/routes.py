"""The endpoints of all features, and the routes made of them."""

from aiohttp import web

from service.analytics.endpoints import ENDPOINTS as ANALYTICS
from service.audit.endpoints import ENDPOINTS as AUDIT
from service.conversations.endpoints import ENDPOINTS as CONVERSATIONS
from service.evaluations.endpoints import ENDPOINTS as EVALUATIONS
from service.experiences.endpoints import ENDPOINTS as EXPERIENCES
from service.http import probes
from service.openapi import handlers as openapi_handlers
from service.privacy.endpoints import ENDPOINTS as PRIVACY

ENDPOINTS = (*CONVERSATIONS, *EVALUATIONS, *EXPERIENCES, *PRIVACY, *AUDIT, *ANALYTICS)

ROUTES = (
    *(endpoint.route for endpoint in ENDPOINTS),
    web.get("/api/v1/openapi.json", openapi_handlers.get_description),
    web.get("/docs", openapi_handlers.get_page),
    web.get("/healthz", probes.healthz),
    web.get("/readyz", probes.readyz),
)
