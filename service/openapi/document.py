"""Puts the OpenAPI 3.1 document together from the table of operations and the types."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from service.http.endpoint import Endpoint, Kind
from service.http.middleware import scope_of
from service.openapi.examples import EXAMPLES, STREAM
from service.openapi.parameters import PARAMETERS, PATH_PARAMETERS, RESPONSE_HEADERS
from service.openapi.refusal_responses import common_responses, refused_responses
from service.openapi.schemas import FORMS, Schema, components, one_of, reference
from service.openapi.texts import LINKS, REFUSALS, TEXT

_PARAMETER = re.compile(r"\{(\w+)\}")
_JSON, _FORM, _EVENTS = (
    "application/json",
    "application/x-www-form-urlencoded",
    "text/event-stream",
)
_PAGE = "text/html"
_STRING: Schema = {"type": "string"}


@lru_cache(maxsize=1)
def document_bytes(endpoints: tuple[Endpoint, ...]) -> bytes:
    """The document as JSON; the same bytes in every process of a version."""
    return msgspec.json.format(msgspec.json.encode(document(endpoints)), indent=1)


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The document that describes endpoints."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in endpoints:
        item = paths.setdefault(operation.path, {"parameters": _path_parameters(operation.path)})
        item[operation.method.lower()] = _operation(operation)
    for path, own in (
        ("/api/v1/openapi.json", _own("getDescription", "This document", _JSON)),
        ("/docs", _own("getPage", "The same as a page to read", _PAGE)),
    ):
        paths[path] = {"parameters": [], "get": own}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Colloquy", "version": "1", "description": TEXT},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": name} for name in dict.fromkeys(o.tag for o in endpoints)]
        + [{"name": "Description"}],
        "paths": paths,
        "components": {
            "schemas": components(endpoints),
            "parameters": PARAMETERS,
            "headers": RESPONSE_HEADERS,
            "responses": common_responses(),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: Endpoint) -> dict[str, Any]:
    scopes = [operation.scope or scope_of(operation.method, operation.path)]
    scopes += [operation.wider] if operation.wider else []
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": f"{operation.text}\n\nFor: {operation.who}.",
        "security": [{"bearer": [scope]} for scope in scopes],
        "parameters": [
            {"$ref": f"#/components/parameters/{name}"}
            for name in (*operation.query, *operation.headers)
        ],
        "responses": _responses(operation),
    }
    if operation.body is not None:
        described["requestBody"] = _request_body(operation.body, optional=operation.body_optional)
    return described


def _request_body(kind: Kind, *, optional: bool) -> dict[str, Any]:
    as_form = FORMS.get(_name(kind), kind)
    content = {
        media: {"schema": reference(one), "examples": {_name(one): {"value": EXAMPLES[_name(one)]}}}
        for media, one in ((_JSON, kind), (_FORM, as_form))
    }
    return {"required": not optional, "content": content}


def _responses(operation: Endpoint) -> dict[str, Any]:
    responses: dict[int, Any] = {}
    if operation.answers:
        responses[operation.status] = _answer(operation)
    if operation.streams:
        response = responses.setdefault(200, {"description": "The turn, as it goes on."})
        response.setdefault("content", {})[_EVENTS] = _stream()
        response.setdefault("headers", _headers("X-Request-Id"))
    if "If-None-Match" in operation.headers:
        responses[304] = {
            "description": "The client has this answer.",
            "headers": _headers("ETag", "X-Request-Id"),
        }
    if operation.name == "streamTurn":
        responses[204] = {
            "description": "The client has all of the turn.",
            "headers": _headers("X-Request-Id"),
        }
    responses |= refused_responses(operation)
    if links := LINKS.get(operation.name):
        responses[operation.status]["links"] = links
    return {str(status): responses[status] for status in sorted(responses)}


def _answer(operation: Endpoint) -> dict[str, Any]:
    schema = one_of(operation.answers)
    name = _name(operation.answers[0])
    example = EXAMPLES[name]
    if operation.many:
        # All of one kind: a list is made for one reader.
        schema = {"anyOf": [{"type": "array", "items": reference(k)} for k in operation.answers]}
        example = [example]
    names = (
        *(("ETag",) if operation.tagged else ()),
        *(("Link",) if "per_page" in operation.query else ()),
    )
    return {
        "description": operation.summary + ".",
        "headers": _headers(*names, "X-Request-Id"),
        "content": {
            _JSON: {"schema": schema, "examples": {name: {"value": example}}},
            **{media: {"schema": _STRING} for media in operation.media},
        },
    }


def _stream() -> dict[str, Any]:
    return {"schema": _STRING, "examples": {"events": {"value": STREAM}}}


def _own(name: str, summary: str, media: str) -> dict[str, Any]:
    schema: Schema = {"type": "object"} if media == _JSON else _STRING
    return {
        "operationId": name,
        "tags": ["Description"],
        "summary": summary,
        "description": "For anybody; needs no token.",
        "security": [],
        "parameters": [{"$ref": "#/components/parameters/If-None-Match"}],
        "responses": {
            "200": {
                "description": summary + ".",
                "headers": _headers("ETag", "X-Request-Id"),
                "content": {media: {"schema": schema}},
            },
            "304": {
                "description": "The client has it.",
                "headers": _headers("ETag", "X-Request-Id"),
            },
            "431": {"$ref": f"#/components/responses/{REFUSALS[431][0]}"},
        },
    }


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [PATH_PARAMETERS[name] for name in _PARAMETER.findall(path)]


def _name(kind: Kind) -> str:
    return kind if isinstance(kind, str) else kind.__name__
