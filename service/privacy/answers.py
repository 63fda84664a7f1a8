"""What the endpoints for data protection answer with."""

import msgspec

from service.privacy.erasure import Erased


class ErasedAnswer(msgspec.Struct, frozen=True):
    """How much was removed of the learner; all 0 where there was nothing left."""

    erased: Erased
