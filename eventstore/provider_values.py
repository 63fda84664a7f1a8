"""Normalizes the values that a provider reports, so that the log can store and decode them.

A provider is any server that speaks the protocol, and may send any JSON value as a count. Values
are normalized here when they arrive. Events of earlier releases, which stored them unchecked, are
normalized when they are decoded.
"""

from typing import Annotated, Any

import msgspec

MAX_COUNT = 10**12
"""The highest count, and cost in micro-dollars; the SQL function `whole_number_v1` has it, too."""

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
    """A JSON value as a whole number from 0 to `MAX_COUNT`; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= MAX_COUNT and value == int(value) else None


def label(value: object) -> str | None:
    """A JSON value as a short text: a string or number itself, of others the type's name."""
    if value is None:
        return None
    text = str(value) if isinstance(value, str | int | float) else type(value).__name__
    return storable(text[:MAX_LABEL])


def storable(text: str) -> str:
    """The text with U+FFFD for NUL and lone surrogates, which PostgreSQL cannot store."""
    if text.isascii() and "\0" not in text:
        return text
    units = text.replace("\0", "\ufffd").encode("utf-16-le", "surrogatepass")
    return units.decode("utf-16-le", "replace")


class StorableStream:
    """Makes streamed text `storable`: the results, joined, are the joined input made storable.

    If a piece ends in the first surrogate of a pair, that one is kept until the next piece.
    """

    def __init__(self) -> None:
        self._half = ""

    def take(self, piece: str) -> str:
        """The next storable text, possibly empty."""
        text = self._half + piece
        self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return storable(text.removesuffix(self._half))

    def rest(self) -> str:
        """The last storable text, at the end of the stream."""
        half, self._half = self._half, ""
        return storable(half)


def normalized(stored: dict[str, Any]) -> dict[str, Any]:
    """Stored data of an event with a provider's values normalized as new events have them."""
    parts = {part: _answer(stored[part]) for part in ("reply", "judgement") if part in stored}
    return {**_answer(stored), **parts}


def _answer(stored: Any) -> Any:
    if not isinstance(stored, dict):
        return stored
    return stored | {key: norm(stored[key]) for key, norm in _NORMALIZERS.items() if key in stored}


def _usage(stored: Any) -> dict[str, int] | None:
    if not isinstance(stored, dict):
        return None
    return {key: count(stored.get(key)) or 0 for key in _COUNTS}


def _attempts(stored: Any) -> list[Any]:
    return [_answer(one) for one in stored] if isinstance(stored, list) else []


_NORMALIZERS = {
    "usage": _usage,
    "model": label,
    "stop_reason": label,
    "provider_request_id": label,
    "cost_microusd": count,
    "attempt_records": _attempts,
}
