"""The endpoints of a turn: its stream, and stopping it."""

from functools import partial
from uuid import UUID

from aiohttp import web

from eventstore.dialogue_events import TurnRequest
from eventstore.envelope import RecordedEvent
from service.conversations.answer_types import NoConversation
from service.conversations.app_keys import DIALOGUES, TURN_CONTROL
from service.conversations.conversation_responses import conversation_response, stream_ending
from service.conversations.turn_stream import last_event_id, stream_turn
from service.errors import NotFound
from service.http.authentication import access_of
from service.http.bodies import NoBody, read_body
from service.http.etags import NOTHING
from service.http.request import (
    conversation_id,
    guard_of,
    metadata_of,
    record_read,
    record_read_of_done,
)
from service.http.responses import json_response
from service.identity.authorization import Access, of_people
from service.turns.live import Stop
from service.turns.outcome import turn_of


async def get_turn_stream(request: web.Request) -> web.StreamResponse:
    """GET …/turns/:turn_id/stream: the events after `Last-Event-ID`, up to the end."""
    access = await access_of(request)
    asked = await asked_turn(request, access)
    await _record(request, access, asked)
    live = await request.app[TURN_CONTROL].attach(asked)
    return await stream_turn(request, live, partial(stream_ending, request), last_event_id(request))


async def cancel_turn(request: web.Request) -> web.Response:
    """POST …/turns/:turn_id/cancel: stops the reply; returns the conversation afterwards."""
    access = await access_of(request)
    asked = await asked_turn(request, access)
    await read_body(request, NoBody)
    metadata = metadata_of(request, access, asked.metadata.correlation_id)
    guard = of_people(guard_of(request, access))
    stop = Stop(reason="requested", metadata=metadata, guard=guard)
    dialogue = await request.app[TURN_CONTROL].cancel(asked, stop)
    turn = turn_of(asked)
    number, learner = turn.conversation_id, turn.user_id
    await record_read_of_done(request, access, access_of, "turn", number, learner)
    if dialogue.active is None:
        return json_response(request, NoConversation(), headers={"ETag": NOTHING})
    return conversation_response(request, dialogue.active, 200)


async def asked_turn(request: web.Request, access: Access) -> RecordedEvent:
    """The event that began the path's turn; the caller must own it or manage its course."""
    events = await request.app[DIALOGUES].read_turn(
        access.account_id, conversation_id(request), _turn_id(request)
    )
    if not events or not isinstance(asked := events[0].event, TurnRequest):
        raise NotFound
    if asked.experience_id != access.experience_id:
        raise NotFound
    if asked.user_id != access.user_id and not access.manages:
        raise NotFound
    return events[0]


async def _record(request: web.Request, access: Access, asked: RecordedEvent) -> None:
    """Records that the caller reads the turn's learner."""
    turn = turn_of(asked)
    await record_read(request, access, "turn", turn.conversation_id, turn.user_id)


def _turn_id(request: web.Request) -> str:
    try:
        return str(UUID(request.match_info["turn_id"]))
    except ValueError:
        raise NotFound from None
