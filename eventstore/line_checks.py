"""What each line of a log must be, beside hashing to its leaf: in order, and true to its text."""

from collections.abc import Sequence
from hashlib import sha256

import msgspec

from eventstore.copying import Row
from eventstore.findings import Findings
from eventstore.records import SALT


class LineData(msgspec.Struct, frozen=True, gc=False):
    """What these checks read of an event's data."""

    user_id: int | None = None


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

    Texts that are not there must have been removed as the log says: later than the text stands
    the expiry of its conversation, or the erasure of the learner whose conversation it is.

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
        self._bare: dict[int, tuple[int, int, int | None]] = {}
        self._erased: dict[int, int] = {}
        self.position = 0
        self.texts = 0
        self.removed = 0

    def take(self, rows: Sequence[Row]) -> None:
        """Checks the next lines."""
        decode = self._decoder.decode
        for position, text, salt, content in rows:
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
            self._check_text(line, salt, content)

    def end(self) -> None:
        """All lines were there: what is missing is missing for good."""
        for first, last, learner in self._bare.values():
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

    def _check_text(self, line: Line, salt: bytes | None, content: bytes | None) -> None:
        conversation, learner = line.conversation_id, line.data.user_id
        if learner is not None:
            self._follow(line, conversation, learner)
        if line.content_hash is None:
            if content is not None:
                self._findings.add(line.position, "there is a text, but the event never had one")
        elif salt is None or content is None:
            self.removed += 1
            self._miss(line)
        else:
            self.texts += 1
            if len(salt) != SALT:
                self._findings.add(
                    line.position, f"the event's salt has {len(salt)} bytes and not {SALT}"
                )
            if sha256(salt + content).hexdigest() != line.content_hash:
                self._findings.add(
                    line.position, "the event's text or salt is not what the event commits to"
                )

    def _follow(self, line: Line, conversation: int | None, learner: int) -> None:
        """Keeps whose conversation it is, and what was removed; each such event names both."""
        if line.type == "learner_erased.v1":
            self._erased[learner] = line.position
        if conversation is not None:
            self._learners.setdefault(conversation, learner)
            if line.type == "text_expired.v1":
                self._bare.pop(conversation, None)

    def _miss(self, line: Line) -> None:
        # A text of no conversation can only be covered by its learner's erasure.
        key = -line.position if line.conversation_id is None else line.conversation_id
        learner = self._learners.get(key, line.data.user_id)
        first = self._bare[key][0] if key in self._bare else line.position
        self._bare[key] = (first, line.position, learner)
