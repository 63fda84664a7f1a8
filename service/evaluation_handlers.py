"""The endpoints of evaluations, for a course's managers."""

from aiohttp import web
from uuid_utils import uuid7

from eventstore.events import EvaluationRequested
from service.access import Access
from service.answers import raw_response, wants_string_ids
from service.bodies import NoBody, read_body
from service.errors import NotFound
from service.requests import (
    SERVICES,
    conversation_id,
    guard_of,
    manager_of,
    metadata_of,
    note_recorded,
    record_read,
    record_read_of_done,
)


async def get_evaluation(request: web.Request) -> web.Response:
    """GET …/conversations/:id/evaluation: the latest evaluation, or null; asks no model."""
    access = await _manager(request)
    number = conversation_id(request)
    evaluation, stale = await request.app[SERVICES].evaluations.latest(
        access.account_id, number, access.experience_version
    )
    if evaluation is not None:
        await record_read(request, access, "evaluation", number, access.conversation_user_id)
    return _answer(request, number, evaluation, f',"stale":{"true" if stale else "false"}')


async def post_evaluation(request: web.Request) -> web.Response:
    """POST …/conversations/:id/evaluation: a model evaluates the conversation."""
    services = request.app[SERVICES]
    access = await _manager(request)
    await read_body(request, NoBody)
    number, learner = conversation_id(request), access.conversation_user_id
    assert learner is not None, "who manages a conversation has found it"
    asked = EvaluationRequested(
        conversation_id=number,
        turn_id=str(uuid7()),
        course_id=access.course_id,
        experience_id=access.experience_id,
        experience_version=access.experience_version,
        user_id=learner,
        model=services.models.evaluation,
        owner=services.owner,
        deadline_at=services.deadline(),
    )
    metadata = metadata_of(request, access, asked.turn_id)
    guard = guard_of(request, access, "evaluation")
    first = await services.evaluations.begin(access.account_id, asked, metadata, guard)
    note_recorded(request)
    await services.evaluations.result(first)
    access = await _manager(request)  # that took its time
    await record_read_of_done(request, access, _manager, "evaluation", number, learner)
    return _answer(request, number, await services.evaluations.result(first))


async def _manager(request: web.Request) -> Access:
    access = await manager_of(request)
    if access.conversation_user_id is None:
        raise NotFound
    return access


def _answer(
    request: web.Request, number: int, evaluation: str | None, more: str = ""
) -> web.Response:
    quote = '"' if wants_string_ids(request) else ""
    body = f'{{"id":{quote}{number}{quote},"evaluation":{evaluation or "null"}{more}}}'
    return raw_response(body.encode())
