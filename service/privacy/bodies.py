"""Request bodies of the endpoints for data protection."""

import msgspec

from service.errors import FieldMissing
from service.escaping import is_blank
from service.parsing import checked_reason


class ErasureBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of DELETE …/learner_data."""

    reason: str | None = None

    def checked_reason(self) -> str:
        """The reason for the erasure.

        Raises:
            BadRequest: It is missing, blank, or cannot be stored.
            TextTooLong: It has more than `MAX_REASON` characters.
        """
        if self.reason is None or is_blank(self.reason):
            raise FieldMissing("reason")
        return checked_reason(self.reason)
