"""Reads request bodies: JSON and the form encoding of Canvas clients, into the same types."""

from codecs import BOM_UTF8
from typing import Any, Literal, TypeVar

import msgspec
from aiohttp import web

from eventstore.privacy_events import MAX_REASON
from service.errors import BadRequest, TextTooLong, UnsupportedBody
from service.escaping import is_blank
from service.http.forms import AS_USER, FORM, body_type, parse_form, read_bytes

MAX_MESSAGE = 4000
"""Characters (code points) of one message."""

_JSON = "application/json"

T = TypeVar("T", bound=msgspec.Struct)


class NoBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request that has nothing to say."""


class MessageBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST …/messages."""

    message: str | None = None

    def text(self) -> str:
        """The message, byte for byte as it was sent.

        Raises:
            BadRequest: It is missing, without anything that can be seen, or cannot be stored.
            TextTooLong: It has more than `MAX_MESSAGE` characters.
        """
        if self.message is None or not self.message.strip():
            raise BadRequest("message is required")
        _check_text("message", self.message)
        if is_blank(self.message):
            raise BadRequest("message is required")
        return self.message


class FeedbackBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST …/feedback."""

    vote: str | None = None
    feedback_message: str | None = None

    def checked_vote(self) -> Literal["liked", "disliked"]:
        """The vote.

        Raises:
            BadRequest: It is missing or neither of the two.
        """
        match self.vote:
            case "liked":
                return "liked"
            case "disliked":
                return "disliked"
            case _:
                raise BadRequest("vote must be liked or disliked")

    def checked_text(self) -> str | None:
        """The words beside the vote; None where there are none.

        Raises:
            BadRequest: They cannot be stored.
            TextTooLong: They have more than `MAX_MESSAGE` characters.
        """
        if not self.feedback_message:
            return None
        _check_text("feedback_message", self.feedback_message)
        return None if is_blank(self.feedback_message) else self.feedback_message


class ErasureBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of DELETE …/learner_data."""

    reason: str | None = None

    def checked_reason(self) -> str:
        """Why the learner is erased.

        Raises:
            BadRequest: It is missing, blank, or cannot be stored.
            TextTooLong: It has more than `MAX_REASON` characters.
        """
        if self.reason is None or is_blank(self.reason):
            raise BadRequest("reason is required")
        return checked_reason(self.reason)


def checked_reason(reason: str) -> str:
    """A reason as it goes into the log.

    Raises:
        BadRequest: It cannot be stored.
        TextTooLong: It has more than `MAX_REASON` characters.
    """
    if len(reason) > MAX_REASON:
        raise TextTooLong(f"reason must be {MAX_REASON} characters or fewer")
    if why := unstorable(reason):
        raise BadRequest(f"reason {why}")
    return reason.strip()


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


def unstorable(text: str) -> str | None:
    """Why the database cannot keep a text; None if it can."""
    if "\0" in text:
        return "must not contain the NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "must not contain lone surrogates"
    return None


def _check_text(name: str, text: str) -> None:
    if len(text) > MAX_MESSAGE:
        raise TextTooLong(f"{name} must be {MAX_MESSAGE} characters or fewer")
    if reason := unstorable(text):
        raise BadRequest(f"{name} {reason}")


def _fields(raw: bytes) -> dict[str, Any]:
    """What a form says of the endpoint's matter, not of who asks."""
    return {name: value for name, value in parse_form(raw).items() if name != AS_USER}


def _sentence(error: msgspec.ValidationError) -> str:
    text, _, path = str(error).replace("`", "").partition(" - at $")
    return f"{path.strip('.')}: {text}" if path.strip(".") else text
