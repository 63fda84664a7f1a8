"""Every kind of event that the log holds.

An event type is permanent: its name ends in a version, fields are only ever added and then
with a default, and a changed meaning is a new version with an upcaster (`eventstore.codec`).
`tests/eventstore/golden` keeps one stored example of each.

No field holds personal text. What people and models wrote is the event's *content*, kept
apart from it; the comment beside each type says what its content is.
"""

from datetime import datetime
from typing import Literal

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """A fact: something that happened, in the past tense."""


class DialogueEvent(Event, frozen=True, kw_only=True):
    """An event of a learner's dialogue with an experience."""

    conversation_id: int


class TurnEvent(DialogueEvent, frozen=True, kw_only=True):
    """An event of one turn: the model being asked to speak, or the end of that."""

    turn_id: str


class Usage(msgspec.Struct, frozen=True):
    """Tokens that a reply took; the input is the sum of the three input figures."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0


class PromptVersion(msgspec.Struct, frozen=True):
    """Which prompt template a reply was made with: file name and SHA-256 of its bytes (hex)."""

    name: str
    sha256: str


class ReplyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What an auditor needs to judge how a reply came about."""

    model_requested: str
    model: str
    max_tokens: int
    prompt: PromptVersion
    stop_reason: str
    usage: Usage
    provider_request_id: str | None
    first_token_ms: int | None
    duration_ms: int
    attempts: int = 1


class OpeningRequested(TurnEvent, frozen=True, kw_only=True, tag="opening_requested.v1"):
    """A learner asked for a new conversation; the model was asked to speak first."""

    course_id: int
    experience_id: int
    experience_version: int
    user_id: int
    model: str
    owner: int
    deadline_at: datetime


class OpeningFailed(TurnEvent, frozen=True, kw_only=True, tag="opening_failed.v1"):
    """The model did not open the conversation. Content: what had arrived of it, if anything."""

    code: str
    detail: str = ""
    model: str | None = None
    usage: Usage | None = None
    provider_request_id: str | None = None
    duration_ms: int | None = None


class ConversationStarted(TurnEvent, frozen=True, kw_only=True, tag="conversation_started.v1"):
    """The model opened the conversation. Content: the opening."""

    course_id: int
    experience_id: int
    experience_version: int
    user_id: int
    objectives: tuple[str, ...]
    starting_prompt: str
    starting_message_id: str
    message_id: str
    reply: ReplyRecord


class MessagePosted(TurnEvent, frozen=True, kw_only=True, tag="message_posted.v1"):
    """A learner said something; the model was asked to answer. Content: the message."""

    message_id: str
    course_id: int
    experience_id: int
    user_id: int
    model: str
    owner: int
    deadline_at: datetime


class ReplyCompleted(TurnEvent, frozen=True, kw_only=True, tag="reply_completed.v1"):
    """The model answered. Content: the reply."""

    message_id: str
    reply: ReplyRecord


class ReplyFailed(TurnEvent, frozen=True, kw_only=True, tag="reply_failed.v1"):
    """The model did not answer. Content: what had arrived of it, if anything."""

    code: str
    detail: str = ""
    model: str | None = None
    usage: Usage | None = None
    provider_request_id: str | None = None
    duration_ms: int | None = None


class ReplyCancelled(TurnEvent, frozen=True, kw_only=True, tag="reply_cancelled.v1"):
    """A person ended the turn before the model had. Content: what had arrived, if anything."""

    reason: Literal["conversation_completed"]


class ConversationCompleted(
    DialogueEvent, frozen=True, kw_only=True, tag="conversation_completed.v1"
):
    """The conversation takes no more messages."""

    reason: Literal["superseded", "deleted"]


class ExperienceCreated(Event, frozen=True, kw_only=True, tag="experience_created.v1"):
    """A course got a new AI experience. Objectives stand one a line."""

    experience_id: int
    course_id: int
    title: str
    description: str
    facts: str
    learning_objective: str
    pedagogical_guidance: str
    workflow_state: Literal["published", "unpublished"]


AnyDialogueEvent = (
    OpeningRequested
    | OpeningFailed
    | ConversationStarted
    | MessagePosted
    | ReplyCompleted
    | ReplyFailed
    | ReplyCancelled
    | ConversationCompleted
)
AnyExperienceEvent = ExperienceCreated
AnyEvent = AnyDialogueEvent | AnyExperienceEvent


def type_name(event: AnyEvent) -> str:
    """The event's type as stored, such as ``message_posted.v1``."""
    return str(event.__struct_config__.tag)
