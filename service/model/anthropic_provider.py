"""Anthropic's models, or any endpoint that speaks their protocol.

The only module that imports the SDK, and only inside functions: importing it takes two seconds.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, assert_never

from eventstore.provider_values import label
from eventstore.reply_records import PromptVersion
from service.model import errors
from service.model.errors import Cause, ModelFailure
from service.model.interface import (
    AssessmentRequest,
    ChatMessage,
    EvaluationRequest,
    ReplyRequest,
    Request,
)
from service.model.judgements import ASSESSMENT_SCHEMA, EVALUATION_SCHEMA, Schema
from service.model.prompt_templates import AssessorPrompt, EvaluatorPrompt, TutorPrompt
from service.model.provider_errors import provider_error
from service.model.response import StreamedResponse
from service.model.stream_events import take_event
from service.retry_after import parse_retry_after

if TYPE_CHECKING:
    import anthropic
    from anthropic import AsyncAnthropic, AsyncStream
    from anthropic.types import (
        CacheControlEphemeralParam,
        MessageParam,
        RawMessageStreamEvent,
        TextBlockParam,
    )

CONNECT_SECONDS = 5.0
_PAUSED = "pause_turn"
_MAX_RESUMES = 4
# A local gateway often needs no key, but the SDK refuses to send a request without one.
PLACEHOLDER_KEY = "no-key-set"

_CACHED: "CacheControlEphemeralParam" = {"type": "ephemeral"}

# What the SDK raises, undocumented, where a 200 is not the protocol.
_SDK_ACCIDENTS = (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


class AnthropicModel:
    """The provider's models; each request says which.

    `stall_timeout` is the longest silence in seconds, before the answer and between its bytes.
    `max_connections` requests can be open at once; a further one waits `stall_timeout` for its
    turn. Without a `base_url` a key is needed; with one (a gateway), it may be None.
    """

    def __init__(
        self,
        api_key: str | None,
        base_url: str | None,
        stall_timeout: float,
        max_connections: int,
    ) -> None:
        self._tutor = TutorPrompt()
        self._assessor = AssessorPrompt()
        self._evaluator = EvaluatorPrompt()
        self._api_key = api_key or (PLACEHOLDER_KEY if base_url else None)
        self._base_url = base_url or None
        self._stall_timeout = stall_timeout
        self._max_connections = max_connections
        self._client: AsyncAnthropic | None = None
        self._connecting = asyncio.Lock()

    def prompt(self, request: Request) -> PromptVersion:
        """The template for this kind of request."""
        match request:
            case ReplyRequest():
                return self._tutor.version
            case AssessmentRequest():
                return self._assessor.version
            case EvaluationRequest():
                return self._evaluator.version
            case _:
                assert_never(request)

    async def warm_up(self) -> None:
        """Import the SDK and make the client in a thread; raises `ModelFailure` without a key."""
        await self._connected()

    async def answer(self, request: Request, response: StreamedResponse, budget: float) -> None:
        """Stream one answer; see `Model.answer`."""
        try:
            async with asyncio.timeout(budget) as limit:
                await self._whole(await self._connected(), request, response)
        except TimeoutError:
            if not limit.expired():
                raise
            late = Cause(errors.MODEL_TIMEOUT, f"no whole answer within {budget:g} s")
            raise response.failure(late) from None
        response.reply()  # raises where the answer is cut short, refused or blank

    async def close(self) -> None:
        """Close the client's connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _connected(self) -> "AsyncAnthropic":
        async with self._connecting:
            if self._client is None:
                self._client = await asyncio.to_thread(self._connect)
            return self._client

    def _connect(self) -> "AsyncAnthropic":
        import anthropic
        import httpx2

        if self._api_key is None:
            raise _misconfigured("neither a key nor a base URL is set")
        if not self._api_key.isprintable():
            raise _misconfigured("the key holds what no header can")
        limits = httpx2.Limits(
            max_connections=self._max_connections, max_keepalive_connections=self._max_connections
        )
        try:
            client = anthropic.AsyncAnthropic(
                api_key=self._api_key,
                base_url=self._base_url,
                max_retries=0,
                timeout=httpx2.Timeout(self._stall_timeout, connect=CONNECT_SECONDS),
                # Costs half the time of the SDK's usual client, and needs nothing further.
                http_client=anthropic.DefaultAioHttpClient(limits=limits),
            )
        except httpx2.InvalidURL:
            raise _misconfigured("the base URL is not a URL") from None
        _ = client.messages  # the SDK imports its resources at first touch: here, not on the loop
        return client

    async def _whole(
        self, client: "AsyncAnthropic", request: Request, response: StreamedResponse
    ) -> None:
        """Streams an answer; a model that pauses is asked to go on."""
        asked = self._question(request)
        await self._stream(client, request, response, asked)
        for _ in range(_MAX_RESUMES):
            if response.stop_reason != _PAUSED:
                return
            response.resume()
            said: MessageParam = {"role": "assistant", "content": response.text.rstrip()}
            messages = [*asked.messages, said] if said["content"] else asked.messages
            await self._stream(client, request, response, asked._replace(messages=messages))

    async def _stream(
        self,
        client: "AsyncAnthropic",
        request: Request,
        response: StreamedResponse,
        asked: "_Question",
    ) -> None:
        import anthropic
        import httpx2

        try:
            with _held_to_the_protocol():
                stream = await client.messages.create(
                    stream=True,
                    model=response.model_requested,
                    max_tokens=request.max_tokens,
                    system=[_text(asked.system, cached=True)],
                    messages=asked.messages,
                    # Marks the last block. A judgement's is its question, which nobody asks again.
                    cache_control=_CACHED if asked.schema is None else anthropic.omit,
                    output_config=anthropic.omit
                    if asked.schema is None
                    else {"format": {"type": "json_schema", "schema": asked.schema}},
                )
            async with stream:
                response.provider_request_id = label(stream.response.headers.get("request-id"))
                while (text := await _next_text(stream, response)) is not None:
                    response.add(text)
        except (anthropic.APIError, httpx2.HTTPError, _NotTheProtocolError) as error:
            if isinstance(error, anthropic.APIStatusError):
                request_id = label(error.request_id)
                response.provider_request_id = request_id or response.provider_request_id
            # `from None`: their messages may quote the learner's text or the key.
            raise response.failure(_cause_of(error)) from None

    def _question(self, request: Request) -> "_Question":
        scenario = request.scenario
        match request:
            case ReplyRequest():
                return _Question(self._tutor.render(scenario), _alternating(request.messages), None)
            case AssessmentRequest():
                asked = self._assessor.transcript(request), self._assessor.question(request)
                return _Question(
                    self._assessor.render(scenario), _for_a_judge(*asked), ASSESSMENT_SCHEMA
                )
            case EvaluationRequest():
                asked = self._evaluator.transcript(request), self._evaluator.question(request)
                return _Question(
                    self._evaluator.render(scenario), _for_a_judge(*asked), EVALUATION_SCHEMA
                )
            case _:
                assert_never(request)


class _Question(NamedTuple):
    """The parts of a request that differ by kind. From turn to turn only its end changes."""

    system: str
    messages: "list[MessageParam]"
    schema: Schema | None


def _alternating(messages: tuple[ChatMessage, ...]) -> "list[MessageParam]":
    """The messages, with those of one role that follow one another joined."""
    return [
        {"role": role, "content": "\n\n".join(message.text for message in several)}
        for role, several in groupby(messages, key=lambda message: message.role)
    ]


def _for_a_judge(transcript: tuple[str, ...], question: str) -> "list[MessageParam]":
    *earlier, newest = transcript
    blocks = [_text(text) for text in earlier]
    blocks += [_text(newest, cached=True), _text(question)]
    return [{"role": "user", "content": blocks}]


def _text(text: str, cached: bool = False) -> "TextBlockParam":
    if cached:
        return {"type": "text", "text": text, "cache_control": _CACHED}
    return {"type": "text", "text": text}


class _NotTheProtocolError(Exception):
    """An answer with status 200 that is not a stream of a message."""


@contextmanager
def _held_to_the_protocol() -> Iterator[None]:
    try:
        yield
    except _SDK_ACCIDENTS as error:
        raise _NotTheProtocolError(type(error).__name__) from None


async def _next_text(
    stream: "AsyncStream[RawMessageStreamEvent]", response: StreamedResponse
) -> str | None:
    """Takes the next event into `response`; returns its text, often empty, or None at the end."""
    with _held_to_the_protocol():
        event = await anext(stream, None)
        return None if event is None else take_event(event, response)


def _misconfigured(detail: str) -> ModelFailure:
    return ModelFailure(errors.MODEL_MISCONFIGURED, retryable=False, detail=detail)


def _cause_of(error: Exception) -> Cause:
    import anthropic
    import httpx2

    names = " < ".join(type(e).__name__ for e in (error, error.__cause__) if e is not None)
    match error:
        case anthropic.APIStatusError():
            return _cause_of_status(error)
        case anthropic.APIConnectionError():
            return Cause(_code_of_connection(error.__cause__), names)
        case httpx2.TimeoutException():
            return Cause(errors.MODEL_TIMEOUT, names)
        case _:
            return Cause(errors.MODEL_INTERRUPTED, names)


def _cause_of_status(error: "anthropic.APIStatusError") -> Cause:
    told = provider_error(error.status_code, error.body)
    headers = error.response.headers
    return Cause(
        errors.code_of_status(told.status, told.kind),
        f"HTTP {error.status_code} {told.kind or 'without a type'}"
        + (f": {told.words}" if told.words else ""),
        parse_retry_after(headers.get("retry-after"), headers.get("date")),
    )


def _code_of_connection(cause: BaseException | None) -> str:
    import httpx2

    match cause:
        case httpx2.UnsupportedProtocol() | httpx2.LocalProtocolError() | httpx2.TooManyRedirects():
            return errors.MODEL_MISCONFIGURED  # a wrong base URL, or a key with a line break in it
        case httpx2.ReadTimeout() | httpx2.WriteTimeout():
            return errors.MODEL_TIMEOUT
        case _:
            return errors.MODEL_UNAVAILABLE
