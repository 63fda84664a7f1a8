"""An event on one line of a terminal."""

from collections.abc import Iterator
from typing import Any

from service.audit.audited_events import AuditedEvent
from service.audit.conversation_endings import ending_of
from service.cli.context import printable

_EXCERPT_LENGTH = 100


def line_of(event: AuditedEvent) -> str:
    """Position, time, conversation or stream, type, actor, and the beginning of the text."""
    actor = event.metadata["actor"]
    role, user = actor["role"], actor["id"]
    who = f"{role} {user}" if user else role
    where = f"conversation {event.conversation_id}" if event.conversation_id else event.stream
    text = [printable(event.content)[:_EXCERPT_LENGTH]] if event.content else []
    details = "  ".join([*_extras(event.data), *text])
    return (
        f"{event.position:>7}  {event.recorded_at:%Y-%m-%d %H:%M:%S}  {where:<16}  "
        f"{event.type:<27}{who:<14}{details}"
    ).rstrip()


def _extras(data: dict[str, Any]) -> Iterator[str]:
    """The model that answered, how the turn ended, and the covered objectives."""
    if answer := data.get("reply") or data.get("judgement"):
        yield answer["model"]
    if why := ending_of(data) or data.get("code") or data.get("reason"):
        yield printable(why)
    if covered := data.get("covered"):
        yield "covered " + ", ".join(str(entry["objective"]) for entry in covered)
