"""The bodies of conversations' endpoints."""

from typing import Literal

import msgspec

from service.errors import BadRequest, FieldMissing, TextTooLong, UnknownVote
from service.escaping import is_blank
from service.parsing import unstorable

MAX_MESSAGE = 4000
"""Characters (code points) of one message."""


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
            raise FieldMissing("message")
        _check_text("message", self.message)
        if is_blank(self.message):
            raise FieldMissing("message")
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
                raise UnknownVote

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


def _check_text(name: str, text: str) -> None:
    if len(text) > MAX_MESSAGE:
        raise TextTooLong(name, MAX_MESSAGE)
    if reason := unstorable(text):
        raise BadRequest(f"{name} {reason}")
