"""The endpoints for data protection: erasing a learner, and what is kept about one."""

import msgspec
from aiohttp import web

from service.access import path_id
from service.answers import json_response
from service.bodies import ErasureBody, read_body
from service.errors import NotAuthorized, NotFound, UnknownUser
from service.requests import SERVICES, account_access_of, metadata_of


async def erase_learner(request: web.Request) -> web.Response:
    """DELETE /api/v1/accounts/self/users/:user_id/learner_data: for administrators."""
    access = await account_access_of(request)
    if not access.admin:
        raise NotAuthorized
    user_id = path_id(request, "user_id")
    if user_id is None:
        raise NotFound
    reason = (await read_body(request, ErasureBody)).checked_reason()
    metadata = metadata_of(request, access, None)
    try:
        erased = await request.app[SERVICES].erasure.erase(
            access.account_id, user_id, reason, metadata
        )
    except UnknownUser:
        raise NotFound from None
    return json_response({"erased": msgspec.structs.asdict(erased)})
