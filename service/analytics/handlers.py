"""Handlers of the analysts' endpoints: figures for dashboards, with their freshness."""

from aiohttp import web

from service.analytics.figures_queries import FiguresReader
from service.analytics.figures_request import analyst_of, course_reader_of, requested_days
from service.http.pagination import link_header, page_parameters
from service.http.request import base_url
from service.http.responses import json_response

FIGURES = web.AppKey("figures", FiguresReader)


async def list_courses(request: web.Request) -> web.Response:
    """GET /api/v1/analytics/courses: the account's courses with their totals."""
    access = await analyst_of(request)
    days, page = requested_days(request, paged=True), page_parameters(request)
    figures, more = await request.app[FIGURES].of_courses(access.account_id, days, page)
    last = figures.courses[-1].course_id if more else None
    links = link_header(request, base_url(request), page, last)
    return json_response(request, figures, headers={"Link": links})


async def get_course(request: web.Request) -> web.Response:
    """GET /api/v1/analytics/courses/:course_id."""
    access = await course_reader_of(request)
    days = requested_days(request)
    reader = request.app[FIGURES]
    return json_response(request, await reader.of_course(access.account_id, access.course_id, days))


async def get_experience(request: web.Request) -> web.Response:
    """GET /api/v1/analytics/courses/:course_id/experiences/:ai_experience_id."""
    access = await course_reader_of(request)
    figures = await request.app[FIGURES].of_experience(
        access.account_id, access.course_id, access.experience_id, requested_days(request)
    )
    return json_response(request, figures)


async def get_freshness(request: web.Request) -> web.Response:
    """GET /api/v1/analytics/freshness: how far each projection is behind the log."""
    access = await analyst_of(request)
    return json_response(request, await request.app[FIGURES].freshness(access.account_id))
