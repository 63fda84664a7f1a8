"""The answers of refused requests, each with the errors that lead to it as examples."""

from collections.abc import Iterable
from datetime import UTC, datetime, time
from typing import Any

import msgspec

from service.errors import TurnFailed
from service.http.endpoint import Endpoint
from service.http.error_responses import error_body
from service.http.refusals import DAY, EVERYWHERE
from service.openapi.problem_types import PROBLEMS
from service.openapi.schemas import one_of
from service.openapi.texts import REFUSALS, RETRY_LINKS, TURN_LINKS

Response = dict[str, Any]

_REFERENCE = "019c2f3e-7a10-7cc1-b7a5-2f0c5d1e9a03"
_NOW = datetime.combine(DAY, time(9, 2, 10), UTC)


def common_responses() -> dict[str, Response]:
    """The components that the answers of all endpoints refer to, by name."""
    by_status = _by_status(EVERYWHERE)
    return {REFUSALS[status][0]: _response(status, by_status[status]) for status in by_status}


def refused_responses(endpoint: Endpoint) -> dict[int, Response]:
    """The answers of an endpoint's refused requests, by status."""
    common = _by_status(EVERYWHERE)
    every = _by_status((*endpoint.refuses, *EVERYWHERE))
    responses = {
        status: {"$ref": f"#/components/responses/{REFUSALS[status][0]}"}
        if errors == common.get(status)
        else _response(status, errors)
        for status, errors in every.items()
    }
    if endpoint.name in ("postMessage", "retryTurn"):
        responses[409] |= {"links": TURN_LINKS}
        responses[503] |= {"links": RETRY_LINKS}
    return responses


def problem_of(body: dict[str, Any]) -> type[msgspec.Struct]:
    """The type of an error's body: the one that has its fields, no more or less, and their kinds.

    Raises:
        LookupError: There is none.
    """
    for kind in PROBLEMS:
        if set(kind.__struct_fields__) == set(body):
            try:
                msgspec.convert(body, kind)
            except msgspec.ValidationError:
                continue
            return kind
    raise LookupError(f"no described error has the fields {', '.join(body)}")


def _by_status(errors: Iterable[Exception]) -> dict[int, list[Exception]]:
    by_status: dict[int, list[Exception]] = {}
    for error in errors:
        by_status.setdefault(error_body(error, _REFERENCE, _NOW)[0], []).append(error)
    return by_status


def _response(status: int, errors: Iterable[Exception]) -> Response:
    names, kinds, examples = ["X-Request-Id"], [], {}
    for error in errors:
        _, encoded, headers = error_body(error, _REFERENCE, _NOW)
        body = msgspec.json.decode(encoded)
        names += headers
        kinds.append(problem_of(body))
        sent = ", ".join(f"{name}: {value}" for name, value in headers.items())
        examples[_name(error)] = {**({"summary": sent} if sent else {}), "value": body}
    return {
        "description": REFUSALS[status][1],
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in sorted(set(names))},
        "content": {
            "application/json": {
                "schema": one_of(tuple(dict.fromkeys(kinds))),
                "examples": examples,
            }
        },
    }


def _name(error: Exception) -> str:
    return error.code if isinstance(error, TurnFailed) else type(error).__name__
