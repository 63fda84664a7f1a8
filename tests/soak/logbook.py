"""The log of a run, with what the checks look up in it."""

from collections import defaultdict

from eventstore.dialogue_events import ConversationCompleted, MessagePosted, OpeningRequested
from eventstore.envelope import RecordedEvent
from eventstore.evaluation_events import EvaluationRequested
from tests.request_keys import Secrets, hash_of
from tests.service.histories import ENDS, EVALUATION_ENDS, dialogues_of
from tests.soak.journal import Asked, Violation, shorten
from tests.soak.shown import states_of

_ENDS = (*ENDS, *EVALUATION_ENDS)


class Log:
    """The log with what the checks look up in it."""

    def __init__(self, events: list[RecordedEvent], secrets: Secrets) -> None:
        self.events = events
        self.secrets = secrets
        self.begun: dict[str, RecordedEvent] = {}
        self.ends: dict[str, list[RecordedEvent]] = defaultdict(list)
        self.posted: dict[str | None, list[RecordedEvent]] = defaultdict(list)
        self.keys: dict[tuple[int | None, str], RecordedEvent] = {}
        self.requests: dict[str | None, list[RecordedEvent]] = defaultdict(list)
        self.completed: dict[int, list[RecordedEvent]] = defaultdict(list)
        for event in events:
            self._index(event)
        self.states = {name: states_of(stream) for name, stream in dialogues_of(events).items()}

    def _index(self, recorded: RecordedEvent) -> None:
        event = recorded.event
        if isinstance(event, OpeningRequested | MessagePosted | EvaluationRequested):
            hold("a turn begins once", event.turn_id not in self.begun, event)
            self.begun[event.turn_id] = recorded
            self.requests[recorded.metadata.request_id].append(recorded)
        elif isinstance(event, _ENDS):
            self.ends[event.turn_id].append(recorded)
        elif isinstance(event, ConversationCompleted):
            self.completed[event.conversation_id].append(recorded)
        if isinstance(event, MessagePosted):
            self.posted[recorded.content].append(recorded)
        if recorded.metadata.idempotency_key is not None:
            self.keys[recorded.metadata.actor.id, recorded.metadata.idempotency_key] = recorded

    def end_of(self, asked: RecordedEvent) -> RecordedEvent:
        """The end of the turn that an event began."""
        event = asked.event
        assert isinstance(event, OpeningRequested | MessagePosted | EvaluationRequested)
        return self.ends[event.turn_id][0]

    def key_of(self, asked: Asked) -> str | None:
        """What the log has in place of a request's key."""
        key, secret = asked.request.key, self.secrets.get(asked.request.user)
        return hash_of(key, secret) if key is not None and secret is not None else None

    def turn(self, turn_id: str) -> str:
        """All that is in the log of a turn, as evidence."""
        return "\n".join(
            f"{e.position} {e.stream} {e.revision} {e.event} {e.metadata}"
            for e in self.events
            if getattr(e.event, "turn_id", None) == turn_id
        )


def hold(invariant: str, holds: object, evidence: object = "") -> None:
    """Raises a `Violation` unless the invariant holds."""
    if not holds:
        raise Violation(invariant, evidence)


def find_begun(log: Log, asked: Asked) -> RecordedEvent | None:
    """What any of the sendings led to; each has an id of its own, which the event keeps."""
    found = [e for answer in asked.answers for e in log.requests.get(answer.request_id, ())]
    hold("a request is in the log at most once", len(found) <= 1, (asked.request, found))
    if found:
        told = [shorten(answer) for answer in asked.answers]
        hold("what was refused is not in the log", asked.outcome or asked.in_doubt, (found, told))
        same = found[0].metadata.idempotency_key == log.key_of(asked)
        hold("a request is recorded with its key", same, (asked.request, found))
    return found[0] if found else None
