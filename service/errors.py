"""What can go wrong in the service. The docstring is the message that a client gets."""

import errno
from collections.abc import Sequence
from datetime import date

import msgspec

from eventstore.envelope import RecordedEvent


class ServiceError(Exception):
    """The request could not be carried out."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class Unauthenticated(ServiceError):
    """user authorization required"""


class InvalidToken(ServiceError):
    """Invalid access token."""


class InsufficientScopes(ServiceError):
    """Insufficient scopes on access token."""


class NotAuthorized(ServiceError):
    """user not authorized to perform that action"""


class NotFound(ServiceError):
    """Resource Not Found"""


class BadRequest(ServiceError):
    """the request could not be read"""


class BodyUnreadable(BadRequest):
    """the body cannot be read"""


class FieldMissing(BadRequest):
    """a field is required"""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is required")


class NumberMalformed(BadRequest):
    """a parameter must be a number from 1 on"""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} must be a number from 1 on")


class TimeMalformed(BadRequest):
    """a parameter must be a time in ISO 8601"""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} must be a time in ISO 8601, such as 2031-03-01T09:00Z")


class DayMalformed(BadRequest):
    """a parameter must be a day"""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} must be a day such as 2031-03-01")


class UnknownParameter(BadRequest):
    """there is no such parameter"""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no parameter {name}")


class ParameterRepeated(BadRequest):
    """a parameter is given more than once"""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is given more than once")


class HeaderRepeated(BadRequest):
    """a header must be given once"""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} must be given once")


class SeveralUsersNamed(BadRequest):
    """as_user_id must name one user"""


class UnknownVote(BadRequest):
    """vote must be liked or disliked"""


class FeedbackOnLearner(BadRequest):
    """feedback is only possible on the model's messages"""


class UnsupportedBody(ServiceError):
    """the body must be application/json or application/x-www-form-urlencoded"""


class UnsupportedCoding(ServiceError):
    """the body must be uncompressed, or compressed with gzip or deflate"""


class ExpectationFailed(ServiceError):
    """of all expectations only 100-continue can be met"""


class HeadersTooLarge(ServiceError):
    """the headers must be 16 KiB or smaller"""


class TextTooLong(ServiceError):
    """the text is too long; `most` is how many characters it may have"""

    def __init__(self, name: str, most: int) -> None:
        super().__init__(f"{name} must be {most} characters or fewer")


class DaysTooMany(ServiceError):
    """the days are too many, or the first comes after the last"""

    def __init__(self, first: date, last: date, most: int) -> None:
        super().__init__(f"from {first} to {last} must be 1 to {most} days")


class YearsOutOfRange(ServiceError):
    """the days are of years that cannot be answered for"""

    def __init__(self, first: int, last: int) -> None:
        super().__init__(f"from and to must be of the years {first} to {last}")


class ConversationMoved(ServiceError):
    """the conversation has moved on; read it again"""


class FieldErrors(ServiceError):
    """some fields are wrong"""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__()
        self.fields = fields


class KeyMalformed(BadRequest):
    """Idempotency-Key must be 1 to 255 visible ASCII characters"""


class KeyReused(ServiceError):
    """this Idempotency-Key was used for another request"""


class AlreadyAsked(ServiceError):
    """the request is in the log already"""

    def __init__(self, asked: RecordedEvent) -> None:
        super().__init__()
        self.asked = asked


class TurnInProgress(ServiceError):
    """a reply is under way"""

    def __init__(self, turn_id: str) -> None:
        super().__init__()
        self.turn_id = turn_id


class TurnIsOver(ServiceError):
    """the turn is over"""


class TurnTaken(ServiceError):
    """another process has taken the turn over"""


class NothingToRetry(ServiceError):
    """this turn's message has an answer, or it is not the newest one"""


class TextRemoved(ServiceError):
    """the words of this conversation were deleted"""


class KeptMessage(msgspec.Struct, frozen=True):
    """A learner's message that stays in the conversation without an answer, and its turn."""

    turn_id: str
    message_id: str


class TurnCancelled(ServiceError):
    """the reply was stopped"""

    def __init__(self, reference_id: str | None, kept: KeptMessage | None = None) -> None:
        super().__init__()
        self.reference_id = reference_id
        self.kept = kept


class TurnFailed(ServiceError):
    """The model gave no answer; `code` says why, `retry_after` (seconds) when to try again.

    `reference_id` is that of the request that asked, `kept` the message that can be retried.
    """

    def __init__(
        self,
        code: str,
        *,
        retryable: bool,
        retry_after: float | None = None,
        reference_id: str | None = None,
        kept: KeptMessage | None = None,
    ) -> None:
        super().__init__()
        self.kept = kept
        self.code = code
        self.retryable = retryable
        self.retry_after = retry_after
        self.reference_id = reference_id


class TooManyConnections(ServiceError):
    """too many are connected; try again in a moment"""


class TooManyReplies(ServiceError):
    """too many replies are under way; try again in a moment"""


class Stopping(ServiceError):
    """the service is being restarted; try again in a moment"""


class Busy(ServiceError):
    """this conversation is changed by many requests at once; try again"""


class LegalHold(ServiceError):
    """a legal hold covers the learner; `holds` are their numbers"""

    def __init__(self, user_id: int, holds: Sequence[int]) -> None:
        numbers = ", ".join(str(hold) for hold in holds)
        super().__init__(
            f"user {user_id} is under legal hold {numbers}: nothing of theirs may be deleted "
            "until it is released"
        )
        self.holds = tuple(holds)


class ViewsBeingRebuilt(ServiceError):
    """a view that has texts is being rebuilt; try again when that is done"""


class UnknownHold(ServiceError):
    """There is no such hold."""


class SettingsError(ServiceError):
    """A setting is wrong."""


class UnknownAccount(ServiceError):
    """there is no such account"""


class UnknownUser(ServiceError):
    """There is no such user."""


class OutputLost(ServiceError):
    """Standard output cannot be written; `gone`: who read it has left, as `head` does."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(f"standard output: {cause.strerror}")
        self.gone = cause.errno == errno.EPIPE
