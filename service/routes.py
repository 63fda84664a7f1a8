"""The route table."""

from aiohttp import web

from service.analytics import handlers as analytics_handlers
from service.audit import handlers as audit_handlers
from service.conversations import (
    feedback_handlers,
    handlers,
    student_handlers,
    turn_handlers,
)
from service.evaluations import handlers as evaluation_handlers
from service.experiences import handlers as experience_handlers
from service.http import probes
from service.openapi import handlers as openapi_handlers
from service.privacy import handlers as privacy_handlers

EXPERIENCES = "/api/v1/courses/{course_id}/ai_experiences"
EXPERIENCE = EXPERIENCES + "/{ai_experience_id}"
DIALOGUE = EXPERIENCE + "/conversations"
FEEDBACK = DIALOGUE + "/{id}/messages/{message_id}/feedback"
LEARNER_DATA = "/api/v1/accounts/self/users/{user_id}/learner_data"
LEARNER_RECORD = "/api/v1/users/{user_id}/learner_record"
STUDENTS = EXPERIENCE + "/ai_conversations"
AUDIT = "/api/v1/audit"
ANALYTICS = "/api/v1/analytics"
COURSE_FIGURES = ANALYTICS + "/courses/{course_id}"
EXPERIENCE_FIGURES = COURSE_FIGURES + "/experiences/{ai_experience_id}"

ROUTES = (
    web.get(DIALOGUE, handlers.get_active_conversation),
    web.post(DIALOGUE, handlers.create_conversation),
    web.post(DIALOGUE + "/{id}/messages", handlers.post_message),
    web.delete(DIALOGUE + "/{id}", handlers.delete_conversation),
    web.get(DIALOGUE + "/{id}", student_handlers.get_conversation),
    web.get(STUDENTS, student_handlers.list_student_conversations),
    web.get(STUDENTS + "/{conversation_id}", student_handlers.get_student_conversation),
    web.post(FEEDBACK, feedback_handlers.give_feedback),
    web.delete(FEEDBACK + "/{feedback_id}", feedback_handlers.withdraw_feedback),
    web.get(EXPERIENCES, experience_handlers.list_experiences),
    web.post(EXPERIENCES, experience_handlers.create_experience),
    web.get(EXPERIENCE, experience_handlers.get_experience),
    web.put(EXPERIENCE, experience_handlers.update_experience),
    web.delete(EXPERIENCE, experience_handlers.delete_experience),
    web.get(DIALOGUE + "/{id}/evaluation", evaluation_handlers.get_evaluation),
    web.post(DIALOGUE + "/{id}/evaluation", evaluation_handlers.post_evaluation),
    web.get(
        DIALOGUE + "/{id}/turns/{turn_id}/stream", turn_handlers.get_turn_stream, allow_head=False
    ),
    web.post(DIALOGUE + "/{id}/turns/{turn_id}/cancel", turn_handlers.cancel_turn),
    web.delete(LEARNER_DATA, privacy_handlers.erase_learner),
    web.get(LEARNER_RECORD, privacy_handlers.get_learner_record),
    web.get(AUDIT + "/events", audit_handlers.list_events, allow_head=False),
    web.get(
        AUDIT + "/conversations/{id}/replay", audit_handlers.replay_conversation, allow_head=False
    ),
    web.get(ANALYTICS + "/courses", analytics_handlers.list_courses),
    web.get(COURSE_FIGURES, analytics_handlers.get_course),
    web.get(EXPERIENCE_FIGURES, analytics_handlers.get_experience),
    web.get(ANALYTICS + "/freshness", analytics_handlers.get_freshness),
    web.get("/api/v1/openapi.json", openapi_handlers.get_description),
    web.get("/docs", openapi_handlers.get_page),
    web.get("/healthz", probes.healthz),
    web.get("/readyz", probes.readyz),
)
