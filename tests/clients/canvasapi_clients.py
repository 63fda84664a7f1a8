"""The package `canvasapi` as a user has it, away from the event loop that it would block."""

import asyncio
from typing import Any

from canvasapi import Canvas
from canvasapi.canvas_object import CanvasObject
from canvasapi.paginated_list import PaginatedList
from canvasapi.util import combine_kwargs

from tests.running import Service


class Client:
    """The package as a user has it, in a thread of its own; `made` are the requests that worked."""

    def __init__(self, service: Service, token: object, made: list[tuple[str, str]]) -> None:
        canvas = Canvas(service.url, service.tokens.get(str(token), str(token)))
        self._requester = canvas._Canvas__requester
        self._requester._session.hooks["response"].append(self._note)
        self._made = made

    async def call(
        self, method: str, path: str, headers: dict[str, str] | None = None, **fields: Any
    ) -> Any:
        """The answer to a request, whose fields go where the package puts them."""
        response = await asyncio.to_thread(
            self._requester.request,
            method,
            path,
            headers=dict(headers or {}),
            _kwargs=combine_kwargs(**fields),
        )
        return response.text if headers else response.json()

    async def pages(self, path: str, **options: Any) -> list[Any]:
        """All items of a list, page by page."""
        listed = PaginatedList(CanvasObject, self._requester, "GET", path, **options)
        return await asyncio.to_thread(list, listed)

    def close(self) -> None:
        self._requester._session.close()

    def _note(self, response: Any, **_: Any) -> None:
        if response.ok:
            self._made.append((response.request.method, response.request.path_url.split("?")[0]))


class Clients:
    """A client for each user, closed with the test."""

    def __init__(self, service: Service) -> None:
        self.made: list[tuple[str, str]] = []
        self._service = service
        self._clients: list[Client] = []

    def of(self, token: object) -> Client:
        """A new client with a user's token, or one that is made up."""
        self._clients.append(Client(self._service, token, self.made))
        return self._clients[-1]

    def close(self) -> None:
        for client in self._clients:
            client.close()
