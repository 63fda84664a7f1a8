"""Handlers for data protection: erasing a learner, and the learner's record."""

from aiohttp import web

from eventstore.privacy_events import HistoryRead
from service.errors import NotAuthorized, NotFound, UnknownUser
from service.http.authentication import account_access_of
from service.http.bodies import read_body
from service.http.content_negotiation import prefers
from service.http.request import guard_of, metadata_of, path_id, record_reading
from service.http.responses import json_response
from service.privacy.answers import ErasedAnswer
from service.privacy.bodies import ErasureBody
from service.privacy.erasure import Erasure
from service.privacy.learner_record import LearnerRecords
from service.privacy.learner_record_page import PAGE, record_page

ERASURE = web.AppKey("erasure", Erasure)
LEARNER_RECORDS = web.AppKey("learner_records", LearnerRecords)


async def erase_learner(request: web.Request) -> web.Response:
    """DELETE /api/v1/accounts/self/users/:user_id/learner_data: for administrators."""
    access = await account_access_of(request)
    if not access.admin:
        raise NotAuthorized
    user_id = path_id(request, "user_id")
    if user_id is None:
        raise NotFound
    reason = (await read_body(request, ErasureBody)).checked_reason()
    metadata = metadata_of(request, access)
    try:
        erased = await request.app[ERASURE].erase(
            access.account_id, user_id, reason, metadata, guard_of(request, access)
        )
    except UnknownUser:
        raise NotFound from None
    return json_response(request, ErasedAnswer(erased))


async def get_learner_record(request: web.Request) -> web.Response:
    """GET /api/v1/users/:user_id/learner_record: for the learner, and for administrators."""
    access = await account_access_of(request)
    own = request.match_info["user_id"] == "self"
    user_id = access.user_id if own else path_id(request, "user_id")
    if not access.admin and user_id != access.user_id:
        raise NotAuthorized
    if user_id is None:
        raise NotFound
    records = request.app[LEARNER_RECORDS]
    try:
        record = await records.of(access.account_id, user_id, reasons=access.admin)
    except UnknownUser:
        raise NotFound from None
    read = HistoryRead(what="learner_record", learner_id=user_id)
    await record_reading(request, access, read)
    if prefers(request, "text/html"):
        return web.Response(body=record_page(record), headers=PAGE.headers)
    return json_response(request, record)
