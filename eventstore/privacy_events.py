"""Events about the erasure, legal holds, retention and reading of texts.

None has content. Operators write the reasons, never learners.
"""

from typing import Literal

from eventstore.event import DialogueEvent, Event

MAX_REASON = 500
"""Characters of a reason."""


class TextExpired(DialogueEvent, frozen=True, kw_only=True, tag="text_expired.v1"):
    """All earlier texts of a conversation, and of feedback on it, were deleted with their salts.

    The event is in the learner's dialogue stream, so that cached dialogues are read again. `texts`
    counts the deleted texts. `rule` is "erasure" if the learner was erased, else the kind of
    retention rule that applied, with its `days`.
    """

    user_id: int
    texts: int
    rule: Literal["erasure", "course", "account"]
    days: int | None = None


class LearnerErased(Event, frozen=True, kw_only=True, tag="learner_erased.v1"):
    """A learner's texts, names and logins were removed; the fields count them.

    `texts` counts those of all conversations. `tokens` were revoked, `identities` deleted.
    """

    user_id: int
    reason: str
    texts: int
    conversations: int
    names: int
    identities: int
    tokens: int


class HoldPlaced(Event, frozen=True, kw_only=True, tag="hold_placed.v1"):
    """A legal hold began: the learner's texts may not be deleted."""

    hold_id: int
    user_id: int
    reason: str


class HoldReleased(Event, frozen=True, kw_only=True, tag="hold_released.v1"):
    """A legal hold ended; other holds on the same learner continue."""

    hold_id: int
    user_id: int
    reason: str


class RetentionRuleSet(Event, frozen=True, kw_only=True, tag="retention_rule_set.v1"):
    """Texts of a course's conversations are kept for `days` after completion; None: for ever.

    `course_id` 0 is the rule for all courses without one of their own.
    """

    course_id: int
    days: int | None


class HistoryRead(Event, frozen=True, kw_only=True, tag="history_read.v1"):
    """The actor read a learner's texts or data.

    `what` is the endpoint or command. `learner_id` and `conversation_id` are None if the read was
    not limited to one; `course_id` is set only for a read of a whole course. `operator` is the
    operating system's name of the user who ran a command.
    """

    what: str
    learner_id: int | None = None
    conversation_id: int | None = None
    course_id: int | None = None
    reason: str | None = None
    operator: str | None = None


AnyPrivacyEvent = (
    TextExpired | LearnerErased | HoldPlaced | HoldReleased | RetentionRuleSet | HistoryRead
)


LEARNER_STREAMS = "learner-"
"""The prefix of learners' streams."""


def stream_of_learner(user_id: int) -> str:
    """The stream of a learner's holds and erasures."""
    return f"{LEARNER_STREAMS}{user_id}"


def stream_of_retention(course_id: int) -> str:
    """The stream of a course's retention rules, or with 0 of the account's."""
    return f"retention-{course_id}"


def stream_of_reads(learner_id: int | None) -> str:
    """The stream that records reads of a learner's data, or of no particular learner's."""
    return "access" if learner_id is None else f"access-{learner_id}"
