"""Forms as Canvas clients send them: nested keys, and whom an administrator acts as."""

import re
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from service.errors import BadRequest

FORM = "application/x-www-form-urlencoded"
AS_USER = "as_user_id"

_MAX_FIELDS = 1000
_MAX_DEPTH = 10
_SHOWN = 100
_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]+\])*)")
_SUBKEY = re.compile(r"\[([^\[\]]+)\]")
_TOO_LARGE = web.RequestKey("too_large", web.HTTPRequestEntityTooLarge)


async def read_bytes(request: web.Request) -> bytes:
    """The request's body, as often as it is asked for.

    Raises:
        BadRequest: It cannot be read.
        HTTPRequestEntityTooLarge: It is larger than the service takes.
    """
    if _TOO_LARGE in request:  # its rest, read now, would pass for the whole
        raise request[_TOO_LARGE]
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        request[_TOO_LARGE] = error
        raise
    except (web.RequestPayloadError, ConnectionError) as error:  # broken gzip; a client gone
        raise BadRequest("the body cannot be read") from error


async def read_form(request: web.Request) -> dict[str, Any]:
    """The fields of a request that writes; none where its body is no form.

    Raises:
        BadRequest, HTTPRequestEntityTooLarge: As `read_bytes` and `parse_form`.
    """
    if request.method in ("GET", "HEAD") or request.content_type != FORM:
        return {}
    return parse_form(await read_bytes(request))


async def named_user(request: web.Request) -> str | None:
    """Whom a request asks to act as, in its form or its query; None for nobody.

    A form that cannot be read names nobody: it is refused after the checks.
    """
    try:
        form = await read_form(request)
    except (BadRequest, web.HTTPRequestEntityTooLarge):
        form = {}
    wanted = form.get(AS_USER) or request.query.get(AS_USER)
    return str(wanted) if wanted else None


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
