"""Values in JSON answers: ids as numbers or strings, times, and JSON of the database."""

from datetime import datetime
from typing import Any

import msgspec


class Id(int):
    """An id in an answer. Nothing else decides whether clients get a number or a string."""

    __slots__ = ()


def read_id(_kind: type, value: int) -> Id:
    """An id among the data that an answer is read from, for msgspec's `dec_hook`."""
    return Id(value)


def _string(value: Id) -> str:
    return str(int(value))


NUMBER_IDS = msgspec.json.Encoder(enc_hook=int)
STRING_IDS = msgspec.json.Encoder(enc_hook=_string)


def stored_json(text: str | None) -> Any:
    """JSON text from the database, to be embedded unchanged; null if there is none."""
    return msgspec.Raw(text or "null")


def timestamp(moment: datetime) -> str:
    """ISO 8601 to the second, as Canvas writes times.

    Args:
        moment: In UTC, as the database gives it.
    """
    return f"{moment.isoformat()[:19]}Z"
