"""The endpoints of AI experiences."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from service.errors import NotFound
from service.experiences.bodies import read_changes, read_draft
from service.experiences.experiences import Experience, Experiences
from service.http.authentication import access_of, manager_of
from service.http.pagination import link_header, page_parameters
from service.http.request import base_url, guard_of, metadata_of
from service.http.request_keys import POOL
from service.http.responses import json_response
from service.identity.authorization import Access
from service.json_values import Id
from sql.loader import query

_FIELDS = (
    *("title", "description", "facts", "learning_objective", "pedagogical_guidance"),
    "workflow_state",
)
_FOR_MANAGERS = ("facts", "pedagogical_guidance")
_STATES = ("published", "unpublished")

EXPERIENCES = web.AppKey("experiences", Experiences)


async def list_experiences(request: web.Request) -> web.Response:
    """GET …/ai_experiences: a course's experiences; learners see the published ones."""
    access = await access_of(request)
    page = page_parameters(request)
    state = request.query.get("workflow_state")
    states = [s for s in _STATES if state in (None, s) and (access.manages or s == "published")]
    rows = await request.app[POOL].fetch(
        access.account_id,
        query("list_experiences"),
        *(access.account_id, access.course_id, access.user_id, states),
        *(page.after, page.size + 1, page.skip),
    )
    last = rows[page.size - 1]["experience_id"] if len(rows) > page.size else None
    answers = [_answer(access, dict(row), row["experience_id"]) for row in rows[: page.size]]
    links = link_header(request, base_url(request), page, last)
    return json_response(request, answers, headers={"Link": links})


async def get_experience(request: web.Request) -> web.Response:
    """GET …/ai_experiences/:id."""
    access = await access_of(request)
    rows = await request.app[POOL].fetch(
        access.account_id,
        query("list_experiences"),
        *(access.account_id, access.course_id, access.user_id, list(_STATES)),
        *(access.experience_id - 1, 1, 0),
    )
    if not rows or rows[0]["experience_id"] != access.experience_id:
        raise NotFound
    return json_response(request, _answer(access, dict(rows[0]), access.experience_id))


async def create_experience(request: web.Request) -> web.Response:
    """POST …/ai_experiences: a new experience, unpublished unless it says otherwise."""
    access = await manager_of(request)
    draft = await read_draft(request)
    experience = await request.app[EXPERIENCES].create(
        access.account_id,
        access.course_id,
        draft,
        metadata_of(request, access),
        guard_of(request, access),
    )
    return json_response(request, _answer_of(access, experience), 201)


async def update_experience(request: web.Request) -> web.Response:
    """PUT …/ai_experiences/:id: changes the given fields, for later conversations."""
    access = await manager_of(request)
    changes = await read_changes(request)
    experience = await request.app[EXPERIENCES].edit(
        access.account_id,
        access.experience_id,
        changes,
        metadata_of(request, access),
        guard_of(request, access),
    )
    return json_response(request, _answer_of(access, experience))


async def delete_experience(request: web.Request) -> web.Response:
    """DELETE …/ai_experiences/:id: deletes it for everybody; its conversations stay in the log."""
    access = await manager_of(request)
    experience = await request.app[EXPERIENCES].delete(
        access.account_id,
        access.experience_id,
        metadata_of(request, access),
        guard_of(request, access),
    )
    return json_response(request, _answer_of(access, experience))


def _answer_of(access: Access, experience: Experience) -> dict[str, Any]:
    fields = {name: getattr(experience, name) for name in _FIELDS}
    return _answer(access, fields | {"course_id": experience.course_id}, experience.id)


def _answer(access: Access, row: Mapping[str, Any], experience_id: int) -> dict[str, Any]:
    """An experience as this caller may see it."""
    hidden = () if access.manages else _FOR_MANAGERS
    answer = {"id": Id(experience_id), "course_id": Id(row["course_id"])}
    answer |= {name: row[name] for name in _FIELDS if name not in hidden}
    if not access.manages:
        answer["submission_status"] = row["submission_status"]
    return answer
