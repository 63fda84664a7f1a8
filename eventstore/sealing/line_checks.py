"""What each line of a log must be, beside hashing to its leaf: in order, and true to its text."""

from collections.abc import Sequence
from hashlib import sha256

import msgspec

from eventstore.envelope import SALT
from eventstore.sealing.copy_reader import Row
from eventstore.sealing.findings import Findings

_DIALOGUE = "dialogue-"
"""How streams of dialogues begin: `dialogue-<experience>-<learner>`."""


class LineData(msgspec.Struct, frozen=True, gc=False):
    """What these checks read of an event's data."""

    user_id: int | None = None
    texts: int | None = None


class Line(msgspec.Struct, frozen=True, gc=False):
    """What these checks read of a line."""

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
    """Goes through all lines of an account's log in order.

    A text must be kept as the words of the learner in whose dialogue its conversation is: else the
    learner's erasure passes it by. Texts that are not there must have been removed as the log
    says: later than the text stands the expiry of its conversation, or the erasure of its learner.
    A text that is there although one of these stands later was withheld from it, or put back.

    Args:
        account_id: Of the log.
        findings: Get what is wrong.
    """

    def __init__(self, account_id: int, findings: Findings) -> None:
        self._account_id = account_id
        self._findings = findings
        self._revisions: dict[str, int] = {}
        self._recorded_at = ""
        self._decoder = msgspec.json.Decoder(Line)
        self._learners: dict[int, int] = {}
        self._bare: dict[int, tuple[int, int, int | None, int]] = {}
        """First and last text that is not there, their learner and number, by conversation."""
        self._erased: dict[int, int] = {}
        self._standing: dict[int, int] = {}
        """The first text that is there, by conversation."""
        self._conversations: dict[int, set[int]] = {}
        """Conversations with texts that are there, by learner."""
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
        """All lines were there: what is missing is missing for good."""
        for first, last, learner, _ in self._bare.values():
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
        self._remove(line)
        if line.content_hash is None:
            if content is not None:
                self._findings.add(line.position, "there is a text, but the event never had one")
        elif salt is None or content is None:
            self.removed += 1
            self._miss(line, learner)
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
        if conversation not in self._standing:
            self._standing[conversation] = line.position
            self._conversations.setdefault(learner, set()).add(conversation)

    def _learner(self, line: Line) -> int | None:
        """Whose conversation the event is of, as the name of the dialogue's stream says."""
        conversation = line.conversation_id
        if conversation is None:
            return None
        if line.stream.startswith(_DIALOGUE) and conversation not in self._learners:
            learner = line.stream.rpartition("-")[2]
            if learner.isdecimal():
                self._learners[conversation] = int(learner)
        return self._learners.get(conversation)

    def _remove(self, line: Line) -> None:
        """Follows erasures and expiries: of all texts before them, and of none that is later."""
        if line.type == "learner_erased.v1" and line.data.user_id is not None:
            self._erased[line.data.user_id] = line.position
            for conversation in self._conversations.pop(line.data.user_id, ()):
                self._report_standing(conversation, line)
        elif line.type == "text_expired.v1" and line.conversation_id is not None:
            first, _, _, number = self._bare.pop(line.conversation_id, (0, 0, None, 0))
            if number > (line.data.texts or 0):
                self._findings.add(
                    first,
                    f"from here on {number} texts are missing, {line.type} at position "
                    f"{line.position} removed {line.data.texts}",
                )
            self._report_standing(line.conversation_id, line)

    def _report_standing(self, conversation: int, removal: Line) -> None:
        first = self._standing.pop(conversation, None)
        if first is not None:
            self._findings.add(
                first,
                f"the text is there, but {removal.type} at position {removal.position} removed it",
            )

    def _miss(self, line: Line, learner: int | None) -> None:
        # A text of no conversation is covered by nothing.
        key = -line.position if line.conversation_id is None else line.conversation_id
        first, _, _, number = self._bare.get(key, (line.position, 0, None, 0))
        self._bare[key] = (first, line.position, learner, number + 1)
