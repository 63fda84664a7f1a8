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
    f"Covers the days `from` … `to` in UTC, both included: by default the {USUAL} days up to "
    f"today, {MOST} at most."
)
_FRESH = (
    "`freshness` says how far the figures are behind the log: events recorded before `as_of` are "
    "counted; `stopped` and `paused` name projections that do not advance."
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
        text=f"{_DAYS} An event counts for the day on which it was recorded. `funnels`, "
        "`objectives` and `costs` describe the present state of the conversations opened in these "
        "days; `latency` and `outcomes` the turns requested in them; `feedback` the votes given in "
        f"them. {_FRESH}",
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
        text=f"{_DAYS} As for a course, but in `models` a turn's whole cost is that of the model "
        "that answered, on the day of the request; its tokens are those of its last attempt; the "
        f"models and tokens of assessments are unknown. {_FRESH}",
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
        summary="How far each projection is behind the log",
        text="In the caller's account. A stopped projection names the event that it cannot apply.",
        who=_ANALYST,
        answers=(AllFreshness,),
        scope=SCOPE,
    ),
)
