"""Checks the answers and streams that clients got against the log."""

from collections.abc import Iterator
from typing import Any

import msgspec

from eventstore.dialogue_events import (
    ConversationStarted,
    LearnersTurn,
    MessagePosted,
    OpeningFailed,
    OpeningRequested,
    ReplyCancelled,
    ReplyCompleted,
    ReplyFailed,
)
from eventstore.envelope import RecordedEvent
from eventstore.evaluation_events import EvaluationFailed, EvaluationRecorded
from tests.soak.expected_states import Acknowledgement, States, evaluation_states, states_of
from tests.soak.indexed_log import Log, check, find_beginning
from tests.soak.journal import Answer, Exchange, Journal, ReceivedText, canonical, shorten


def check_exchange(log: Log, exchange: Exchange) -> bool:
    """Checks the answers to a request; returns whether the log has the request."""
    request = exchange.request
    match request.kind:
        case "say":
            begun = find_beginning(log, exchange)
            _check_message(log, exchange, begun)
        case "cancel":
            return _check_cancelled(log, exchange)
        case "delete":
            return _check_deleted(log, exchange)
        case _:
            begun = find_beginning(log, exchange)
    if begun is None:
        evidence = f"{request}\n{[shorten(answer) for answer in exchange.answers]}"
        check("an acknowledged request is in the log", exchange.outcome is None, evidence)
        accepted = any(answer.accepted for answer in exchange.answers)
        check("an accepted request is in the log", not accepted, evidence)
        return False
    for answer in exchange.answers:
        _check_accepted(begun, answer)
    if exchange.outcome:
        _check_outcome(log, exchange, begun)
    return True


def _check_message(log: Log, exchange: Exchange, begun: RecordedEvent | None) -> None:
    request = exchange.request
    posted = log.posted.get(request.text, [])
    expected = [] if begun is None else [begun]
    check("a message is in the log as often as it was accepted", posted == expected, posted)
    if begun is None:
        return
    check("a key with another text records nothing", not request.forbidden, (request, begun))
    event = begun.event
    assert isinstance(event, MessagePosted)
    same = (event.conversation_id, event.user_id) == (request.conversation, request.user)
    check("a message is recorded as it was sent", same, (request, begun))


def _check_accepted(begun: RecordedEvent, answer: Answer) -> None:
    if answer.accepted is None:
        return
    event: Any = begun.event
    message = event.message_id if isinstance(event, LearnersTurn) else event.starting_message_id
    expected = {
        "turn_id": event.turn_id,
        "message_id": message,
        "conversation_id": event.conversation_id,
    }
    check("`accepted` has the ids that were recorded", answer.accepted == expected, (answer, begun))


def _check_outcome(log: Log, exchange: Exchange, begun: RecordedEvent) -> None:
    assert exchange.outcome is not None
    end, outcome = log.end_of(begun), exchange.outcome
    expected = _expected(log, begun, end)
    evidence = f"{exchange.request}\n{shorten(outcome)}\nexpected: {str(expected)[:600]}\n"
    evidence += log.turn(begun.event.turn_id)  # type: ignore[union-attr]
    status, digest, etag, code = expected
    if outcome.streamed and status == 201:
        status = 200
    check("a turn is answered as it ended (status)", outcome.status == status, evidence)
    check("a turn is answered as it ended (code)", outcome.code == code, evidence)
    if digest is not None:
        check("a turn is answered as it ended", canonical(outcome.body) == digest, evidence)
    if not outcome.streamed and outcome.etag is not None:
        check("a turn is answered as it ended (ETag)", outcome.etag == etag, evidence)
    if code:
        same = outcome.body["reference_id"] == begun.metadata.request_id
        check("an error names the request that exchange", same, evidence)
        asked: Any = begun.event
        learners = isinstance(asked, LearnersTurn)
        kept = {"turn_id": asked.turn_id, "message_id": asked.message_id} if learners else {}
        named = {name: outcome.body[name] for name in outcome.body if name in kept}
        check("an error names the message that stays", named == kept, evidence)


Expected = tuple[int, bytes | None, str | None, str]
"""Status, digest of the body, ETag and code of an answer."""


def _expected(log: Log, begun: RecordedEvent, end: RecordedEvent) -> Expected:
    event = end.event
    if isinstance(event, EvaluationRecorded):
        content = msgspec.json.decode(end.content or "null")
        return 200, canonical({"id": event.conversation_id, "evaluation": content}), None, ""
    if isinstance(event, ReplyCancelled) or getattr(event, "code", "") == "cancelled":
        return 409, None, None, "turn_cancelled"
    if isinstance(event, ReplyFailed | OpeningFailed | EvaluationFailed):
        return 503, None, None, event.code
    state = log.states[end.stream].at(end.revision)
    opening = isinstance(begun.event, OpeningRequested)
    return 201 if opening else 200, state.digest, state.etag, ""


def _check_cancelled(log: Log, exchange: Exchange) -> bool:
    assert exchange.request.turn is not None
    if any(answer.status == 404 for answer in exchange.answers):
        # A refusal with `turn_in_progress` has the turn's id, but not its conversation's.
        begun: Any = log.begun[exchange.request.turn].event
        elsewhere = begun.conversation_id != exchange.request.conversation
        check("only the turns of other conversations are not found", elsewhere, exchange.request)
    if exchange.outcome is None:
        return False
    end = log.ends[exchange.request.turn][0]
    code = getattr(end.event, "code", "")
    cancelled = isinstance(end.event, ReplyCancelled) or code == "cancelled"
    evidence = f"{exchange.request}\n{shorten(exchange.outcome)}\n{log.turn(exchange.request.turn)}"
    check(
        "the answer to a stop has its outcome",
        cancelled == (exchange.outcome.status == 200),
        evidence,
    )
    if cancelled:
        state = log.states[end.stream].at(end.revision)
        same = canonical(exchange.outcome.body) == state.digest
        check("a stop shows the conversation right after", same, f"{evidence}\n{state}")
    return True


def _check_deleted(log: Log, exchange: Exchange) -> bool:
    conversation = exchange.request.conversation
    assert conversation is not None
    statuses = {answer.status for answer in exchange.answers}
    completed = log.completed[conversation]
    check("a conversation ends once", len(completed) <= 1, completed)
    if {200, 404} & statuses:
        check("a deleted conversation is completed in the log", completed, exchange.request)
    return bool(completed)


def check_received(log: Log, received: ReceivedText) -> bool:
    """The text that a client got of a reply is the reply, or its beginning.

    A process that does not own the turn sends no deltas: its last event has the whole reply, and
    is compared with the dialogue like any answer.
    """
    end = log.ends[received.turn_id][0]
    if end.content is None or received.number != log.takeovers[received.turn_id]:
        return False  # what a process said that was gone before the end
    answered = received.whole and isinstance(end.event, ReplyCompleted | ConversationStarted)
    whole = received.text in ("", end.content)
    fits = whole if answered else end.content.startswith(received.text)
    evidence = f"{received}\n{end.content!r}\n{log.turn(received.turn_id)}"
    check("the deltas joined are the reply", fits, evidence)
    return True


def states_for(log: Log, journal: Journal) -> dict[str, States]:
    """The states of all that the run's clients have read, by the journal's name."""
    states = dict(log.states)
    for name in {read.stream for read in journal.reads} - set(states):
        prefix, _, number = name.rpartition("-")
        if prefix == "evaluations-of":
            conversation = int(number)
            events = [
                e for e in log.events if getattr(e.event, "conversation_id", 0) == conversation
            ]
            states[name] = evaluation_states(conversation, events)
        else:
            states[name] = states_of([])
    return states


def acknowledgements(log: Log, journal: Journal) -> Iterator[Acknowledgement]:
    """The revisions that answers acknowledged, and when."""
    for exchange in journal.exchanges:
        for answer in exchange.answers:
            if answer.lost and not answer.accepted:
                continue
            yield from _acknowledged_by(log, exchange, answer)


def _acknowledged_by(log: Log, exchange: Exchange, answer: Answer) -> Iterator[Acknowledgement]:
    if answer.accepted:
        begun = log.begun[answer.accepted["turn_id"]]
        yield Acknowledgement(begun.stream, answer.ended, begun.revision)
    if exchange.outcome is None or answer.lost or answer.summary != exchange.outcome.summary:
        return
    request = exchange.request
    if request.kind == "cancel":
        assert request.turn is not None
        begun = log.begun[request.turn]
    elif request.kind == "delete":
        assert request.conversation is not None
        completed = log.completed[request.conversation][0]
        yield Acknowledgement(completed.stream, answer.ended, completed.revision)
        return
    elif event := find_beginning(log, exchange):
        begun = event
    else:
        return
    end = log.end_of(begun)
    if isinstance(end.event, EvaluationRecorded):
        name = f"evaluations-of-{end.event.conversation_id}"
        yield Acknowledgement(name, answer.ended, end.position)
    elif not isinstance(end.event, EvaluationFailed):
        yield Acknowledgement(end.stream, answer.ended, end.revision)
