"""Checks each line of a log besides its hash: its order, and its text."""

from collections.abc import Sequence
from hashlib import sha256

import msgspec

from eventstore.envelope import SALT
from eventstore.sealing.copy_reader import Row
from eventstore.sealing.findings import Findings

_DIALOGUE = "dialogue-"
"""The prefix of dialogue streams, `dialogue-<experience>-<learner>`."""


class LineData(msgspec.Struct, frozen=True, gc=False):
    """The fields of an event's data that the checks use."""

    user_id: int | None = None
    texts: int | None = None


class Line(msgspec.Struct, frozen=True, gc=False):
    """The fields of a line that the checks use."""

    account_id: int
    position: int
    stream: str
    revision: int
    type: str
    conversation_id: int | None
    recorded_at: str
    content_hash: str | None
    data: LineData


class LineChecks:
    """Checks all lines of an account's log in order.

    A text's subject must be the learner in whose dialogue its conversation is; otherwise the
    learner's erasure would miss it. A missing text must be followed by the expiry of its
    conversation or the erasure of its learner. A text that exists although one of these follows
    was withheld from it, or restored.

    Args:
        account_id: Of the log.
        findings: Receives what is wrong.
    """

    def __init__(self, account_id: int, findings: Findings) -> None:
        self._account_id = account_id
        self._findings = findings
        self._revisions: dict[str, int] = {}
        self._recorded_at = ""
        self._decoder = msgspec.json.Decoder(Line)
        self._learners: dict[int, int] = {}
        self._missing: dict[int, tuple[int, int, int | None, int]] = {}
        """First and last missing text, their learner and number, by conversation."""
        self._erased: dict[int, int] = {}
        self._present: dict[int, int] = {}
        """The first existing text, by conversation."""
        self._conversations: dict[int, set[int]] = {}
        """Conversations with existing texts, by learner."""
        self.position = 0
        self.texts = 0
        self.removed = 0

    def take(self, rows: Sequence[Row]) -> None:
        """Checks the next lines."""
        decode = self._decoder.decode
        for position, text, salt, content, subject in rows:
            try:
                line = decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                self._findings.add(position, f"the event is not of the form of all events: {error}")
                self.position = position
                continue
            stream, revision = line.stream, line.revision
            if (
                line.position != self.position + 1
                or revision != self._revisions.get(stream, 0) + 1
                or line.recorded_at < self._recorded_at
            ):
                self._report_order(line)
            self.position = line.position
            self._revisions[stream] = revision
            self._recorded_at = line.recorded_at
            self._check_text(line, salt, content, subject)

    def end(self) -> None:
        """Reports the missing texts that no removal explains, after the last line."""
        for first, last, learner, _ in self._missing.values():
            if learner is None or self._erased.get(learner, 0) < last:
                self._findings.add(
                    first,
                    "the event's text is missing, and no erasure or expiry in the log says so",
                )

    def _report_order(self, line: Line) -> None:
        expected = self.position + 1
        if line.position > expected:
            self._findings.add(
                expected, f"the events {expected} to {line.position - 1} are missing"
            )
        elif line.position < expected:
            self._findings.add(line.position, "two events have this position")
        revision = self._revisions.get(line.stream, 0) + 1
        if line.revision != revision:
            self._findings.add(
                line.position,
                f"the event has revision {line.revision} of {line.stream}, not {revision}",
            )
        if line.recorded_at < self._recorded_at:
            self._findings.add(
                line.position,
                f"the event was recorded at {line.recorded_at}, before the one that it follows",
            )

    def _check_text(
        self, line: Line, salt: bytes | None, content: bytes | None, subject: int
    ) -> None:
        learner = self._learner(line)
        self._apply_removal(line)
        if line.content_hash is None:
            if content is not None:
                self._findings.add(line.position, "there is a text, but the event never had one")
        elif salt is None or content is None:
            self.removed += 1
            self._add_missing(line, learner)
        else:
            self.texts += 1
            self._check_commitment(line, salt, content)
            self._check_subject(line, learner, subject)

    def _check_commitment(self, line: Line, salt: bytes, content: bytes) -> None:
        if len(salt) != SALT:
            self._findings.add(
                line.position, f"the event's salt has {len(salt)} bytes and not {SALT}"
            )
        if sha256(salt + content).hexdigest() != line.content_hash:
            self._findings.add(
                line.position, "the event's text or salt is not what the event commits to"
            )

    def _check_subject(self, line: Line, learner: int | None, subject: int) -> None:
        conversation = line.conversation_id
        if learner is None or conversation is None:
            self._findings.add(line.position, "the log does not say whose words the text is")
            return
        if subject != learner:
            self._findings.add(
                line.position,
                f"the text is kept as words of user {subject}, the log says of user {learner}",
            )
        if conversation not in self._present:
            self._present[conversation] = line.position
            self._conversations.setdefault(learner, set()).add(conversation)

    def _learner(self, line: Line) -> int | None:
        """The learner of the event's conversation, by the name of the dialogue's stream."""
        conversation = line.conversation_id
        if conversation is None:
            return None
        if line.stream.startswith(_DIALOGUE) and conversation not in self._learners:
            learner = line.stream.rpartition("-")[2]
            if learner.isdecimal():
                self._learners[conversation] = int(learner)
        return self._learners.get(conversation)

    def _apply_removal(self, line: Line) -> None:
        """Applies an erasure or expiry to the texts before it."""
        if line.type == "learner_erased.v1" and line.data.user_id is not None:
            self._erased[line.data.user_id] = line.position
            for conversation in self._conversations.pop(line.data.user_id, ()):
                self._report_present(conversation, line)
        elif line.type == "text_expired.v1" and line.conversation_id is not None:
            first, _, _, number = self._missing.pop(line.conversation_id, (0, 0, None, 0))
            if number > (line.data.texts or 0):
                self._findings.add(
                    first,
                    f"from here on {number} texts are missing, {line.type} at position "
                    f"{line.position} removed {line.data.texts}",
                )
            self._report_present(line.conversation_id, line)

    def _report_present(self, conversation: int, removal: Line) -> None:
        first = self._present.pop(conversation, None)
        if first is not None:
            self._findings.add(
                first,
                f"the text is there, but {removal.type} at position {removal.position} removed it",
            )

    def _add_missing(self, line: Line, learner: int | None) -> None:
        # No removal covers a text without a conversation.
        key = -line.position if line.conversation_id is None else line.conversation_id
        first, _, _, number = self._missing.get(key, (line.position, 0, None, 0))
        self._missing[key] = (first, line.position, learner, number + 1)
