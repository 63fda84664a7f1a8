"""What clients were told, against the log: answers, streams, and what was to be read when."""

from collections.abc import Iterator
from typing import Any

import msgspec

from eventstore.dialogue_events import (
    ConversationStarted,
    MessagePosted,
    OpeningFailed,
    OpeningRequested,
    ReplyCancelled,
    ReplyCompleted,
    ReplyFailed,
)
from eventstore.envelope import RecordedEvent
from eventstore.evaluation_events import EvaluationFailed, EvaluationRecorded
from tests.soak.journal import Answer, Asked, Heard, Journal, canonical, shorten
from tests.soak.logbook import Log, find_begun, hold
from tests.soak.shown import Moment, States, evaluation_states, states_of


def check_asked(log: Log, asked: Asked) -> bool:
    """What a client was told of a request is what the log says of it; whether it is in there."""
    request = asked.request
    match request.kind:
        case "say":
            found = find_begun(log, asked)
            _check_said(log, asked, found)
        case "cancel":
            return _check_cancelled(log, asked)
        case "delete":
            return _check_deleted(log, asked)
        case _:
            found = find_begun(log, asked)
    if found is None:
        evidence = f"{request}\n{[shorten(answer) for answer in asked.answers]}"
        hold("what was acknowledged is in the log", asked.outcome is None, evidence)
        accepted = any(answer.accepted for answer in asked.answers)
        hold("what was accepted is in the log", not accepted, evidence)
        return False
    for answer in asked.answers:
        _check_accepted(log, found, answer)
    if asked.outcome:
        _check_outcome(log, asked, found)
    return True


def _check_said(log: Log, asked: Asked, begun: RecordedEvent | None) -> None:
    request = asked.request
    found = log.posted.get(request.text, [])
    hold("a message is in the log as often as it was taken", found == [begun] * bool(begun), found)
    if begun is None:
        return
    hold("a key of other words brings nothing in", not request.forbidden, (request, begun))
    event = begun.event
    assert isinstance(event, MessagePosted)
    same = (event.conversation_id, event.user_id) == (request.conversation, request.user)
    hold("a message is recorded as it was sent", same, (request, begun))


def _check_accepted(log: Log, begun: RecordedEvent, answer: Answer) -> None:
    if answer.accepted is None:
        return
    event: Any = begun.event
    message = event.message_id if isinstance(event, MessagePosted) else event.starting_message_id
    told = {
        "turn_id": event.turn_id,
        "message_id": message,
        "conversation_id": event.conversation_id,
    }
    hold("`accepted` tells what was recorded", answer.accepted == told, (answer, begun))


def _check_outcome(log: Log, asked: Asked, begun: RecordedEvent) -> None:
    assert asked.outcome is not None
    end, outcome = log.end_of(begun), asked.outcome
    expected = _expected(log, begun, end)
    evidence = f"{asked.request}\n{shorten(outcome)}\nexpected: {str(expected)[:600]}\n"
    evidence += log.turn(begun.event.turn_id)  # type: ignore[union-attr]
    status, digest, etag, code = expected
    if outcome.streamed and status == 201:
        status = 200
    hold("a turn is answered as it ended (status)", outcome.status == status, evidence)
    hold("a turn is answered as it ended (code)", outcome.code == code, evidence)
    if digest is not None:
        hold("a turn is answered as it ended", canonical(outcome.body) == digest, evidence)
    if not outcome.streamed and outcome.etag is not None:
        hold("a turn is answered as it ended (ETag)", outcome.etag == etag, evidence)
    if code:
        same = outcome.body["reference_id"] == begun.metadata.request_id
        hold("an error names the request that asked", same, evidence)


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


def _check_cancelled(log: Log, asked: Asked) -> bool:
    assert asked.request.turn is not None
    if any(answer.status == 404 for answer in asked.answers):
        # Who is refused since a reply is under way learns the turn, but not of which conversation.
        begun: Any = log.begun[asked.request.turn].event
        elsewhere = begun.conversation_id != asked.request.conversation
        hold("only the turns of other conversations are not found", elsewhere, asked.request)
    if asked.outcome is None:
        return False
    end = log.ends[asked.request.turn][0]
    code = getattr(end.event, "code", "")
    cancelled = isinstance(end.event, ReplyCancelled) or code == "cancelled"
    evidence = f"{asked.request}\n{shorten(asked.outcome)}\n{log.turn(asked.request.turn)}"
    hold("a stop is told as it came out", cancelled == (asked.outcome.status == 200), evidence)
    if cancelled:
        state = log.states[end.stream].at(end.revision)
        same = canonical(asked.outcome.body) == state.digest
        hold("a stop shows the conversation right after", same, f"{evidence}\n{state}")
    return True


def _check_deleted(log: Log, asked: Asked) -> bool:
    conversation = asked.request.conversation
    assert conversation is not None
    told = [a.status for a in asked.answers]
    found = log.completed[conversation]
    hold("a conversation ends once", len(found) <= 1, found)
    if {200, 404} & set(told):
        hold("what was deleted is completed in the log", found, asked.request)
    return bool(found)


def check_heard(log: Log, heard: Heard) -> bool:
    """What a client heard of a reply is the reply, or the beginning of it.

    A process that does not own the turn sends no deltas: its last event has the whole reply, and
    is compared with the dialogue like any answer.
    """
    end = log.ends[heard.turn_id][0]
    if end.content is None:
        return False
    answered = heard.whole and isinstance(end.event, ReplyCompleted | ConversationStarted)
    whole = heard.text in ("", end.content)
    fits = whole if answered else end.content.startswith(heard.text)
    evidence = f"{heard}\n{end.content!r}\n{log.turn(heard.turn_id)}"
    hold("the deltas joined are the reply", fits, evidence)
    return True


def states_for(log: Log, journal: Journal) -> dict[str, States]:
    states = dict(log.states)
    for name in {seen.stream for seen in journal.seen} - set(states):
        prefix, _, number = name.rpartition("-")
        if prefix == "evaluations-of":
            of = [e for e in log.events if getattr(e.event, "conversation_id", 0) == int(number)]
            states[name] = evaluation_states(int(number), of)
        else:
            states[name] = states_of([])
    return states


def learnt(log: Log, journal: Journal) -> Iterator[Moment]:
    """What clients were told by answers, and when."""
    for asked in journal.asked:
        for answer in asked.answers:
            if answer.lost and not answer.accepted:
                continue
            yield from _learnt_of(log, asked, answer)


def _learnt_of(log: Log, asked: Asked, answer: Answer) -> Iterator[Moment]:
    if answer.accepted:
        begun = log.begun[answer.accepted["turn_id"]]
        yield Moment(begun.stream, answer.ended, begun.revision)
    if asked.outcome is None or answer.lost or answer.told != asked.outcome.told:
        return
    request = asked.request
    if request.kind == "cancel":
        assert request.turn is not None
        begun = log.begun[request.turn]
    elif request.kind == "delete":
        assert request.conversation is not None
        over = log.completed[request.conversation][0]
        yield Moment(over.stream, answer.ended, over.revision)
        return
    elif found := find_begun(log, asked):
        begun = found
    else:
        return
    end = log.end_of(begun)
    if isinstance(end.event, EvaluationRecorded):
        name = f"evaluations-of-{end.event.conversation_id}"
        yield Moment(name, answer.ended, end.position)
    elif not isinstance(end.event, EvaluationFailed):
        yield Moment(end.stream, answer.ended, end.revision)
