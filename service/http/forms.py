"""Bodies as they arrive, and forms as Canvas clients send them, with nested keys."""

import re
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from service.errors import BadRequest, BodyUnreadable, UnsupportedBody, UnsupportedCoding
from service.http.connection import HttpConnection
from service.http.content_codings import coding_of, decompressed
from service.http.header_fields import content_type

FORM = "application/x-www-form-urlencoded"
AS_USER = "as_user_id"

BODY_TIMEOUT = web.AppKey("body_timeout", float)
"""Seconds that a request's body may take to arrive."""

_READERS = ("GET", "HEAD")
_CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii")
_MAX_FIELDS = 1000
_MAX_DEPTH = 10
_SHOWN = 100
_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]+\])*)")
_SUBKEY = re.compile(r"\[([^\[\]]+)\]")
REFUSED = (BadRequest, UnsupportedBody, UnsupportedCoding, web.HTTPRequestEntityTooLarge)
"""What a body can be refused with."""

_READ = web.RequestKey("read", bytes)
_TOO_LARGE = web.RequestKey("too_large", web.HTTPRequestEntityTooLarge)


async def read_bytes(request: web.Request) -> bytes:
    """The request's decoded body; later calls return the same bytes.

    Raises:
        BadRequest: It cannot be read.
        UnsupportedCoding: It is in a coding that the service does not know.
        HTTPRequestEntityTooLarge: It is larger than the service takes.
        HTTPRequestTimeout: It did not arrive in time.
        Stopping: It had not arrived when the service was stopped.
    """
    if _READ not in request:
        try:
            request[_READ] = await _received(request)
        except web.HTTPRequestEntityTooLarge as error:
            request[_TOO_LARGE] = error
            raise
    return request[_READ]


async def _received(request: web.Request) -> bytes:
    if _TOO_LARGE in request:  # its rest, read now, would pass for the whole
        raise request[_TOO_LARGE]
    most, declared = request.client_max_size, request.content_length or 0
    if declared > most:
        raise web.HTTPRequestEntityTooLarge(max_size=most, actual_size=declared)
    connection = request.protocol
    assert isinstance(connection, HttpConnection)
    try:
        async with connection.awaiting_body(request, request.app[BODY_TIMEOUT]):
            raw = await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except (web.RequestPayloadError, ConnectionError) as error:  # a broken chunk; a client gone
        raise BodyUnreadable from error
    return decompressed(raw, coding_of(request), most) if raw else raw


async def await_body(request: web.Request) -> None:
    """Waits for the whole body of a writing request, so that the checks run after it has arrived.

    One that cannot be read is refused after them.

    Raises:
        HTTPRequestTimeout: It did not arrive in time.
        Stopping: It had not arrived when the service was stopped.
    """
    if request.method not in _READERS:
        with suppress(*REFUSED):
            await read_bytes(request)


def body_type(request: web.Request) -> str:
    """The media type of the request's body, in lower case; empty where it has none.

    Raises:
        UnsupportedBody: Its letters are not in UTF-8.
    """
    named = content_type(request)
    if named.parameters.get("charset", "utf-8").lower() not in _CHARSETS:
        raise UnsupportedBody("the charset of the body must be UTF-8")
    return named.value


async def read_form(request: web.Request) -> dict[str, Any]:
    """The fields of a request that writes; none where its body is no form.

    Raises:
        ServiceError, HTTPRequestEntityTooLarge: As `body_type`, `read_bytes` and `parse_form`.
    """
    if request.method in _READERS or body_type(request) != FORM:
        return {}
    return parse_form(await read_bytes(request))


def parse_form(raw: bytes) -> dict[str, Any]:
    """A form's fields, nested as JSON would have them.

    Raises:
        BadRequest: It is broken, or too deep or too wide.
    """
    try:
        pairs = parse_qsl(
            raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS
        )
    except ValueError as error:
        raise BadRequest(f"the form cannot be read: {error}") from error
    form: dict[str, Any] = {}
    for key, value in pairs:
        _put(form, key, value)
    return form


def _put(form: dict[str, Any], key: str, value: str) -> None:
    """Puts ``a[b][c]=value`` where nested JSON would have it."""
    match = _KEY.fullmatch(key) if key.count("[") <= _MAX_DEPTH else None
    if match is None:
        raise BadRequest(f"the form key {key[:_SHOWN]!r} cannot be read")
    *groups, last = [match[1], *_SUBKEY.findall(match[2])]
    for name in groups:
        form = form.setdefault(name, {})
        if not isinstance(form, dict):
            raise BadRequest(f"the form key {key!r} stands for a value and for a group")
    if isinstance(form.get(last), dict):
        raise BadRequest(f"the form key {key!r} stands for a value and for a group")
    form[last] = value
