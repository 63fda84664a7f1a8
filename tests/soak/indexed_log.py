"""The log of a run, indexed for the checks."""

from collections import Counter, defaultdict

from eventstore.dialogue_events import (
    ConversationCompleted,
    MessagePosted,
    TurnRequest,
    TurnTakenOver,
)
from eventstore.envelope import RecordedEvent
from eventstore.evaluation_events import EvaluationRequested
from tests.request_keys import Secrets, hash_of
from tests.service.histories import ENDS, EVALUATION_ENDS, dialogues_of
from tests.soak.expected_states import states_of
from tests.soak.journal import Exchange, Violation, shorten

_ENDS = (*ENDS, *EVALUATION_ENDS)


class Log:
    """The events of a log, by turn, text, key and request."""

    def __init__(self, events: list[RecordedEvent], secrets: Secrets) -> None:
        self.events = events
        self.secrets = secrets
        self.begun: dict[str, RecordedEvent] = {}
        self._by_turn: dict[str | None, list[RecordedEvent]] = defaultdict(list)
        self.ends: dict[str, list[RecordedEvent]] = defaultdict(list)
        self.posted: dict[str | None, list[RecordedEvent]] = defaultdict(list)
        self.takeovers: Counter[str] = Counter()
        self.words: dict[str, str | None] = {}
        self.keys: dict[tuple[int | None, str], RecordedEvent] = {}
        self.requests: dict[str | None, list[RecordedEvent]] = defaultdict(list)
        self.completed: dict[int, list[RecordedEvent]] = defaultdict(list)
        for event in events:
            self._index(event)
        self.states = {name: states_of(stream) for name, stream in dialogues_of(events).items()}

    def _index(self, recorded: RecordedEvent) -> None:
        event = recorded.event
        self._by_turn[getattr(event, "turn_id", None)].append(recorded)
        if isinstance(event, TurnRequest | EvaluationRequested):
            check("a turn begins once", event.turn_id not in self.begun, event)
            self.begun[event.turn_id] = recorded
            self.requests[recorded.metadata.request_id].append(recorded)
        elif isinstance(event, TurnTakenOver):
            self.takeovers[event.turn_id] += 1
        elif isinstance(event, _ENDS):
            self.ends[event.turn_id].append(recorded)
        elif isinstance(event, ConversationCompleted):
            self.completed[event.conversation_id].append(recorded)
        if isinstance(event, MessagePosted):
            self.posted[recorded.content].append(recorded)
            self.words[event.message_id] = recorded.content
        if recorded.metadata.idempotency_key is not None:
            self.keys[recorded.metadata.actor.id, recorded.metadata.idempotency_key] = recorded

    def end_of(self, begun: RecordedEvent) -> RecordedEvent:
        """The end of the turn that an event began."""
        event = begun.event
        assert isinstance(event, TurnRequest | EvaluationRequested)
        return self.ends[event.turn_id][0]

    def key_of(self, exchange: Exchange) -> str | None:
        """The hash that the log has of a request's key."""
        key, secret = exchange.request.key, self.secrets.get(exchange.request.user)
        return hash_of(key, secret) if key is not None and secret is not None else None

    def turn(self, turn_id: str) -> str:
        """All events of a turn, as evidence."""
        return "\n".join(
            f"{e.position} {e.stream} {e.revision} {e.event} {e.metadata}"
            for e in self._by_turn[turn_id]
        )


def check(invariant: str, holds: object, evidence: object = "") -> None:
    """Raises a `Violation` unless the invariant holds."""
    if not holds:
        raise Violation(invariant, evidence)


def find_beginning(log: Log, exchange: Exchange) -> RecordedEvent | None:
    """The event that an exchange began; it has the id of one of the attempts."""
    events = [e for answer in exchange.answers for e in log.requests.get(answer.request_id, ())]
    check("a request is in the log at most once", len(events) <= 1, (exchange.request, events))
    if events:
        answers = [shorten(answer) for answer in exchange.answers]
        accepted = exchange.outcome or exchange.in_doubt
        check("a refused request is not in the log", accepted, (events, answers))
        same = events[0].metadata.idempotency_key == log.key_of(exchange)
        check("a request is recorded with its key", same, (exchange.request, events))
    return events[0] if events else None
