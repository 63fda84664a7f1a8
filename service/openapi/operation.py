"""What an endpoint takes, answers and refuses."""

from typing import Literal

import msgspec

Kind = type[msgspec.Struct] | str
"""A type, or the name of a schema that is made of one."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint.

    Attributes:
        name: Unique, for generated clients.
        who: Who may call it.
        body: What it takes; None where it reads no body.
        answers: What it answers with, by status; more than one where it depends.
        many: The answer is a list, page by page.
        streams: It can answer with server-sent events, with this status.
        headers: Request headers that it obeys.
        query: Parameters of the query that it obeys.
        refuses: Statuses that it can refuse with, beside those of all endpoints.
        scope: What a token must name; where it is None, the endpoint, if the token names any.
        wider: A scope that does as well, and reaches more.
        media: Other media types that it can answer with.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    name: str
    tag: str
    summary: str
    text: str
    who: str
    body: Kind | None = None
    status: int = 200
    answers: tuple[Kind, ...]
    many: bool = False
    streams: bool = False
    headers: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    refuses: tuple[int, ...] = ()
    scope: str | None = None
    wider: str | None = None
    media: tuple[str, ...] = ()
