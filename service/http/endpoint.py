"""One endpoint: where it is, who may call it, what it takes, answers and refuses."""

from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec
from aiohttp import web

Kind = type[msgspec.Struct] | str
"""A type, or the name of a schema that is made of one."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint. Routes, scopes and the description of the API are made of these.

    Attributes:
        handler: Carries out its requests.
        name: Unique, for generated clients.
        tag: The group of endpoints to which it belongs.
        who: Who may call it.
        body: What it takes; None where it reads no body.
        body_optional: It can do without one.
        status: Of its answer.
        answers: What it answers with; more than one where it depends.
        parts: Types within the answers that these do not name.
        many: The answer is a list, page by page.
        tagged: Its answer has an `ETag`.
        streams: It can answer with server-sent events, with status 200.
        headers: Request headers that it obeys.
        query: Parameters of the query that it obeys.
        refuses: Errors that it can refuse with, beside those of all endpoints. Each is an example.
        scope: What a token must name; where it is None, the endpoint, if the token names any.
        wider: A scope that does as well, and reaches more.
        media: Other media types that it can answer with.
        head: A GET that is also asked for with HEAD.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    name: str
    tag: str
    summary: str
    text: str
    who: str
    body: Kind | None = None
    body_optional: bool = False
    status: int = 200
    answers: tuple[Kind, ...]
    parts: tuple[type[msgspec.Struct], ...] = ()
    many: bool = False
    tagged: bool = False
    streams: bool = False
    headers: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    refuses: tuple[Exception, ...] = ()
    scope: str | None = None
    wider: str | None = None
    media: tuple[str, ...] = ()
    head: bool = True

    @property
    def route(self) -> web.RouteDef:
        """Its entry in the router."""
        if self.method == "GET":
            return web.get(self.path, self.handler, allow_head=self.head)
        return web.route(self.method, self.path, self.handler)
