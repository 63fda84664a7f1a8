"""The route table."""

from aiohttp import web

from service import evaluation_handlers, handlers, turn_handlers

DIALOGUE = "/api/v1/courses/{course_id}/ai_experiences/{ai_experience_id}/conversations"

ROUTES = (
    web.get(DIALOGUE, handlers.get_active_conversation),
    web.post(DIALOGUE, handlers.create_conversation),
    web.post(DIALOGUE + "/{id}/messages", handlers.post_message),
    web.delete(DIALOGUE + "/{id}", handlers.delete_conversation),
    web.get(DIALOGUE + "/{id}/evaluation", evaluation_handlers.get_evaluation),
    web.post(DIALOGUE + "/{id}/evaluation", evaluation_handlers.post_evaluation),
    web.get(
        DIALOGUE + "/{id}/turns/{turn_id}/stream", turn_handlers.get_turn_stream, allow_head=False
    ),
    web.post(DIALOGUE + "/{id}/turns/{turn_id}/cancel", turn_handlers.cancel_turn),
    web.get("/healthz", handlers.healthz),
    web.get("/readyz", handlers.readyz),
)
