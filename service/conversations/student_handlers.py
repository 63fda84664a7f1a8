"""The endpoints that show whole conversations: to a course's managers, and to their owners."""

from aiohttp import web

from service.conversations.answer_types import StudentConversations
from service.conversations.answers import (
    conversation_detail,
    listed_student,
    student_conversation,
)
from service.errors import NotFound
from service.http.authentication import managed_conversation, manager_of, participant_of
from service.http.etags import entity_tag, is_known
from service.http.pagination import link_header, page_parameters
from service.http.request import base_url, conversation_id, record_read
from service.http.request_keys import POOL
from service.http.responses import json_response
from service.identity.authorization import Access
from sql.loader import query


async def get_conversation(request: web.Request) -> web.Response:
    """GET …/conversations/:id: for a manager of the course, and for the owner."""
    access, _ = await participant_of(request)
    return await _show(request, access, conversation_id(request), with_student=False)


async def get_student_conversation(request: web.Request) -> web.Response:
    """GET …/ai_conversations/:conversation_id: for managers, with the student."""
    access = await managed_conversation(request, "conversation_id")
    number = conversation_id(request, "conversation_id")
    return await _show(request, access, number, with_student=True)


async def list_student_conversations(request: web.Request) -> web.Response:
    """GET …/ai_conversations: every student of the course with their latest conversation."""
    access = await manager_of(request)
    page = page_parameters(request)
    rows = await request.app[POOL].fetch(
        access.account_id,
        query("list_student_conversations"),
        *(access.account_id, access.course_id, access.experience_id),
        *(page.after, page.size + 1, page.skip),
    )
    last = rows[page.size - 1]["user_id"] if len(rows) > page.size else None
    shown = StudentConversations(tuple(listed_student(row) for row in rows[: page.size]))
    links = link_header(request, base_url(request), page, last)
    return json_response(request, shown, headers={"Link": links})


async def _show(
    request: web.Request, access: Access, number: int, *, with_student: bool
) -> web.Response:
    row = await request.app[POOL].fetchrow(
        access.account_id, query("get_conversation"), access.account_id, number, access.user_id
    )
    if row is None:
        raise NotFound
    tag = entity_tag(request, number, row["revision"])
    if is_known(request, tag):
        return web.Response(status=304, headers={"ETag": tag})
    await record_read(request, access, "conversation", number, access.conversation_user_id)
    answer = student_conversation(row) if with_student else conversation_detail(row)
    return json_response(request, answer, headers={"ETag": tag})
