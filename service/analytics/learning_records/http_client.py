"""HTTP client of a learning record store, with retries."""

import asyncio
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import aiohttp
import msgspec
import structlog

from service.analytics.errors import ExportStopped
from service.analytics.learning_records.batches import Record
from service.analytics.learning_records.retry_delays import RetryDelays
from service.errors import SettingsError
from service.escaping import escaped
from service.retry_after import parse_retry_after

PASSING = frozenset({0, 408, 425, 429, 500, 502, 503, 504})
"""Statuses of temporary errors; 0 stands for a broken connection."""

_BREAKS = (aiohttp.ClientError, TimeoutError, OSError)
_BEARER = re.compile(r"Bearer [!-~]+\Z")
_EXCERPT_LENGTH = 300
"""Characters of a store's answer in a message."""

log = structlog.get_logger(__name__)


class StoreResponse(msgspec.Struct, frozen=True):
    """A store's answer.

    Attributes:
        status: The HTTP status; 0 for a broken connection.
        text: The body, or the error that broke the connection.
        retry_after: Seconds after which the store asks to retry.
        records: The records in the request.
    """

    status: int
    text: str
    retry_after: float | None = None
    records: Sequence[Record] = ()

    @property
    def explanation(self) -> str:
        """The answer in words, to append to a message."""
        return f": {self.status}{excerpt(self.text)}" if self.status else excerpt(self.text)


class StoreClient:
    """Sends requests to one URL.

    Args:
        http: Its timeout is that of one request.
        headers: The headers of every request.
        stop: Ends the wait before a retry.
        delays: The waits before retries.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str,
        headers: Mapping[str, str],
        stop: asyncio.Event,
        delays: RetryDelays,
    ) -> None:
        self._http = http
        self._url = url
        self._headers = headers
        self._stop = stop
        self._delays = delays
        self.attempts = delays.attempts

    async def with_retries(self, request: Callable[[], Awaitable[StoreResponse]]) -> StoreResponse:
        """The store's first answer without a temporary error, or its last answer.

        Raises:
            ExportStopped: `stop` was set during a wait.
        """
        for attempt in range(1, self.attempts):
            answer = await request()
            if answer.status not in PASSING:
                return answer
            pause = self._delays.pause(attempt, answer.retry_after)
            log.warning(
                "store_tried_again",
                store=self._url,
                answer=answer.explanation.removeprefix(": "),
                attempt=attempt,
                of=self.attempts,
                in_seconds=round(pause, 1),
            )
            await self._wait(pause)
        return await request()

    async def request(self, method: str, **what: Any) -> StoreResponse:
        """The answer to one request. Redirects are not followed: they would leak credentials."""
        try:
            async with self._http.request(
                method, self._url, headers=self._headers, allow_redirects=False, **what
            ) as response:
                text = (await response.read()).decode("utf-8", "replace")
                pause = parse_retry_after(
                    response.headers.get("Retry-After"), response.headers.get("Date")
                )
                return StoreResponse(response.status, text, pause)
        except _BREAKS as error:
            return StoreResponse(0, str(error) or type(error).__name__)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        if self._stop.is_set():
            raise ExportStopped


def authorization_of(secret: str | None) -> str | None:
    """The value of the header Authorization for COLLOQUY_LRS_AUTH.

    Raises:
        SettingsError: It is neither a user with a password nor a token.
    """
    if secret is None:
        return None
    if _BEARER.match(secret):
        return secret
    if ":" in secret and not secret.startswith("Bearer"):
        return f"Basic {b64encode(secret.encode()).decode()}"
    raise SettingsError("COLLOQUY_LRS_AUTH must be user:password, or Bearer and a token")


def excerpt(text: str) -> str:
    """The beginning of a store's text on one line, after a colon; empty without a text."""
    words = escaped(" ".join(text.split()))
    return f": {words[:_EXCERPT_LENGTH]}" if words else ""
