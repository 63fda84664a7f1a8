"""Sends learning records to a store: xAPI 1.0.3 statements, or Caliper 1.2 envelopes.

Temporary errors are retried. A refused batch is divided until the refused record is found. A record
keeps its id, so sending it again is harmless. A store can be slow for hours, so each attempt leaves
out records of people who have been erased since.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import aiohttp
import msgspec

from service.analytics.errors import StatementsRefused
from service.analytics.learning_records.batches import Batch, Format, Record
from service.analytics.learning_records.caliper import envelope
from service.analytics.learning_records.http_client import PASSING, StoreClient, StoreResponse
from service.analytics.learning_records.iris import Names
from service.analytics.learning_records.retry_delays import RetryDelays
from service.analytics.learning_records.xapi import XAPI_VERSION

REQUEST_TIMEOUT = 60.0
CONNECT_TIMEOUT = 5.0
"""Short, since the log is asked for erased people before the connection is opened."""

_OF_ONE_RECORD = frozenset({400, 409, 413, 422})

Erased = Callable[[Collection[int], int], Awaitable[frozenset[int]]]
"""Finds which users were erased above a position of the log."""


class RecordStore:
    """A learning record store, or a Caliper endpoint.

    Args:
        http: Its timeout is that of one request.
        url: The parent of xAPI's `statements`; for Caliper the endpoint itself.
        authorization: The header's value; None for a store without authentication.
        erased: Called with the people of the records before each request.
        stop: Ends the wait before a retry.
        delays: The waits before retries.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str,
        kind: Format,
        names: Names,
        authorization: str | None,
        erased: Erased,
        stop: asyncio.Event,
        delays: RetryDelays | None = None,
    ) -> None:
        self._url = url if kind == "caliper" else f"{url.rstrip('/')}/statements"
        self._kind = kind
        self._names = names
        self._erased = erased
        headers = _headers(kind, authorization)
        self._client = StoreClient(http, self._url, headers, stop, delays or RetryDelays())

    async def deliver(self, batch: Batch) -> int:
        """Delivers a batch. When it returns, the store has confirmed all of it.

        Returns:
            The number of records delivered, which lacks those of people erased meanwhile.

        Raises:
            StatementsRefused: The store refuses a record or our credentials, or does not answer.
            ExportStopped: `stop` was set during a wait.
        """
        return await self._deliver(batch.records)

    async def _deliver(self, candidates: Sequence[Record]) -> int:
        answer = await self._client.with_retries(partial(self._post, candidates))
        records = answer.records
        if not records:
            return 0
        if answer.status in _OF_ONE_RECORD and len(records) > 1:
            half = len(records) // 2
            return await self._deliver(records[:half]) + await self._deliver(records[half:])
        if 200 <= answer.status < 300:
            await self._check_taken(answer)
        elif answer.status == 409 and self._kind == "xapi":
            await self._check_stored(answer)
        else:
            raise StatementsRefused(self._why(answer))
        return len(records)

    async def _check_stored(self, refusal: StoreResponse) -> None:
        """Accepts a conflict if the store has this very statement: some refuse duplicates."""
        [record] = refusal.records
        answer = await self._stored(record)
        if answer.status == 200 and _is_same(answer.text, record):
            return
        why = self._why(refusal)
        if answer.status == 200:
            why = f"the store has {_named(record)} already, with other content"
        elif answer.status != 404:
            why += f" (and asked for its version, it answered{answer.explanation})"
        raise StatementsRefused(why)

    async def _stored(self, record: Record) -> StoreResponse:
        """The store's statement with the record's id."""
        request = partial(self._client.request, "GET", params={"statementId": record.id})
        return await self._client.with_retries(request)

    async def _post(self, candidates: Sequence[Record]) -> StoreResponse:
        """Sends the records without erased people; without records, sends no request."""
        records = await self._without_erased(candidates)
        if not records:
            return StoreResponse(204, "")
        answer = await self._client.request("POST", data=self._body(records))
        return msgspec.structs.replace(answer, records=records)

    async def _without_erased(self, records: Sequence[Record]) -> Sequence[Record]:
        if not records:
            return records
        people = frozenset[int]().union(*(record.people for record in records))
        erased = await self._erased(people, records[-1].position)
        return [record for record in records if erased.isdisjoint(record.people)]

    def _body(self, records: Sequence[Record]) -> bytes:
        lines = [record.line for record in records]
        if self._kind == "caliper":
            return envelope(self._names, lines)
        return b"[" + b",".join(lines) + b"]"

    async def _check_taken(self, answer: StoreResponse) -> None:
        """Checks that the answer has the ids of all records, or that the store has the others.

        Stores may answer 204 to a batch that they have already, or leave out known records.
        """
        if self._kind == "caliper":
            return
        taken = _ids(answer.text)
        for record in answer.records:
            if record.id in taken:
                continue
            stored = await self._stored(record)
            if stored.status != 200 or not _is_same(stored.text, record):
                raise StatementsRefused(
                    f"{self._url} answered {answer.status}, but not with the id of "
                    f"{_named(record)}, and does not have it as it is{stored.explanation}: "
                    "is it a learning record store?"
                )

    def _why(self, answer: StoreResponse) -> str:
        if answer.status in PASSING:
            tried = f"after {self._client.attempts} attempts"
            return f"the store at {self._url} does not take records {tried}{answer.explanation}"
        if answer.status in (401, 403):
            return f"the store at {self._url} does not let us in: check COLLOQUY_LRS_AUTH"
        if answer.status not in _OF_ONE_RECORD:
            return f"the store at {self._url} answered{answer.explanation}"
        return f"the store refuses {_named(answer.records[0])}{answer.explanation}"


def _headers(kind: Format, authorization: str | None) -> dict[str, str]:
    version = {"X-Experience-API-Version": XAPI_VERSION} if kind == "xapi" else {}
    secret = {"Authorization": authorization} if authorization else {}
    return {"Content-Type": "application/json", **version, **secret}


def _ids(text: str) -> frozenset[str]:
    """The statements' ids in an answer; none if it holds something else."""
    try:
        return frozenset(given.lower() for given in msgspec.json.decode(text, type=list[str]))
    except msgspec.DecodeError:
        return frozenset()


def _is_same(stored: str, record: Record) -> bool:
    try:
        return includes_all_of(msgspec.json.decode(stored), msgspec.json.decode(record.line))
    except msgspec.DecodeError:
        return False


def includes_all_of(stored: Any, sent: Any) -> bool:
    """Whether a stored statement includes all of the sent one; a store may add properties.

    Args:
        stored, sent: Decoded JSON. Texts are equal, too, if they are equal times.
    """
    match sent:
        case dict():
            return isinstance(stored, dict) and all(
                name in stored and includes_all_of(stored[name], value)
                for name, value in sent.items()
            )
        case list():
            return (
                isinstance(stored, list)
                and len(stored) == len(sent)
                and all(map(includes_all_of, stored, sent))
            )
        case str():
            return isinstance(stored, str) and (stored == sent or _same_time(stored, sent))
        case _:
            return bool(stored == sent)


def _same_time(one: str, other: str) -> bool:
    try:
        return datetime.fromisoformat(one) == datetime.fromisoformat(other)
    except (ValueError, TypeError):
        return False


def _named(record: Record) -> str:
    return f"record {record.id} (position {record.position})"
