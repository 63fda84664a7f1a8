"""How conversations end, in words for people: what is kept of them is another matter."""

from typing import Any

_ENDINGS = {
    "deleted": "ended on request",
    "superseded": "the next conversation took its place",
}


def ending_of(data: dict[str, Any]) -> str | None:
    """Why a conversation was completed; None for an event that completes none."""
    if data.get("type") != "conversation_completed.v1":
        return None
    return _ENDINGS.get(data["reason"], str(data["reason"]))
