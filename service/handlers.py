"""The endpoints: decode, check, carry out, answer."""

from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
from aiohttp import web
from uuid_utils import uuid7

from eventstore.connections import Pool
from eventstore.errors import LogUnavailable
from eventstore.records import Actor, Metadata
from service.access import Access, bearer_digest, check, path_id
from service.answers import conversation_answer, json_response, raw_response, wants_string_ids
from service.bodies import MessageBody, NoBody, read_body
from service.commands import CompleteConversation, OpenConversation, PostMessage
from service.conversation import Dialogue
from service.dialogues import DialogueKey, Dialogues
from service.errors import NotFound
from service.keys import ACCESS, REQUEST_ID, SCOPE
from service.turns import Turns
from sql.loader import query

_GRACE = timedelta(seconds=45)
_COMPLETED = msgspec.json.encode({"message": "Conversation completed successfully"})


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What the handlers work with; made in `service.app`.

    Attributes:
        model: Name of the model that is asked.
        owner: This process's number, written into the turns that it owns.
        budget: Time that a reply may take.
    """

    pool: Pool
    dialogues: Dialogues
    turns: Turns
    model: str
    owner: int
    budget: timedelta


SERVICES = web.AppKey("services", Services)


async def get_active_conversation(request: web.Request) -> web.Response:
    """GET …/conversations: the caller's active conversation, or {}."""
    services = request.app[SERVICES]
    row = await services.pool.fetchrow(
        query("get_active_conversation"),
        bearer_digest(request),
        path_id(request, "course_id"),
        path_id(request, "ai_experience_id"),
    )
    _note(request, check(row, request[SCOPE]))
    assert row is not None
    if row["conversation_id"] is None:
        return raw_response(b"{}")
    quote = '"' if wants_string_ids(request) else ""
    body = (
        f'{{"id":{quote}{row["conversation_id"]}{quote},'
        f'"messages":[{row["messages"]}],"progress":{row["progress"] or "null"}}}'
    )
    return raw_response(body.encode())


async def create_conversation(request: web.Request) -> web.Response:
    """POST …/conversations: the model opens a new conversation, which replaces the active one."""
    services = request.app[SERVICES]
    access = await _access(request)
    await read_body(request, NoBody)
    turn_id = str(uuid7())
    command = OpenConversation(
        conversation_id=await services.pool.fetchval(
            query("next_id"), access.account_id, "conversation"
        ),
        turn_id=turn_id,
        course_id=access.course_id,
        experience_id=access.experience_id,
        experience_version=access.experience_version,
        user_id=access.user_id,
        model=services.model,
        owner=services.owner,
        deadline_at=_deadline(services),
    )
    metadata = _metadata(request, access, turn_id)
    dialogue = await services.turns.take(_key(access), command, metadata)
    return _shown(request, dialogue, 201)


async def post_message(request: web.Request) -> web.Response:
    """POST …/conversations/:id/messages: the caller says something and the model answers."""
    services = request.app[SERVICES]
    access = await _access(request)
    if access.conversation_user_id != access.user_id or access.conversation_state != "active":
        raise NotFound
    body = await read_body(request, MessageBody)
    turn_id = str(uuid7())
    command = PostMessage(
        conversation_id=_conversation_id(request),
        turn_id=turn_id,
        message_id=str(uuid7()),
        text=body.text(),
        model=services.model,
        owner=services.owner,
        deadline_at=_deadline(services),
    )
    metadata = _metadata(request, access, turn_id)
    dialogue = await services.turns.take(_key(access), command, metadata)
    return _shown(request, dialogue, 200)


async def delete_conversation(request: web.Request) -> web.Response:
    """DELETE …/conversations/:id: the conversation is completed, its history stays."""
    services = request.app[SERVICES]
    access = await _access(request)
    learner = access.conversation_user_id
    if learner is None or (learner != access.user_id and not access.manages):
        raise NotFound
    await services.dialogues.execute(
        DialogueKey(access.account_id, access.experience_id, learner),
        CompleteConversation(conversation_id=_conversation_id(request)),
        _metadata(request, access, None),
    )
    return raw_response(_COMPLETED)


async def healthz(_request: web.Request) -> web.Response:
    """GET /healthz: the process answers."""
    return json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """GET /readyz: the database answers and has the views."""
    try:
        await request.app[SERVICES].pool.fetchval(query("ready"), timeout=2)
    except asyncpg.PostgresError as error:  # such as a view that is not there
        raise LogUnavailable from error
    return json_response({"status": "ready"})


async def _access(request: web.Request) -> Access:
    row = await request.app[SERVICES].pool.fetchrow(
        query("get_access"),
        bearer_digest(request),
        path_id(request, "course_id"),
        path_id(request, "ai_experience_id"),
        path_id(request, "id"),
    )
    access = check(row, request[SCOPE])
    _note(request, access)
    return access


def _note(request: web.Request, access: Access) -> None:
    """Notes the caller for the request's log line."""
    request[ACCESS] = access


def _shown(request: web.Request, dialogue: Dialogue, status: int) -> web.Response:
    if dialogue.active is None:
        raise NotFound
    return conversation_answer(request, dialogue.active, status)


def _conversation_id(request: web.Request) -> int:
    conversation_id = path_id(request, "id")
    if conversation_id is None:
        raise NotFound
    return conversation_id


def _key(access: Access) -> DialogueKey:
    return DialogueKey(access.account_id, access.experience_id, access.user_id)


def _deadline(services: Services) -> datetime:
    return datetime.now(UTC) + services.budget + _GRACE


def _metadata(request: web.Request, access: Access, turn_id: str | None) -> Metadata:
    return Metadata(
        actor=Actor(access.user_id, access.role),
        token_id=access.token_id,
        request_id=request[REQUEST_ID],
        correlation_id=turn_id,
    )
