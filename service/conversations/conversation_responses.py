"""Responses and final stream events that show a whole conversation."""

from aiohttp import web

from service import errors
from service.conversations.answers import conversation_of_state
from service.dialogue.state import Conversation, Dialogue
from service.http.error_responses import error_body
from service.http.etags import entity_tag
from service.http.request_keys import ACCESS, REQUEST_ID
from service.http.responses import encoded, json_response


def conversation_response(
    request: web.Request, conversation: Conversation | None, status: int
) -> web.Response:
    """The response that shows a whole conversation.

    Raises:
        NotFound: There is none.
    """
    if conversation is None:
        raise errors.NotFound
    tag = entity_tag(request, conversation.id, conversation.revision)
    answer = conversation_of_state(conversation, request[ACCESS].user_id)
    return json_response(request, answer, status, {"ETag": tag})


def stream_ending(request: web.Request, outcome: Dialogue | Exception) -> tuple[str, bytes]:
    """Name and JSON of a turn's final server-sent event: the body that a plain request gets."""
    if isinstance(outcome, Dialogue) and outcome.active:
        answer = conversation_of_state(outcome.active, request[ACCESS].user_id)
        return "done", encoded(request, answer)
    error = outcome if isinstance(outcome, Exception) else errors.NotFound()
    return "error", error_body(error, request[REQUEST_ID])[1]
