"""Reads request bodies: JSON and the form encoding of Canvas clients, into the same types."""

from codecs import BOM_UTF8
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from service.errors import BadRequest, UnsupportedBody
from service.http.forms import AS_USER, FORM, body_type, parse_form, read_bytes

_JSON = "application/json"

T = TypeVar("T", bound=msgspec.Struct)


class NoBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of an endpoint that takes no fields."""


async def read_body(request: web.Request, kind: type[T]) -> T:
    """The request's body as `kind`.

    Raises:
        UnsupportedBody, UnsupportedCoding: It is neither JSON nor a form, or not to be decoded.
        BadRequest: It is broken, or its fields are not those of `kind`; the message names which.
    """
    raw = await read_bytes(request)
    media = body_type(request) if raw else _JSON  # nothing has no type, though some name one
    raw = raw or b"{}"
    try:
        if media == _JSON:
            return msgspec.json.decode(raw.removeprefix(BOM_UTF8), type=kind)
        if media == FORM:
            return msgspec.convert(_fields(raw), kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(_sentence(error)) from error
    except RecursionError as error:
        raise BadRequest("the body is nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body is not valid JSON in UTF-8: {error}") from error
    raise UnsupportedBody


def _fields(raw: bytes) -> dict[str, Any]:
    """A form's fields, without those that name the caller."""
    return {name: value for name, value in parse_form(raw).items() if name != AS_USER}


def _sentence(error: msgspec.ValidationError) -> str:
    text, _, path = str(error).replace("`", "").partition(" - at $")
    return f"{path.strip('.')}: {text}" if path.strip(".") else text
