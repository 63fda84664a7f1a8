"""A learner's message that got no answer: it stays in the conversation and says so."""

from typing import Any

from service.model.errors import CANCELLED


def assert_kept(
    before: Any,
    after: Any,
    text: str,
    code: str = CANCELLED,
    *,
    partial: str = "",
    retryable: bool = True,
) -> None:
    """The conversation as before, with the message, and with what was seen of a stopped reply."""
    count = len(before["messages"])
    assert after | {"messages": after["messages"][:count]} == before
    said, *seen = after["messages"][count:]
    assert said == {
        "id": said["id"],
        "role": "User",
        "text": text,
        "created_at": said["created_at"],
        "feedback": [],
        "state": "stopped" if code == CANCELLED else "unanswered",
        "code": code,
        "retryable": retryable,
        "turn_id": said["turn_id"],
    }
    broken_off = [("Assistant", partial, True, CANCELLED)] if partial else []
    assert [(m["role"], m["text"], m["incomplete"], m["code"]) for m in seen] == broken_off


def without_ids(body: Any, *, kept: bool = True) -> Any:
    """The body of an error without its reference, and without the ids of a kept message."""
    ids = {"reference_id", "turn_id", "message_id"} if kept else {"reference_id"}
    assert all(body[name] for name in ids)
    return {name: value for name, value in body.items() if name not in ids}


def with_kept(body: Any, message: Any) -> Any:
    """The body of an error that names a kept message, as the conversation has it."""
    return body | {"message_id": message["id"], "turn_id": message["turn_id"]}
