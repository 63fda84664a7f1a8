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
"""The scope that a token must list; a token without scopes may not audit."""

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
        filters: The parameters that were applied. Others that the client sent are not recorded.
        subject: What is read; the learner of a conversation is looked up if it is missing.
    """
    metadata = metadata_of(request, access)
    auditor = Actor(metadata.actor.id, "auditor")
    endpoint = f"{request.method} {request.path}"
    await request.app[AUDIT].record(
        access.account_id,
        msgspec.structs.replace(metadata, actor=auditor),
        f"{endpoint}?{urlencode(filters)}" if filters else endpoint,
        reason,
        subject,
        guard=guard_of(request, access),
    )


def event_filter_of(request: web.Request, *, last_event_id: bool = False) -> EventFilter:
    """The filter in a request's query.

    Args:
        last_event_id: Whether the header Last-Event-ID counts, with which a client resumes.

    Raises:
        BadRequest: A parameter is invalid; the message names it.
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
        types=tuple(_check_types(query.getall("type", []))),
        since=parse_time("from", query["from"]) if "from" in query else None,
        until=parse_time("to", query["to"], end=True) if "to" in query else None,
        after=after,
    )


def _id(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    return None if text is None else parse_id(name, text)


def _check_types(names: list[str]) -> list[str]:
    for name in names:
        if not (name.isascii() and name.isprintable()):
            raise BadRequest("type must be the name of an event, such as message_posted.v1")
    return names
