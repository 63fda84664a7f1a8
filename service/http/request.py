"""Helpers of all handlers: ids, metadata and guards of a request, and records of reads."""

import re
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from yarl import URL

from eventstore.envelope import Actor, Metadata
from eventstore.errors import GuardBroken
from eventstore.guards import Guard, Quota
from eventstore.privacy_events import HistoryRead
from service.errors import KeyMalformed, NotFound
from service.http.rate_limits import LimitedAction
from service.http.request_keys import (
    ACCESS_LOG,
    CLOCK,
    LIMITS,
    PUBLIC_URL,
    RECORDED,
    REQUEST_ID,
)
from service.identity.authorization import Access, of_people
from service.parsing import read_id

_CHECKS = 10
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def base_url(request: web.Request) -> URL:
    """The base URL of the service: from the settings, else as this client addressed it."""
    return request.app.get(PUBLIC_URL) or request.url.origin()


def conversation_id(request: web.Request, name: str = "id") -> int:
    """The path's conversation.

    Raises:
        NotFound: It cannot be an id.
    """
    number = path_id(request, name)
    if number is None:
        raise NotFound
    return number


def idempotency_key(request: web.Request) -> str | None:
    """The idempotency key of a POST; None for other methods or without one.

    Raises:
        KeyMalformed: It is not 1 to 255 visible ASCII characters.
    """
    if request.method != "POST":
        return None
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        raise KeyMalformed
    return key


def metadata_of(request: web.Request, access: Access, turn_id: str | None = None) -> Metadata:
    """The metadata of the events that the request leads to."""
    return Metadata(
        actor=Actor(access.user_id, access.role),
        token_id=access.token_id,
        real_user_id=access.real_user_id,
        request_id=request[REQUEST_ID],
        correlation_id=turn_id,
        idempotency_key=idempotency_key(request),
    )


def guard_of(request: web.Request, access: Access, limited: LimitedAction | None = None) -> Guard:
    """The guard that the request's append checks: the caller's permission, and a daily limit.

    Args:
        limited: The action that counts against a daily limit; None for an unlimited one.
    """
    assert access.guard is not None, "a request that writes was checked for writing"
    if limited is None:
        return access.guard
    most = request.app[LIMITS].of(limited)
    quota = Quota(user_id=access.user_id, kind=limited, most=most)
    return msgspec.structs.replace(access.guard, limit=quota)


def mark_recorded(request: web.Request) -> None:
    """Marks the request as recorded, so that it is not repeated."""
    request[RECORDED] = True


async def record_read(
    request: web.Request, access: Access, what: str, number: int, learner: int | None
) -> None:
    """Records that the caller reads a conversation, unless it is their own.

    Args:
        what: The part of it that is read.
        number: The conversation's id.
        learner: The user id of its owner.

    Raises:
        EventStoreError: As `record_reading`.
    """
    read = HistoryRead(what=what, learner_id=learner, conversation_id=number)
    await record_reading(request, access, read)


async def record_read_of_done(
    request: web.Request,
    access: Access,
    check_anew: Callable[[web.Request], Awaitable[Access]],
    what: str,
    number: int,
    learner: int | None,
) -> None:
    """As `record_read`, where the request has done what it asked for and only reads the outcome.

    That something has come of the learner meanwhile is looked at anew here: carried out again, the
    request would do it, and pay for it, twice.

    Args:
        check_anew: Checks the caller as the request's own checks did.
    """
    for _ in range(_CHECKS):
        try:
            return await record_read(request, access, what, number, learner)
        except GuardBroken as broken:
            if broken.changed != "stream":
                raise
        access = await check_anew(request)
    return await record_read(request, access, what, number, learner)


async def record_reading(request: web.Request, access: Access, read: HistoryRead) -> None:
    """Records that the caller reads of a learner, unless that is themself.

    Raises:
        GuardBroken: They may not any more, or something has come of the learner, such as their
            erasure, since the request was checked: nothing that was fetched may be shown.
        EventStoreError: It could not be recorded.
    """
    if read.learner_id == (access.real_user_id or access.user_id):
        return
    guard = of_people(guard_of(request, access), read.learner_id)
    await request.app[ACCESS_LOG].record_hourly(
        access.account_id, read, metadata_of(request, access), guard, request.app[CLOCK].now()
    )


def path_id(request: web.Request, name: str) -> int | None:
    """A numeric id of the path; None for what cannot be an id."""
    return read_id(request.match_info.get(name, ""))
