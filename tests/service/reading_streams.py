"""Learners who ask, and read turns as server-sent events: strictly, as the contract has them."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any

import aiohttp
import msgspec

from eventstore.envelope import RecordedEvent
from service.conversations.turn_stream import LAST_ID
from tests.fake_anthropic import FakeAnthropic, Stall
from tests.running import CONVERSATIONS, LEARNER, Service, messages_of
from tests.service.histories import types_of

SSE = {"Accept": "text/event-stream"}
ENDINGS = ("done", "error")
RESTARTED = 1_000_000
"""Id of `restarted` when another process has taken the turn over for the first time."""

_EVENT = re.compile(
    rb"(?:id: ([1-9]\d*)\n)?event: (accepted|restarted|delta|done|error)\ndata: ([^\r\n]+)\n\n"
)
_COMMENT = re.compile(rb": [^\r\n]*\n\n")
_PATIENCE = 15.0


class StreamEvent(msgspec.Struct, frozen=True):
    """One event; `raw` are its bytes as they came. `id` is None where the turn goes on."""

    id: int | None
    name: str
    data: Any
    raw: bytes


class TurnStream:
    """The events of one turn, in the order in which they must come.

    Args:
        chunks: The bytes of the answer.
        first: Id of the first one, None for any.

    `comments` counts the comment lines that have come.
    """

    def __init__(self, chunks: AsyncIterator[bytes], first: int | None = 1) -> None:
        self.events: list[StreamEvent] = []
        self.comments = 0
        self._chunks = chunks
        self._first = first
        self._left = b""
        self._given = 0

    async def next(self) -> StreamEvent:
        """The next event, which must come."""
        while self._given == len(self.events):
            assert await self._more(), f"the stream ended after {self.events[-1:]}"
        self._given += 1
        return self.events[self._given - 1]

    async def rest(self) -> list[StreamEvent]:
        """All events, from the first that came to the last, which must be an end."""
        while await self._more():
            pass
        assert not self._left, f"the stream broke off at {self._left!r}"
        assert self.events, "the stream is empty"
        assert self.events[-1].name in ENDINGS, self.events[-1]
        self._given = len(self.events)
        return self.events

    async def comment(self, count: int) -> None:
        """Waits until so many comments have come."""
        while self.comments < count:
            assert await self._more(), "the stream ended"

    async def _more(self) -> bool:
        async with asyncio.timeout(_PATIENCE):
            chunk = await anext(self._chunks, b"")
        self._left += chunk
        while self._take():
            pass
        return bool(chunk)

    def _take(self) -> bool:
        if comment := _COMMENT.match(self._left):
            self._left = self._left[comment.end() :]
            self.comments += 1
            return True
        frame, end, left = self._left.partition(b"\n\n")
        if not end:
            return False
        self._left = left
        self._add(frame + end)
        return True

    def _add(self, raw: bytes) -> None:
        match = _EVENT.fullmatch(raw)
        assert match, f"not an event: {raw!r}"
        number = int(match[1]) if match[1] else None
        event = StreamEvent(number, match[2].decode(), msgspec.json.decode(match[3]), raw)
        assert event.id in self._due(event), event
        assert (event.name == "accepted") == (event.id == 1), event
        assert not self.events or self.events[-1].name not in ENDINGS, f"after the end: {event}"
        self.events.append(event)

    def _due(self, event: StreamEvent) -> tuple[int | None, ...]:
        """The ids that the event may have."""
        if event.name == "done":
            return (LAST_ID,)
        if event.name == "error":
            return (LAST_ID, None)
        if event.name == "restarted":
            return (RESTARTED, 2 * RESTARTED)
        before = self.events[-1].id if self.events else None
        due = self._first if before is None else before + 1
        return (event.id if due is None else due,)


@asynccontextmanager
async def reading(
    service: Service,
    method: str,
    path: str,
    *,
    user: int = LEARNER,
    after: int | str | None = None,
    first: int | None = 1,
    headers: dict[str, str] | None = None,
    **options: Any,
) -> AsyncIterator[tuple[aiohttp.ClientResponse, TurnStream]]:
    """A stream as it comes, over a connection of its own, which ends with the context.

    Args:
        after: The `Last-Event-ID`; ids must go on after it where it is a number.
        first: The first id, where `after` is not a number; None for any.
    """
    resumed = {} if after is None else {"Last-Event-ID": str(after)}
    token = {"Authorization": f"Bearer {service.tokens[str(user)]}"}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http,
        http.request(
            method,
            service.url + path,
            headers={**SSE, **token, **resumed, **(headers or {})},
            **options,
        ) as response,
    ):
        assert response.status == 200, (response.status, await response.text())
        assert response.content_type == "text/event-stream"
        first = after + 1 if isinstance(after, int) else first
        yield response, TurnStream(response.content.iter_any(), first)


async def read_stream(
    service: Service, method: str, path: str, **options: Any
) -> list[StreamEvent]:
    """All events of a stream, read to its end."""
    async with reading(service, method, path, **options) as (_, stream):
        return await stream.rest()


def turn_path(conversation_id: object, turn_id: str, what: str) -> str:
    """The path under which a turn is read along (`stream`) or stopped (`cancel`)."""
    return f"{CONVERSATIONS}/{conversation_id}/turns/{turn_id}/{what}"


def stream_of(accepted: StreamEvent) -> str:
    """The path under which the stream of this first event is taken up again."""
    return turn_path(accepted.data["conversation_id"], accepted.data["turn_id"], "stream")


def pieces_of(events: Iterable[StreamEvent]) -> list[str]:
    """The pieces of the reply, as they came."""
    return [event.data["text"] for event in events if event.name == "delta"]


def bytes_of(events: Iterable[StreamEvent]) -> bytes:
    """The events' bytes, without comments between them."""
    return b"".join(event.raw for event in events)


Reading = AbstractAsyncContextManager[tuple[aiohttp.ClientResponse, TurnStream]]


class Talk:
    """A learner with a conversation, who asks for a reply in it or for a new one."""

    def __init__(self, service: Service, learner: int, conversation: Any, opening: bool) -> None:
        self.service = service
        self.learner = learner
        self.conversation = conversation
        self.opening = opening
        self.options: dict[str, Any] = {
            "user": learner,
            "json": {} if opening else {"message": "Why?"},
        }

    @property
    def question(self) -> tuple[str, str]:
        """Method and path that begin the turn; `options` are the rest of the request."""
        return "POST", CONVERSATIONS if self.opening else messages_of(self.conversation["id"])

    def ask(self) -> "Reading":
        """The turn's stream from its question on."""
        return reading(self.service, *self.question, **self.options)

    def take_up(self, accepted: StreamEvent, after: int | str | None = None) -> "Reading":
        """The turn's stream again, after an event."""
        return reading(self.service, "GET", stream_of(accepted), user=self.learner, after=after)

    def at(self, service: Service) -> "Talk":
        """The same at another process."""
        return Talk(service, self.learner, self.conversation, self.opening)

    async def read(self) -> list[StreamEvent]:
        """A whole turn."""
        return await read_stream(self.service, *self.question, **self.options)

    async def events(self, after: int = 0) -> list[RecordedEvent]:
        """The learner's dialogue above a position, but for judging beside it."""
        log = await self.service.history(after)
        own = [event for event in log if event.stream == f"dialogue-1-{self.learner}"]
        beside = ("objectives_assessed", "assessment_failed")
        return [event for event in own if types_of([event])[0] not in beside]

    async def is_last(self, kind: str) -> bool:
        """The learner's last event is of this type."""
        return types_of(await self.events())[-1] == kind


async def talk_of(service: Service, opening: bool = False) -> Talk:
    """A new learner who has a conversation."""
    learner = await service.enroll()
    return Talk(service, learner, await service.open(learner), opening)


@contextmanager
def provider_stalls(fake: FakeAnthropic, behaviour: Stall) -> Iterator[None]:
    """The next reply stalls, until the test says so or the context ends."""
    fake.script(behaviour)
    try:
        yield
    finally:
        fake.release()
