"""Requests of clients over real sockets: plain or streamed, abandoned, cut and resumed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp
import msgspec

from service.conversations.turn_stream import LAST_ID
from tests.soak.journal import Answer, Journal, Place, Read, Request, Violation, canonical
from tests.soak.processes import Slot

RESTARTED = 1_000_000
"""Id of `restarted` after the first takeover of a turn."""

ANSWER_TIMEOUT = 120.0
"""Seconds within which every request must be answered, whatever the faults."""

Accepted = Callable[[dict[str, Any]], None]


class SendOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a request is sent.

    Attributes:
        streamed: With `Accept: text/event-stream`.
        leave_after: Seconds after which the client disconnects; None for never.
        cut_after: Server-sent events after which the client disconnects; None for never.
    """

    streamed: bool = False
    leave_after: float | None = None
    cut_after: int | None = None


PLAIN = SendOptions()


class Sse(msgspec.Struct, frozen=True):
    """A server-sent event."""

    id: int | None
    name: str
    data: Any


class Caller:
    """Sends requests as any user to any service.

    Args:
        tokens: By user.
        answers: Where answers are counted, by kind of request.
    """

    def __init__(
        self, http: aiohttp.ClientSession, tokens: Mapping[int, str], journal: Journal
    ) -> None:
        self._http = http
        self._tokens = tokens
        self._journal = journal

    async def send(
        self,
        request: Request,
        slot: Slot,
        options: SendOptions = PLAIN,
        accepted: Accepted | None = None,
    ) -> Answer:
        """Sends a request once.

        Args:
            accepted: Called with the data of the event `accepted` when it arrives.
        """
        answer = Answer(
            began=self._journal.tick(),
            request_id=self._journal.next_request_id(),
            streamed=options.streamed,
        )
        headers = self._headers(request.user) | {"X-Request-Id": answer.request_id}
        if request.key is not None:
            headers["Idempotency-Key"] = request.key
        if request.if_match is not None:
            headers["If-Match"] = request.if_match
        if options.streamed:
            headers["Accept"] = "text/event-stream"
        work = self._call(
            answer, slot, request.method, request.path, headers, request.body, options, accepted
        )
        await self._guarded(answer, work, options.leave_after, request)
        self._journal.answers[request.kind][answer.summary] += 1
        return answer

    async def resume(
        self, user: int, place: Place, turn: Mapping[str, Any], last_id: int, slot: Slot
    ) -> Answer:
        """Resumes the stream of a turn after the last event that arrived.

        Args:
            turn: Data of the turn's event `accepted`.
        """
        answer = Answer(
            began=self._journal.tick(),
            streamed=True,
            first_id=last_id,
            last_id=last_id,
            number=last_id // RESTARTED,
        )
        path = f"{place.path}/{turn['conversation_id']}/turns/{turn['turn_id']}/stream"
        headers = self._headers(user) | {"Last-Event-ID": str(last_id)}
        work = self._call(answer, slot, "GET", path, headers, None, PLAIN, None)
        await self._guarded(answer, work, None, path)
        self._journal.answers["resume"][answer.summary] += 1
        return answer

    async def look(
        self, user: int, path: str, stream: str, slot: Slot, known: str | None = None
    ) -> Answer:
        """Reads a conversation or an evaluation, and records the answer in the journal.

        Args:
            stream: The name of the dialogue or evaluations in the journal.
            known: An ETag that the client has.
        """
        answer = Answer(began=self._journal.tick())
        headers = self._headers(user) | ({"If-None-Match": known} if known else {})
        work = self._call(answer, slot, "GET", path, headers, None, PLAIN, None)
        await self._guarded(answer, work, None, path)
        self._journal.answers["get"][answer.summary] += 1
        if not answer.lost:
            self._record_read(answer, stream)
        return answer

    def _record_read(self, answer: Answer, stream: str) -> None:
        if answer.code in ("database_unavailable", "service_stopping"):
            return
        if answer.status not in (200, 304):
            raise Violation("a read is answered", f"{stream}: {answer}")
        excerpt = "not changed" if answer.status == 304 else str(answer.body)[-400:]
        self._journal.reads.append(
            Read(
                stream=stream,
                began=answer.began,
                ended=answer.ended,
                digest=canonical(answer.body) if answer.status == 200 else None,
                etag=answer.etag,
                excerpt=excerpt,
            )
        )

    def _headers(self, user: int) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._tokens[user]}"}

    async def _guarded(
        self, answer: Answer, work: Any, leave_after: float | None, what: object
    ) -> None:
        """Waits for the answer, until the client disconnects or the timeout."""
        task = asyncio.ensure_future(work)
        try:
            done, _ = await asyncio.wait({task}, timeout=leave_after or ANSWER_TIMEOUT)
            if done:
                task.result()
            elif leave_after is None:
                raise Violation("every request is answered", f"{what}\n{answer}")
            else:
                answer.lost = "left"
        except (aiohttp.ClientError, ConnectionError) as error:
            answer.lost = type(error).__name__
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        answer.ended = self._journal.tick()

    async def _call(
        self,
        answer: Answer,
        slot: Slot,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Any,
        options: SendOptions,
        accepted: Accepted | None,
    ) -> None:
        async with self._http.request(
            method, slot.url + path, json=body, headers=headers
        ) as response:
            if response.content_type == "text/event-stream":
                await _read_stream(response, answer, options, accepted)
                return
            raw = await response.read()
            answer.body = msgspec.json.decode(raw) if raw else None
            answer.etag = response.headers.get("ETag")
            answer.streamed = False
            answer.status = response.status


async def _read_stream(
    response: aiohttp.ClientResponse,
    answer: Answer,
    options: SendOptions,
    accepted: Accepted | None,
) -> None:
    number = 0
    async for event in _events(response):
        number += 1
        _take(event, answer)
        if event.name == "accepted" and accepted:
            accepted(event.data)
        if event.name in ("done", "error"):
            return
        if number == options.cut_after:
            answer.lost = "cut"
            response.close()
            return
    raise Violation("a stream that ends in order ends with `done` or `error`", answer)


def _take(event: Sse, answer: Answer) -> None:
    if event.name in ("done", "error"):
        expected: tuple[int | None, ...] = (LAST_ID,) if event.name == "done" else (LAST_ID, None)
    elif event.name == "restarted":
        expected = tuple(n * RESTARTED for n in (1, 2) if n * RESTARTED > answer.last_id)
    else:
        expected = (answer.last_id + 1,)
    if event.id not in expected:
        raise Violation(
            "ids of a stream rise by one, and the last has its own", f"{event} {answer}"
        )
    answer.last_id = event.id or answer.last_id
    match event.name:
        case "accepted":
            if event.id != 1:
                raise Violation("`accepted` is the first event", event)
            answer.accepted = event.data
        case "restarted":
            answer.pieces.clear()
            answer.number = (event.id or 0) // RESTARTED
        case "delta":
            answer.pieces.append(event.data["text"])
        case "done":
            answer.status, answer.body = 200, event.data
        case "error":
            answer.status, answer.body = _status_of(event.data), event.data
        case _:
            raise Violation("a stream has only the events of the contract", event)


def _status_of(error: dict[str, Any]) -> int:
    """The status that a plain answer has with this error."""
    if "code" not in error:
        raise Violation("a turn ends with an answer or an error with a code", error)
    return 409 if error["code"] in ("turn_cancelled", "turn_is_over") else 503


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[Sse]:
    fields: dict[str, str] = {}
    async for line in response.content:
        text = line.decode().rstrip("\n")
        if not text:
            if fields:
                data = msgspec.json.decode(fields["data"])
                yield Sse(int(fields["id"]) if "id" in fields else None, fields["event"], data)
            fields = {}
        elif not text.startswith(":"):
            name, _, value = text.partition(": ")
            fields[name] = value
