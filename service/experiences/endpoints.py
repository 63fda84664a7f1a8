"""The endpoints of experiences."""

from service.errors import FieldErrors
from service.experiences import handlers
from service.experiences.answers import LearnersExperience, ManagersExperience
from service.experiences.bodies import ExperienceBody
from service.http.endpoint import Endpoint
from service.http.refusals import BODY, PAGED, POSTED

EXPERIENCES = "/api/v1/courses/{course_id}/ai_experiences"
EXPERIENCE = EXPERIENCES + "/{ai_experience_id}"

_OFFER = "Experiences"
_MANAGER = "a manager of the course: teacher, ta or designer"
_MEMBER = "a member of the course"
_KEYED = ("Idempotency-Key",)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        method="GET",
        path=EXPERIENCES,
        handler=handlers.list_experiences,
        name="listExperiences",
        tag=_OFFER,
        summary="The course's experiences",
        text="Learners see the published ones, each with how far they have come.",
        who=_MEMBER,
        answers=(LearnersExperience, ManagersExperience),
        many=True,
        query=("workflow_state", "page", "per_page"),
        refuses=PAGED,
    ),
    Endpoint(
        method="POST",
        path=EXPERIENCES,
        handler=handlers.create_experience,
        name="createExperience",
        tag=_OFFER,
        summary="Create an experience",
        text="Unpublished unless it says otherwise.",
        who=_MANAGER,
        body="NewExperienceBody",
        status=201,
        answers=(ManagersExperience,),
        headers=_KEYED,
        refuses=(*POSTED, FieldErrors({"title": "is required"})),
    ),
    Endpoint(
        method="GET",
        path=EXPERIENCE,
        handler=handlers.get_experience,
        name="getExperience",
        tag=_OFFER,
        summary="One experience",
        text="`facts` and `pedagogical_guidance` are for managers only.",
        who=_MEMBER,
        answers=(LearnersExperience, ManagersExperience),
    ),
    Endpoint(
        method="PUT",
        path=EXPERIENCE,
        handler=handlers.update_experience,
        name="updateExperience",
        tag=_OFFER,
        summary="Change an experience",
        text="Holds for new conversations; running ones keep the version they started with.",
        who=_MANAGER,
        body=ExperienceBody,
        body_optional=True,
        answers=(ManagersExperience,),
        refuses=(*BODY, FieldErrors({"workflow_state": "must be published or unpublished"})),
    ),
    Endpoint(
        method="DELETE",
        path=EXPERIENCE,
        handler=handlers.delete_experience,
        name="deleteExperience",
        tag=_OFFER,
        summary="Delete an experience",
        text="Answers with it, its state `deleted`. Conversations stay in the log.",
        who=_MANAGER,
        answers=(ManagersExperience,),
        refuses=BODY,
    ),
)
