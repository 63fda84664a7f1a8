"""Reads an auditor's request, checks the caller, and records the read."""

from urllib.parse import urlencode

import msgspec
from aiohttp import web

from eventstore.envelope import Actor
from service.audit.app_keys import AUDIT
from service.audit.event_search import EventFilter
from service.audit.service import Subject
from service.errors import BadRequest, ParameterRepeated, UnknownParameter
from service.http.authentication import account_access_of
from service.http.request import guard_of, metadata_of
from service.identity.authorization import Access
from service.parsing import parse_id, parse_position, parse_time, read_id

SCOPE = "colloquy:audit"
"""What a token must carry; one without scopes does not."""

_HOW = "send the header X-Audit-Reason, or reason in the query"
_ONCE = frozenset(
    {
        *("course_id", "experience_id", "user_id", "conversation_id", "actor_id"),
        *("from", "to", "after", "per_page", "reason", "as_user_id", "at"),
    }
)


async def auditor_of(request: web.Request) -> Access:
    """The caller, who must be allowed to audit.

    Raises:
        ServiceError: The first check that fails.
    """
    return await account_access_of(request, SCOPE)


def reason_of(request: web.Request) -> str | None:
    """The reason for the read, as it is recorded.

    Raises:
        BadRequest: It is missing where one is required, or cannot be stored.
    """
    reason = request.headers.get("X-Audit-Reason") or request.query.get("reason")
    return request.app[AUDIT].check_reason(reason, _HOW)


async def record(
    request: web.Request,
    access: Access,
    reason: str | None,
    filters: list[tuple[str, str]],
    subject: Subject,
) -> None:
    """Records a request's read.

    Args:
        filters: What it asks for, as it was understood: a client may send anything besides.
        subject: Of whom; the learner is looked up where only a conversation is named.
    """
    metadata = metadata_of(request, access)
    auditor = Actor(metadata.actor.id, "auditor")
    asked = f"{request.method} {request.path}"
    await request.app[AUDIT].record(
        access.account_id,
        msgspec.structs.replace(metadata, actor=auditor),
        f"{asked}?{urlencode(filters)}" if filters else asked,
        reason,
        subject,
        guard=guard_of(request, access),
    )


def event_filter_of(request: web.Request, *, last_event_id: bool = False) -> EventFilter:
    """The events that a request asks for.

    Args:
        last_event_id: It may name the last event that the client got.

    Raises:
        BadRequest: A parameter cannot be read; the message names it.
    """
    query = request.query
    for name in set(query):
        if name != "type" and name not in _ONCE:
            raise UnknownParameter(name)
        if name != "type" and len(query.getall(name)) > 1:
            raise ParameterRepeated(name)
    after = parse_position("after", query.get("after", "0"))
    if last_event_id:
        after = max(after, read_id(request.headers.get("Last-Event-ID", "")) or 0)
    return EventFilter(
        course_id=_id(request, "course_id"),
        experience_id=_id(request, "experience_id"),
        user_id=_id(request, "user_id"),
        conversation_id=_id(request, "conversation_id"),
        actor_id=_id(request, "actor_id"),
        types=tuple(_types(query.getall("type", []))),
        since=parse_time("from", query["from"]) if "from" in query else None,
        until=parse_time("to", query["to"], end=True) if "to" in query else None,
        after=after,
    )


def _id(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    return None if text is None else parse_id(name, text)


def _types(given: list[str]) -> list[str]:
    for text in given:
        if not (text.isascii() and text.isprintable()):
            raise BadRequest("type must be the name of an event, such as message_posted.v1")
    return given
