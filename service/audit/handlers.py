"""Handlers of the auditors' endpoints. Each records the read before it sends anything."""

from datetime import datetime

from aiohttp import web

from service.audit.app_keys import EVENT_SEARCH, REPLAYS
from service.audit.audit_request import auditor_of, event_filter_of, reason_of, record
from service.audit.event_search import EventFilter
from service.audit.event_streams import LINES, send_lines, send_tail
from service.audit.replay_page import PAGE, page_of
from service.audit.service import Subject, subject_of
from service.errors import BadRequest, NotFound
from service.http.content_negotiation import prefers
from service.http.pagination import page_parameters
from service.http.request import base_url, path_id
from service.http.responses import json_response
from service.http.server_sent_events import wants_stream
from service.identity.authorization import Access
from service.parsing import parse_position_or_time


async def list_events(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/audit/events: a page of the log, JSON lines of all of it, or a live stream."""
    access = await auditor_of(request)
    tail = wants_stream(request)
    event_filter = event_filter_of(request, last_event_id=tail)
    if tail and event_filter.until is not None:
        raise BadRequest("to cannot be given where events to come are asked for")
    size = page_parameters(request).size
    await record(
        request, access, reason_of(request), event_filter.filters(), subject_of(event_filter)
    )
    after, upto = await request.app[EVENT_SEARCH].bounds(access.account_id, event_filter)
    if tail:
        return await send_tail(request, access.account_id, event_filter, after)
    if prefers(request, LINES):
        return await send_lines(request, access.account_id, event_filter, after, upto)
    return await _page(request, access, event_filter, after, upto, size)


async def replay_conversation(request: web.Request) -> web.Response:
    """GET /api/v1/audit/conversations/:id/replay: a conversation at a position of the log."""
    access = await auditor_of(request)
    replays = request.app[REPLAYS]
    number = path_id(request, "id")
    opened = await replays.find(access.account_id, number) if number else None
    if number is None or opened is None:
        raise NotFound
    at = await _position(request, access)
    filters = [("at", str(at))] if "at" in request.query else []
    subject = Subject(learner_id=opened.user_id, conversation_id=number)
    await record(request, access, reason_of(request), filters, subject)
    replayed = await replays.make(access.account_id, number, opened, at)
    if prefers(request, "text/html"):
        return web.Response(
            body=page_of(replayed), headers={**PAGE.headers, "Cache-Control": "no-store"}
        )
    return json_response(request, replayed)


async def _position(request: web.Request, access: Access) -> int:
    """The position in `at`; the log's last position if it is missing."""
    log = request.app[EVENT_SEARCH]
    head = await log.head(access.account_id)
    text = request.query.get("at")
    at = head if text is None else parse_position_or_time("at", text, end=True)
    if isinstance(at, datetime):
        return await log.position_at(access.account_id, at)
    if at > head:
        raise BadRequest(f"at is beyond the log, which ends at position {head}")
    return at


async def _page(
    request: web.Request,
    access: Access,
    event_filter: EventFilter,
    after: int,
    upto: int,
    size: int,
) -> web.Response:
    page = await request.app[EVENT_SEARCH].page(access.account_id, event_filter, after, upto, size)
    here = base_url(request).join(request.rel_url.without_query_params("reason"))
    links = [f'<{here}>; rel="current"']
    if page.reached < upto:
        following = here.update_query(after=str(page.reached), per_page=str(size))
        links.append(f'<{following}>; rel="next"')
    return json_response(request, page.events, headers={"Link": ",".join(links)})
