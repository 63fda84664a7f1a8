from typing import Any

import msgspec
import pytest

from eventstore.codec import Upcaster, decode_event, encode
from eventstore.dialogue_events import ConversationCompleted, ReplyFailed
from eventstore.envelope import Actor, Metadata
from eventstore.errors import UnknownEventType

COMPLETED = ConversationCompleted(conversation_id=16, reason="deleted")


def stored(**data: Any) -> str:
    return msgspec.json.encode(data).decode()


def rename(type_name: str, **defaults: Any) -> Upcaster:
    """An upcaster that gives the data a new type and some fields that it lacked."""
    return lambda data: {**defaults, **data, "type": type_name}


def test_older_versions_are_upcast_step_by_step() -> None:
    upcasters = {
        "conversation_ended.v0": rename("conversation_ended.v1", reason="deleted"),
        "conversation_ended.v1": rename("conversation_completed.v1"),
    }
    oldest = stored(type="conversation_ended.v0", conversation_id=16)
    older = stored(type="conversation_ended.v1", conversation_id=16, reason="superseded")
    assert decode_event(oldest, upcasters) == COMPLETED
    assert decode_event(older, upcasters) == ConversationCompleted(
        conversation_id=16, reason="superseded"
    )


def test_a_current_event_is_not_upcast() -> None:
    def never(_data: dict[str, Any]) -> dict[str, Any]:
        raise AssertionError

    assert decode_event(encode(COMPLETED), {"conversation_completed.v1": never}) == COMPLETED


@pytest.mark.parametrize(
    "data",
    [
        stored(type="conversation_paused.v1", conversation_id=16),
        stored(type="conversation_completed.v2", conversation_id=16, reason="deleted"),
        stored(conversation_id=16, reason="deleted"),
    ],
    ids=["another type", "a later version", "no type"],
)
def test_an_event_that_this_program_does_not_know_is_refused(data: str) -> None:
    with pytest.raises(UnknownEventType, match="event type"):
        decode_event(data)


def test_a_known_event_that_lacks_a_field_is_refused_and_names_it() -> None:
    with pytest.raises(UnknownEventType, match=r"conversation_completed\.v1.*`reason`"):
        decode_event(stored(type="conversation_completed.v1", conversation_id=16))


def test_an_upcaster_that_leads_nowhere_is_refused() -> None:
    upcasters = {"conversation_ended.v0": rename("conversation_ended.v1")}
    with pytest.raises(UnknownEventType, match=r"conversation_ended\.v1"):
        decode_event(stored(type="conversation_ended.v0", conversation_id=16), upcasters)


def test_fields_that_a_later_program_added_are_ignored() -> None:
    data = {**msgspec.json.decode(encode(COMPLETED)), "mood": "cheerful"}
    assert decode_event(stored(**data)) == COMPLETED


def test_fields_that_an_earlier_program_lacked_have_their_defaults() -> None:
    event = decode_event(stored(type="reply_failed.v1", conversation_id=1, turn_id="t", code="x"))
    assert event == ReplyFailed(conversation_id=1, turn_id="t", code="x", detail="")


def test_metadata_is_stored_without_unset_fields() -> None:
    metadata = Metadata(actor=Actor(None, "system"), request_id="r")
    assert encode(metadata) == '{"actor":{"id":null,"role":"system"},"request_id":"r"}'
