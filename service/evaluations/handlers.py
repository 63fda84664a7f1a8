"""The endpoints of evaluations, for a course's managers."""

from aiohttp import web

from service.dialogue.repository import DialogueKey
from service.evaluations.answers import EvaluationAnswer, LatestEvaluation
from service.evaluations.evaluations import EvaluationRunner
from service.http.authentication import managed_conversation
from service.http.bodies import NoBody, read_body
from service.http.request import (
    conversation_id,
    guard_of,
    mark_recorded,
    metadata_of,
    record_read,
    record_read_of_done,
)
from service.http.responses import json_response
from service.json_values import Id, stored_json

EVALUATIONS = web.AppKey("evaluations", EvaluationRunner)


async def get_evaluation(request: web.Request) -> web.Response:
    """GET …/conversations/:id/evaluation: the latest evaluation, or null; asks no model."""
    access = await managed_conversation(request)
    number = conversation_id(request)
    evaluation, stale = await request.app[EVALUATIONS].latest(
        access.account_id, number, access.experience_version
    )
    if evaluation is not None:
        await record_read(request, access, "evaluation", number, access.conversation_user_id)
    answer = LatestEvaluation(Id(number), stored_json(evaluation), stale)
    return json_response(request, answer)


async def post_evaluation(request: web.Request) -> web.Response:
    """POST …/conversations/:id/evaluation: a model evaluates the conversation."""
    evaluations = request.app[EVALUATIONS]
    access = await managed_conversation(request)
    await read_body(request, NoBody)
    number, learner = conversation_id(request), access.conversation_user_id
    assert learner is not None, "who manages a conversation has found it"
    first = await evaluations.begin(
        DialogueKey(access.account_id, access.experience_id, learner),
        metadata_of(request, access),
        guard_of(request, access, "evaluation"),
        conversation_id=number,
        course_id=access.course_id,
        experience_version=access.experience_version,
    )
    mark_recorded(request)
    await evaluations.result(first)
    access = await managed_conversation(request)  # that took its time
    await record_read_of_done(request, access, managed_conversation, "evaluation", number, learner)
    evaluation = await evaluations.result(first)
    return json_response(request, EvaluationAnswer(Id(number), stored_json(evaluation)))
