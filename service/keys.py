"""What a request carries from the middlewares to the handlers and back."""

from aiohttp import web

from service.access import Access

REQUEST_ID = web.RequestKey("request_id", str)
SCOPE = web.RequestKey("scope", str)
ACCESS = web.RequestKey("access", Access)
RECORDED = web.RequestKey("recorded", bool)
"""Something was recorded of the request, so that it must not be carried out again."""
