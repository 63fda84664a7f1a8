"""The endpoints of a conversation: decode, check, carry out, answer."""

from functools import partial

import asyncpg
from aiohttp import web

from service.conversations.answer_types import CompletedAnswer
from service.conversations.answers import active_conversation
from service.conversations.app_keys import TURN_CONTROL, TURNS
from service.conversations.bodies import MessageBody
from service.conversations.conversation_responses import conversation_response, stream_ending
from service.conversations.turn_handlers import asked_turn
from service.conversations.turn_stream import stream_turn
from service.dialogue.repository import DialogueKey
from service.errors import NotFound
from service.http.authentication import (
    access_of,
    authenticate,
    participant_of,
    remember_access,
)
from service.http.bodies import NoBody, read_body
from service.http.etags import NOTHING, entity_tag, is_known, revisions_to_match
from service.http.request import (
    conversation_id,
    guard_of,
    mark_recorded,
    metadata_of,
    path_id,
    record_read,
    record_read_of_done,
)
from service.http.request_keys import (
    POOL,
    SCOPE,
)
from service.http.responses import json_response
from service.http.server_sent_events import wants_stream
from service.identity.authorization import Access, authorize, of_people
from service.turns.live import LiveTurn
from service.turns.outcome import turn_of
from sql.loader import query

_COMPLETED = CompletedAnswer("Conversation completed successfully")


async def get_active_conversation(request: web.Request) -> web.Response:
    """GET …/conversations: the caller's active conversation, or {}."""
    credentials = await authenticate(request)
    plain = credentials.plain_token
    row = await _active_row(request, credentials.account_id, plain, None) if plain else None
    if row is None or row["role"] is None:  # a longer look tells who is meant, or what is wrong
        access = await access_of(request, credentials=credentials)
        row = await _active_row(request, credentials.account_id, None, access.user_id)
    else:
        access = authorize(credentials, row, request[SCOPE])
        remember_access(request, access)
    number = row["conversation_id"]
    tag = NOTHING if number is None else entity_tag(request, number, row["revision"])
    if is_known(request, tag):
        return web.Response(status=304, headers={"ETag": tag})
    if number is not None and access.real_user_id is not None:
        await record_read(request, access, "conversation", number, access.user_id)
    return json_response(request, active_conversation(row), headers={"ETag": tag})


async def _active_row(
    request: web.Request, account_id: int, token_hash: bytes | None, user_id: int | None
) -> asyncpg.Record:
    row = await request.app[POOL].fetchrow(
        account_id,
        query("get_active_conversation"),
        *(account_id, token_hash, user_id),
        path_id(request, "course_id"),
        path_id(request, "ai_experience_id"),
    )
    assert row is not None, "the statement gives one row"
    return row


async def create_conversation(request: web.Request) -> web.StreamResponse:
    """POST …/conversations: the model opens a new conversation, which replaces the active one."""
    access = await access_of(request)
    await read_body(request, NoBody)
    number = await request.app[POOL].fetchval(
        access.account_id, query("next_id"), access.account_id, "conversation"
    )
    live = await request.app[TURNS].open(
        own_dialogue(access),
        metadata_of(request, access),
        guard_of(request, access, "create"),
        conversation_id=number,
        course_id=access.course_id,
        experience_version=access.experience_version,
    )
    return await _answer(request, access, live, 201)


async def post_message(request: web.Request) -> web.StreamResponse:
    """POST …/conversations/:id/messages: the caller says something and the model answers."""
    access = await access_of(request)
    metadata = metadata_of(request, access)
    # A repeated request is answered also where the conversation is over by now.
    active = access.conversation_state == "active" or metadata.idempotency_key is not None
    if access.conversation_user_id != access.user_id or not active:
        raise NotFound
    body = await read_body(request, MessageBody)
    number = conversation_id(request)
    live = await request.app[TURNS].post(
        own_dialogue(access),
        metadata,
        guard_of(request, access, "message"),
        conversation_id=number,
        text=body.text(),
        if_revision=revisions_to_match(request, number),
    )
    return await _answer(request, access, live, 200)


async def retry_turn(request: web.Request) -> web.StreamResponse:
    """POST …/turns/:turn_id/retry: the model is asked again to answer the turn's message."""
    access = await access_of(request)
    asked = turn_of(await asked_turn(request, access))
    if asked.user_id != access.user_id:
        raise NotFound
    await read_body(request, NoBody)
    live = await request.app[TURNS].retry(
        own_dialogue(access),
        metadata_of(request, access),
        guard_of(request, access, "message"),
        conversation_id=asked.conversation_id,
        turn_id=asked.turn_id,
    )
    return await _answer(request, access, live, 200)


async def delete_conversation(request: web.Request) -> web.Response:
    """DELETE …/conversations/:id: the conversation is completed, its history stays."""
    access, learner = await participant_of(request)
    await request.app[TURN_CONTROL].complete(
        DialogueKey(access.account_id, access.experience_id, learner),
        conversation_id(request),
        metadata_of(request, access),
        of_people(guard_of(request, access)),
    )
    return json_response(request, _COMPLETED)


async def _answer(
    request: web.Request, access: Access, live: LiveTurn, status: int
) -> web.StreamResponse:
    """The turn as a stream, or the conversation after it, depending on the `Accept` header.

    Either shows the whole conversation, also to who only acts as its learner.
    """
    mark_recorded(request)
    if access.real_user_id is not None:
        number = live.conversation_id
        await record_read_of_done(
            request, access, access_of, "conversation", number, access.user_id
        )
    if wants_stream(request):
        return await stream_turn(request, live, partial(stream_ending, request))
    return conversation_response(request, (await live.dialogue()).active, status)


def own_dialogue(access: Access) -> DialogueKey:
    """The caller's dialogue with the experience."""
    return DialogueKey(access.account_id, access.experience_id, access.user_id)
