"""The route table."""

from aiohttp import web

from service import handlers

DIALOGUE = "/api/v1/courses/{course_id}/ai_experiences/{ai_experience_id}/conversations"

ROUTES = (
    web.get(DIALOGUE, handlers.get_active_conversation),
    web.post(DIALOGUE, handlers.create_conversation),
    web.post(DIALOGUE + "/{id}/messages", handlers.post_message),
    web.delete(DIALOGUE + "/{id}", handlers.delete_conversation),
    web.get("/healthz", handlers.healthz),
    web.get("/readyz", handlers.readyz),
)
