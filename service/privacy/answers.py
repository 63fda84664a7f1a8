"""Answers of the endpoints for data protection."""

import msgspec

from service.privacy.erasure import Erased


class ErasedAnswer(msgspec.Struct, frozen=True):
    """Counts of what was removed of the learner; all 0 if nothing was left."""

    erased: Erased
