"""The answers that clients must get at each revision of a dialogue, without the service's code."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from eventstore.dialogue_events import (
    ConversationCompleted,
    ConversationStarted,
    MessagePosted,
    MessageRetried,
    ObjectivesAssessed,
    ReplyCancelled,
    ReplyCompleted,
    ReplyFailed,
)
from eventstore.envelope import RecordedEvent
from eventstore.evaluation_events import EvaluationRecorded
from tests.soak.journal import Journal, Read, Violation, canonical

NOTHING = '"none"'
UNANSWERED = ("state", "code", "retryable", "turn_id")
"""Fields of a message without an answer."""
CUT_OFF = {
    "max_tokens": "reply_too_long",
    "model_context_window_exceeded": "conversation_too_long",
}


class State(msgspec.Struct, frozen=True):
    """The answer of a GET right after `revision`."""

    revision: int
    digest: bytes
    etag: str | None
    text: str


class States:
    """All states of a dialogue, in order."""

    def __init__(self, states: Sequence[State]) -> None:
        self.all = states
        self._revisions = [state.revision for state in states]
        self._by_answer: dict[tuple[bytes | None, str | None], list[int]] = defaultdict(list)
        for state in states:
            for answer in ((state.digest, state.etag), (state.digest, None), (None, state.etag)):
                self._by_answer[answer].append(state.revision)

    def at(self, revision: int) -> State:
        """The state after a revision."""
        place = bisect_left(self._revisions, revision + 1) - 1
        return self.all[place]

    def first_since(self, revision: int, digest: bytes | None, etag: str | None) -> int | None:
        """The earliest revision, from this one on, whose answer has this digest and ETag."""
        floor = self.at(revision).revision
        revisions = self._by_answer.get((digest, etag), [])
        place = bisect_left(revisions, floor)
        return revisions[place] if place < len(revisions) else None


def states_of(events: Iterable[RecordedEvent]) -> States:
    """The states of a dialogue, from its whole stream; before the first event it is empty."""
    view = _View()
    states = [State(0, canonical({}), NOTHING, "{}")]
    states += [_state(event.revision, view) for event in events if view.apply(event)]
    return States(states)


def evaluation_states(conversation_id: int, events: Iterable[RecordedEvent]) -> States:
    """The answers of GET …/evaluation after each position of the log."""
    states = [_evaluation(conversation_id, 0, None)]
    for event in events:
        if isinstance(event.event, EvaluationRecorded):
            content = msgspec.json.decode(event.content or "null")
            states.append(_evaluation(conversation_id, event.position, content))
    return States(states)


def _evaluation(conversation_id: int, position: int, content: Any) -> State:
    body = {"id": conversation_id, "evaluation": content, "stale": False}
    return State(position, canonical(body), None, str(body))


def _state(revision: int, view: "_View") -> State:
    body = view.body()
    etag = f'"{view.conversation}-{view.changed_at}"' if body else NOTHING
    return State(revision, canonical(body), etag, str(body)[-400:])


class _View(msgspec.Struct):
    conversation: int | None = None
    objectives: tuple[str, ...] = ()
    covered: set[int] = set()
    messages: list[tuple[int, str, dict[str, Any]]] = []
    progressed: int = 0

    @property
    def changed_at(self) -> int:
        return max(self.progressed, *(revision for revision, _, _ in self.messages))

    def apply(self, recorded: RecordedEvent) -> bool:
        """Applies an event; returns whether it changes the answer."""
        event = recorded.event
        match event:
            case ConversationStarted():
                self._start(event, recorded)
            case MessagePosted():
                self._say(event.message_id, event.turn_id, "User", recorded, recorded.content)
            case ReplyCompleted():
                for message_id in event.answers:
                    self._mark(message_id, recorded)
                self._reply(event, recorded)
            case ReplyFailed() | ReplyCancelled() if not event.kept:
                self.messages = [m for m in self.messages if m[1] != event.turn_id]
            case ReplyFailed():
                self._leave(event.turn_id, recorded, "unanswered", event.code, event.retryable)
            case ReplyCancelled():
                self._leave(event.turn_id, recorded, "stopped", "cancelled", True)
                if partial := event.partial_message_id:
                    self._say(partial, event.turn_id, "Assistant", recorded, recorded.content)
                    self.messages[-1][2].update(incomplete=True, code="cancelled")
            case MessageRetried():
                kept = (m for m in self.messages if m[1] != event.retried_turn_id)
                asked = (m for m in self.messages if m[2]["id"] == event.message_id)
                self.messages = [*kept, *((m[0], event.turn_id, m[2]) for m in asked)]
                self._mark(event.message_id, recorded)
            case ObjectivesAssessed() if event.covered:
                self.covered |= {entry.objective for entry in event.covered}
                self.progressed = recorded.revision
            case ConversationCompleted():
                self.conversation = None
            case _:
                return False
        return True

    def body(self) -> dict[str, Any]:
        if self.conversation is None:
            return {}
        return {
            "id": self.conversation,
            "messages": [message for _, _, message in self.messages],
            "progress": self._progress(),
        }

    def _start(self, event: ConversationStarted, recorded: RecordedEvent) -> None:
        self.conversation, self.objectives = event.conversation_id, event.objectives
        self.covered, self.messages, self.progressed = set(), [], recorded.revision
        prompt = event.starting_prompt
        self._say(event.starting_message_id, event.turn_id, "User", recorded, prompt)
        self._reply(event, recorded)

    def _reply(self, event: ConversationStarted | ReplyCompleted, recorded: RecordedEvent) -> None:
        self._say(event.message_id, event.turn_id, "Assistant", recorded, recorded.content)
        reason = event.reply.stop_reason
        if reason not in ("end_turn", "stop_sequence"):
            code = CUT_OFF.get(reason, "reply_unfinished")
            self.messages[-1][2].update(incomplete=True, code=code)

    def _leave(
        self, turn_id: str, recorded: RecordedEvent, state: str, code: str, retryable: bool
    ) -> None:
        (asked,) = (m[2]["id"] for m in self.messages if m[1] == turn_id)
        self._mark(asked, recorded, state=state, code=code, retryable=retryable, turn_id=turn_id)

    def _mark(self, message_id: str, recorded: RecordedEvent, **state: Any) -> None:
        """A message is in this state from now on."""
        for number, (_, turn_id, message) in enumerate(self.messages):
            if message["id"] == message_id:
                plain = {name: v for name, v in message.items() if name not in UNANSWERED}
                self.messages[number] = (recorded.revision, turn_id, plain | state)

    def _say(
        self, message_id: str, turn_id: str, role: str, recorded: RecordedEvent, text: str | None
    ) -> None:
        message: dict[str, Any] = {
            "id": message_id,
            "role": role,
            "text": text,
            "created_at": recorded.recorded_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "feedback": [],
        }
        self.messages.append((recorded.revision, turn_id, message))

    def _progress(self) -> dict[str, Any] | None:
        if not (total := len(self.objectives)):
            return None
        return {
            "current": len(self.covered),
            "total": total,
            "percentage": int(100 * len(self.covered) / total + 0.5),
            "objectives": [
                {"objective": text, "status": "covered" if number in self.covered else ""}
                for number, text in enumerate(self.objectives, 1)
            ],
        }


class Acknowledgement(msgspec.Struct, frozen=True):
    """An answer after which every read must see at least this revision."""

    stream: str
    at: int
    revision: int


def check_reads(
    journal: Journal, states: dict[str, States], acknowledged: Iterable[Acknowledgement]
) -> int:
    """Every read shows at least what was acknowledged, or read, before the read began.

    Returns:
        How many reads were checked.

    Raises:
        Violation: A read shows an earlier state, or none of the states.
    """
    reads: dict[str, list[Read]] = defaultdict(list)
    for read in journal.reads:
        reads[read.stream].append(read)
    by_stream: dict[str, list[Acknowledgement]] = defaultdict(list)
    for acknowledgement in acknowledged:
        by_stream[acknowledgement.stream].append(acknowledgement)
    for stream, of_stream in reads.items():
        _check_stream(states[stream], of_stream, by_stream[stream])
    return len(journal.reads)


def _check_stream(
    states: States, reads: list[Read], acknowledgements: list[Acknowledgement]
) -> None:
    floor = 0
    floors: dict[int, int] = {}
    history: list[tuple[int, str, Any]] = [(a.at, "acknowledged", a) for a in acknowledgements]
    for read in reads:
        history += [(read.began, "begins", read), (read.ended, "ends", read)]
    for _, kind, entry in sorted(history, key=lambda item: item[0]):
        if kind == "acknowledged":
            floor = max(floor, entry.revision)
        elif kind == "begins":
            floors[entry.began] = floor
        else:
            revision = states.first_since(floors[entry.began], entry.digest, entry.etag)
            if revision is None:
                raise _stale(states, entry, floors[entry.began])
            floor = max(floor, revision)


def _stale(states: States, read: Read, floor: int) -> Violation:
    before = states.first_since(0, read.digest, read.etag)
    when = "never" if before is None else f"last not later than revision {floor}, as at {before}"
    return Violation(
        "a read shows what was acknowledged before",
        f"{read.stream}: {read}\nThis was the answer {when}.\n"
        f"At revision {floor}: {states.at(floor)}\n"
        f"At the end: {states.all[-1]}",
    )
