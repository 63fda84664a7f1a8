"""Words for how conversations end."""

from typing import Any

_ENDINGS = {
    "deleted": "ended on request",
    "superseded": "the next conversation took its place",
}


def ending_of(data: dict[str, Any]) -> str | None:
    """Why an event's conversation was completed; None for other events."""
    if data.get("type") != "conversation_completed.v1":
        return None
    return _ENDINGS.get(data["reason"], str(data["reason"]))
