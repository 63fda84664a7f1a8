"""Whether a store has what was sent to it; it may have added to it."""

from datetime import datetime
from typing import Any


def includes_all_of(stored: Any, sent: Any) -> bool:
    """Whether all that was sent is in what is stored, with equal values.

    Args:
        stored, sent: Decoded JSON. Times are equal that name the same moment.
    """
    match sent:
        case dict():
            return isinstance(stored, dict) and all(
                name in stored and includes_all_of(stored[name], value)
                for name, value in sent.items()
            )
        case list():
            return (
                isinstance(stored, list)
                and len(stored) == len(sent)
                and all(map(includes_all_of, stored, sent))
            )
        case str():
            return isinstance(stored, str) and (stored == sent or _same_moment(stored, sent))
        case _:
            return bool(stored == sent)


def _same_moment(one: str, other: str) -> bool:
    try:
        return datetime.fromisoformat(one) == datetime.fromisoformat(other)
    except (ValueError, TypeError):
        return False
