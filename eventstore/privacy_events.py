"""Events about the texts themselves: erased, held, kept for a while, read.

None of them has content. Their reasons are the words of those who run the service, never of a
learner.
"""

from typing import Literal

from eventstore.event import DialogueEvent, Event

MAX_REASON = 500
"""Characters of a reason."""


class TextExpired(DialogueEvent, frozen=True, kw_only=True, tag="text_expired.v1"):
    """All that was said in and about a conversation up to here was deleted, with its salts.

    It stands in the learner's dialogue, so that whoever remembers that must read it again.
    `texts` counts what was deleted. `rule` is "erasure" where the learner was erased, else the
    retention rule that asked for it, with its `days`.
    """

    user_id: int
    texts: int
    rule: Literal["erasure", "course", "account"]
    days: int | None = None


class LearnerErased(Event, frozen=True, kw_only=True, tag="learner_erased.v1"):
    """A learner's texts, names and ways in were removed. The counts say how many.

    `texts` are those of all conversations. `tokens` were revoked, `identities` deleted.
    """

    user_id: int
    reason: str
    texts: int
    conversations: int
    names: int
    identities: int
    tokens: int


class HoldPlaced(Event, frozen=True, kw_only=True, tag="hold_placed.v1"):
    """From here on nothing that a learner said may be deleted."""

    hold_id: int
    user_id: int
    reason: str


class HoldReleased(Event, frozen=True, kw_only=True, tag="hold_released.v1"):
    """A hold ends; others on the same learner go on."""

    hold_id: int
    user_id: int
    reason: str


class RetentionRuleSet(Event, frozen=True, kw_only=True, tag="retention_rule_set.v1"):
    """Texts of a course's conversations are kept so many days after completion.

    `course_id` 0 is the rule of all courses that have none of their own. `days` None: for ever.
    """

    course_id: int
    days: int | None


class HistoryRead(Event, frozen=True, kw_only=True, tag="history_read.v1"):
    """Somebody read what a learner said, or what is kept about them; the actor is who did.

    `what` is the endpoint or command. `learner_id` and `conversation_id` are None where the
    reading was not of one of them; `course_id` is set only where it was of a whole course.
    `operator` is what the system calls the user who ran a command.
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
"""How the names of learners' streams begin."""


def stream_of_learner(user_id: int) -> str:
    """The stream of a learner's holds and erasures."""
    return f"{LEARNER_STREAMS}{user_id}"


def stream_of_retention(course_id: int) -> str:
    """The stream of a course's retention rules; 0 for the account's."""
    return f"retention-{course_id}"


def stream_of_reads(learner_id: int | None) -> str:
    """The stream that tells who read of a learner, or of no learner in particular."""
    return "access" if learner_id is None else f"access-{learner_id}"
