"""Sends learning records to a store: xAPI 1.0.3 statements, or Caliper 1.2 envelopes.

What cannot be delivered for now is tried again; what the store refuses is narrowed down to the one
record that it is about. A record keeps its id, so that sending it again is harmless.
"""

import asyncio
import re
from base64 import b64encode
from collections.abc import Sequence
from contextlib import suppress

import aiohttp
import msgspec

from service.analytics.caliper import envelope
from service.analytics.comparing import includes
from service.analytics.errors import StatementsRefused, ToldToStop
from service.analytics.naming import Names
from service.analytics.patience import Patience, asked_for
from service.analytics.records import Batch, Format, Record
from service.analytics.statements import XAPI_VERSION
from service.errors import SettingsError

REQUEST_TIMEOUT = 60.0
_TOLD = 300
"""Characters of a store's answer that are shown."""

_BEARER = re.compile(r"Bearer [!-~]+\Z")
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_BREAKS = (aiohttp.ClientError, TimeoutError, OSError)
_OF_ONE_RECORD = frozenset({400, 409, 413, 422})


class Answer(msgspec.Struct, frozen=True):
    """What a store said."""

    status: int
    text: str
    retry_after: float | None = None


class RecordStore:
    """A learning record store, or a Caliper endpoint.

    Args:
        http: Its time limit is that of one request.
        url: Where xAPI's `statements` are below; for Caliper the endpoint itself.
        authorization: The header's value, if the store wants one.
        stop: Ends the waiting for a store that does not answer.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str,
        kind: Format,
        names: Names,
        authorization: str | None,
        stop: asyncio.Event,
        patience: Patience | None = None,
    ) -> None:
        self._http = http
        self._url = url if kind == "caliper" else f"{url.rstrip('/')}/statements"
        self._kind = kind
        self._names = names
        self._headers = _headers(kind, authorization)
        self._stop = stop
        self._patience = patience or Patience()

    async def take(self, batch: Batch) -> None:
        """Delivers a batch; when it returns, the store has said that it has all of it.

        Raises:
            StatementsRefused: The store refuses a record, or us, or does not answer.
            ToldToStop: While waiting for the store.
        """
        if batch.records:
            await self._deliver(batch.records)

    async def _deliver(self, records: Sequence[Record]) -> None:
        answer = await self._ask(records)
        if 200 <= answer.status < 300:
            self._check_taken(records, answer)
        elif answer.status in _OF_ONE_RECORD and len(records) > 1:
            half = len(records) // 2
            await self._deliver(records[:half])
            await self._deliver(records[half:])
        elif answer.status == 409 and self._kind == "xapi":
            await self._check_stored(records[0], answer)
        else:
            raise StatementsRefused(self._why(records, answer))

    async def _check_stored(self, record: Record, refusal: Answer) -> None:
        """Some stores refuse what they know already: harmless, if it is this very statement."""
        asked = {"statementId": record.id}
        try:
            async with self._http.get(
                self._url, params=asked, headers=self._headers, allow_redirects=False
            ) as response:
                status, body = response.status, await response.read()
        except _BREAKS as error:
            raise StatementsRefused(
                f"the store at {self._url} broke off{_shown(str(error))}"
            ) from error
        if status == 200 and _is_same(body, record):
            return
        why = self._why([record], refusal)
        if status == 200:
            why = f"the store has {_named(record)} already, with other content"
        elif status != 404:
            why += f" (and asked for the one that it has, it answered {status})"
        raise StatementsRefused(why)

    async def _ask(self, records: Sequence[Record]) -> Answer:
        """The store's answer, once it gives one that will not change by waiting."""
        body = self._body(records)
        for attempt in range(1, self._patience.attempts + 1):
            try:
                answer = await self._post(body)
                problem, asked = f": {answer.status}{_shown(answer.text)}", answer.retry_after
                if answer.status not in _PASSING:
                    return answer
            except _BREAKS as error:
                problem, asked = _shown(str(error) or type(error).__name__), None
            if attempt < self._patience.attempts:
                await self._wait(self._patience.pause(attempt, asked))
        tried = f"after {self._patience.attempts} attempts"
        raise StatementsRefused(f"the store at {self._url} does not take records {tried}{problem}")

    async def _post(self, body: bytes) -> Answer:
        async with self._http.post(
            self._url, data=body, headers=self._headers, allow_redirects=False
        ) as response:
            text = (await response.read()).decode("utf-8", "replace")
            return Answer(response.status, text, asked_for(response.headers.get("Retry-After")))

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        if self._stop.is_set():
            raise ToldToStop

    def _body(self, records: Sequence[Record]) -> bytes:
        lines = [record.line for record in records]
        if self._kind == "caliper":
            return envelope(self._names, lines)
        return b"[" + b",".join(lines) + b"]"

    def _check_taken(self, records: Sequence[Record], answer: Answer) -> None:
        """xAPI's answer is the ids; anything else comes from something that is no such store."""
        if self._kind == "caliper":
            return
        try:
            ids = msgspec.json.decode(answer.text, type=list[str])
        except msgspec.DecodeError:
            ids = []
        if [given.lower() for given in ids] != [record.id for record in records]:
            raise StatementsRefused(
                f"{self._url} answered {answer.status}, but not with the statements' ids: "
                "is it a learning record store?"
            )

    def _why(self, records: Sequence[Record], answer: Answer) -> str:
        if answer.status in (401, 403):
            return f"the store at {self._url} does not let us in: check COLLOQUY_LRS_AUTH"
        said = _shown(answer.text)
        if answer.status not in _OF_ONE_RECORD:
            return f"the store at {self._url} answered {answer.status}{said}"
        return f"the store refuses {_named(records[0])}: {answer.status}{said}"


def authorization_of(secret: str | None) -> str | None:
    """The header's value for what COLLOQUY_LRS_AUTH holds.

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


def _headers(kind: Format, authorization: str | None) -> dict[str, str]:
    version = {"X-Experience-API-Version": XAPI_VERSION} if kind == "xapi" else {}
    secret = {"Authorization": authorization} if authorization else {}
    return {"Content-Type": "application/json", **version, **secret}


def _is_same(stored: bytes, record: Record) -> bool:
    try:
        return includes(msgspec.json.decode(stored), msgspec.json.decode(record.line))
    except msgspec.DecodeError:
        return False


def _named(record: Record) -> str:
    return f"record {record.id} (position {record.position})"


def _shown(text: str) -> str:
    """A store's words on one line, if there are any."""
    words = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))
    return f": {words[:_TOLD]}" if words else ""
