"""Holds the errors that a service answers with against the description of the API."""

import json
import re
from functools import cache
from typing import Any

from service.http.endpoint import Endpoint
from service.openapi.document import document
from service.openapi.refusal_responses import problem_of
from service.routes import ENDPOINTS

_GENERAL = frozenset({405, 417, 500})
"""Statuses that the description names once for all endpoints."""


def check_refusal(method: str, path: str, status: int, body: bytes) -> None:
    """An endpoint's error is described: its status, its shape, and its code if it has one.

    Args:
        path: Without the query. A path of no endpoint passes.
    """
    endpoint = _endpoint("GET" if method == "HEAD" else method, path)
    if status < 400 or status in _GENERAL or endpoint is None or method == "HEAD":
        return
    examples = described(endpoint.name).get(status)
    assert examples, f"{endpoint.name} does not describe {status}: {body!r}"
    answer = json.loads(body)
    shapes = {problem_of(example) for example in examples.values()}
    assert problem_of(answer) in shapes, f"{endpoint.name} {status}: {answer}"
    codes = {example.get("code") for example in examples.values()}
    assert answer.get("code") in codes, f"{endpoint.name} {status} does not describe {answer}"


@cache
def described(name: str) -> dict[int, dict[str, dict[str, Any]]]:
    """The examples of an operation's errors by status and name."""
    whole = document(ENDPOINTS)
    (operation,) = (
        operation
        for item in whole["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict) and operation["operationId"] == name
    )
    answers = {int(status): answer for status, answer in operation["responses"].items()}
    refused = {status: answer for status, answer in answers.items() if status >= 400}
    return {status: _examples(whole, answer) for status, answer in refused.items()}


def _examples(whole: dict[str, Any], answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    if "$ref" in answer:
        answer = whole["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    examples = answer["content"]["application/json"]["examples"]
    return {name: example["value"] for name, example in examples.items()}


def _endpoint(method: str, path: str) -> Endpoint | None:
    for endpoint in ENDPOINTS:
        pattern = re.sub(r"\{\w+\}", "[^/]+", endpoint.path)
        if endpoint.method == method and re.fullmatch(pattern, path):
            return endpoint
    return None
