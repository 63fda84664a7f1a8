"""The analysts' endpoints."""

from datetime import timedelta

from service.analytics import handlers
from service.analytics.figures import CourseFigures, CoursesFigures, ExperienceFigures
from service.analytics.figures_request import MOST, SCOPE, USUAL
from service.analytics.freshness import AllFreshness
from service.errors import DayMalformed, DaysTooMany
from service.http.endpoint import Endpoint
from service.http.refusals import DAY, PAGED, QUERIED

ANALYTICS = "/api/v1/analytics"
COURSE_FIGURES = ANALYTICS + "/courses/{course_id}"
EXPERIENCE_FIGURES = COURSE_FIGURES + "/experiences/{ai_experience_id}"

_TAG = "Analytics"
_ANALYST = f"a token with the scope `{SCOPE}`"
_EITHER = f"a manager of the course, or {_ANALYST}"
_DAYS = (
    f"Of the days `from` … `to` in UTC, both included: the {USUAL} days up to today where neither "
    f"is given, {MOST} at most."
)
_FRESH = (
    "`freshness` says how far the figures stand for the log: what was recorded before `as_of` "
    "is counted; projections that are `stopped` or `paused` are named."
)
_REFUSES: tuple[Exception, ...] = (
    *QUERIED,
    DayMalformed("from"),
    DaysTooMany(DAY, DAY + timedelta(MOST), MOST),
)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        method="GET",
        path=ANALYTICS + "/courses",
        handler=handlers.list_courses,
        name="listCourseFigures",
        tag=_TAG,
        summary="The account's courses with their totals",
        text=f"{_DAYS} {_FRESH}",
        who=_ANALYST,
        answers=(CoursesFigures,),
        query=("first_day", "last_day", "page", "per_page"),
        refuses=(*_REFUSES, *PAGED),
        scope=SCOPE,
    ),
    Endpoint(
        method="GET",
        path=COURSE_FIGURES,
        handler=handlers.get_course,
        name="getCourseFigures",
        tag=_TAG,
        summary="The figures of a course",
        text=f"{_DAYS} What happened counts for the day on which it was recorded. `funnels`, "
        "`objectives` and `costs` are of the conversations that were opened in these days, as "
        "they are by now; `latency` and `outcomes` of the turns that were asked for in them; "
        f"`feedback` of the votes given in them. {_FRESH}",
        who=_EITHER,
        answers=(CourseFigures,),
        query=("first_day", "last_day"),
        refuses=_REFUSES,
        wider=SCOPE,
    ),
    Endpoint(
        method="GET",
        path=EXPERIENCE_FIGURES,
        handler=handlers.get_experience,
        name="getExperienceFigures",
        tag=_TAG,
        summary="The figures of one experience",
        text=f"{_DAYS} As those of a course; but in `models` a turn's whole cost stands with the "
        "model that answered, on the day that it was asked for, its tokens are those of its last "
        f"attempt, and of assessments neither model nor tokens are known. {_FRESH}",
        who=_EITHER,
        answers=(ExperienceFigures,),
        query=("first_day", "last_day"),
        refuses=_REFUSES,
        wider=SCOPE,
    ),
    Endpoint(
        method="GET",
        path=ANALYTICS + "/freshness",
        handler=handlers.get_freshness,
        name="getFreshness",
        tag=_TAG,
        summary="How far each projection stands for the log",
        text="Of the caller's account. One that is stopped names the event that it cannot apply.",
        who=_ANALYST,
        answers=(AllFreshness,),
        scope=SCOPE,
    ),
)
