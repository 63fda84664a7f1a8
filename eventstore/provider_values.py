"""What a provider reports about an answer, in a form that the log can store and read again.

A provider is any server that speaks the protocol, and nobody checks what it sends: where a count
is meant it may tell any JSON value. So each value is taken through here where it comes in; and
events of earlier releases, which stored values as they came, are read through here.
"""

from typing import Annotated, Any

import msgspec

MAX_COUNT = 10**12
"""The highest count, and the highest cost in micro-dollars: that of `whole_number_v1`, too."""

MAX_LABEL = 200
"""Characters of a label at most."""

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]

_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
)


def count(value: object) -> int | None:
    """The whole number from 0 to `MAX_COUNT` that a JSON value is; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= MAX_COUNT and value == int(value) else None


def label(value: object) -> str | None:
    """A JSON value as a short text: strings and numbers as they are, else the kind of value."""
    if value is None:
        return None
    text = str(value) if isinstance(value, str | int | float) else type(value).__name__
    return storable(text[:MAX_LABEL])


def storable(text: str) -> str:
    """The text with what PostgreSQL cannot hold, NUL and lone surrogates, marked as replaced."""
    if text.isascii() and "\0" not in text:
        return text
    units = text.replace("\0", "\ufffd").encode("utf-16-le", "surrogatepass")
    return units.decode("utf-16-le", "replace")


class Pieces:
    """Text that comes in pieces: what is given back, joined, is what came, joined and `storable`.

    A piece may end in the first half of a character, which waits for the second.
    """

    def __init__(self) -> None:
        self._half = ""

    def take(self, piece: str) -> str:
        """What can be given back by now; it may be nothing."""
        text = self._half + piece
        self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return storable(text.removesuffix(self._half))

    def rest(self) -> str:
        """What is left when nothing more comes."""
        half, self._half = self._half, ""
        return storable(half)


def mended(stored: dict[str, Any]) -> dict[str, Any]:
    """Stored data of an event with what a provider reported in it as it would be stored today."""
    parts = {part: _answer(stored[part]) for part in ("reply", "judgement") if part in stored}
    return {**_answer(stored), **parts}


def _answer(stored: Any) -> Any:
    if not isinstance(stored, dict):
        return stored
    return stored | {key: mend(stored[key]) for key, mend in _MENDS.items() if key in stored}


def _usage(stored: Any) -> dict[str, int] | None:
    if not isinstance(stored, dict):
        return None
    return {key: count(stored.get(key)) or 0 for key in _COUNTS}


def _attempts(stored: Any) -> list[Any]:
    return [_answer(one) for one in stored] if isinstance(stored, list) else []


_MENDS = {
    "usage": _usage,
    "model": label,
    "stop_reason": label,
    "provider_request_id": label,
    "cost_microusd": count,
    "attempt_records": _attempts,
}
