"""Anthropic's models, or any endpoint that speaks their protocol.

The only module that imports the SDK, and only inside functions: importing it takes two seconds.
"""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from eventstore.events import Usage
from service.model import errors
from service.model.arrival import Arrival
from service.model.errors import Cause, ModelFailure
from service.model.interface import ChatMessage, OnDelta, Reply, ReplyRequest
from service.model.prompts import TutorPrompt

if TYPE_CHECKING:
    import anthropic
    from anthropic import AsyncAnthropic
    from anthropic.lib.streaming import AsyncMessageStream, ParsedMessageStreamEvent
    from anthropic.types import Message, MessageParam

CONNECT_SECONDS = 5.0
# A local gateway often needs no key, but the SDK refuses to send a request without one.
PLACEHOLDER_KEY = "no-key-set"

# What the SDK's accumulation raises, undocumented, where a 200 is not the protocol.
_SDK_ACCIDENTS = (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


class AnthropicModel:
    """One model of the provider.

    `stall_timeout` is the longest silence in seconds, before the answer and between its bytes.
    Without a `base_url` a key is needed; with one (a gateway), it may be None.
    """

    def __init__(
        self, model: str, api_key: str | None, base_url: str | None, stall_timeout: float
    ) -> None:
        self.name = model
        self._template = TutorPrompt()
        self.prompt = self._template.version
        self._api_key = api_key or (PLACEHOLDER_KEY if base_url else None)
        self._base_url = base_url or None
        self._stall_timeout = stall_timeout
        self._client: AsyncAnthropic | None = None
        self._connecting = asyncio.Lock()

    async def warm_up(self) -> None:
        """Import the SDK and make the client in a thread; raises `ModelFailure` without a key."""
        await self._connected()

    async def reply(self, request: ReplyRequest, on_delta: OnDelta | None = None) -> Reply:
        """Stream one reply; see `Model.reply`."""
        arrival = Arrival(request.model, on_delta)
        try:
            async with asyncio.timeout(request.budget):
                await self._stream(await self._connected(), request, arrival)
        except TimeoutError:
            late = Cause(errors.MODEL_TIMEOUT, f"no whole reply within {request.budget:g} s")
            raise arrival.failure(late) from None
        return arrival.reply()

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
        try:
            client = anthropic.AsyncAnthropic(
                api_key=self._api_key,
                base_url=self._base_url,
                max_retries=0,
                timeout=httpx2.Timeout(self._stall_timeout, connect=CONNECT_SECONDS),
            )
        except httpx2.InvalidURL:
            raise _misconfigured("the base URL is not a URL") from None
        _ = client.messages  # the SDK imports its resources at first touch: here, not on the loop
        return client

    async def _stream(
        self, client: "AsyncAnthropic", request: ReplyRequest, arrival: Arrival
    ) -> None:
        import anthropic
        import httpx2

        try:
            async with client.messages.stream(
                model=request.model,
                max_tokens=request.max_tokens,
                system=self._template.render(request.scenario),
                messages=[_param(message) for message in request.messages],
                cache_control={"type": "ephemeral"},
            ) as stream:
                arrival.provider_request_id = stream.request_id
                while (event := await _next_event(stream)) is not None:
                    _take(event, stream, arrival)
        except (anthropic.APIError, httpx2.HTTPError, _NotTheProtocolError) as error:
            # `from None`: their messages may quote the learner's text or the key.
            raise arrival.failure(_cause_of(error)) from None


def _param(message: ChatMessage) -> "MessageParam":
    if message.role == "user":
        return {"role": "user", "content": message.text}
    return {"role": "assistant", "content": message.text}


class _NotTheProtocolError(Exception):
    """An answer with status 200 that is not a stream of a message."""


async def _next_event(
    stream: "AsyncMessageStream[None]",
) -> "ParsedMessageStreamEvent[None] | None":
    try:
        return await anext(stream, None)
    except _SDK_ACCIDENTS as error:
        raise _NotTheProtocolError(type(error).__name__) from None


def _take(
    event: "ParsedMessageStreamEvent[None]", stream: "AsyncMessageStream[None]", arrival: Arrival
) -> None:
    if event.type == "text":
        arrival.add(event.text)
    elif event.type == "content_block_start":
        if event.content_block.type == "text":
            arrival.add(event.content_block.text)
    elif event.type in ("message_start", "message_delta"):
        _note(stream.current_message_snapshot, arrival)


def _note(message: "Message", arrival: Arrival) -> None:
    # The SDK does not validate, so a gateway's omissions surface as None in spite of the types.
    arrival.model = message.model or arrival.model
    arrival.stop_reason = message.stop_reason
    if message.stop_details is not None:
        arrival.refusal_category = message.stop_details.category
    if message.usage is not None:
        arrival.usage = Usage(
            input_tokens=message.usage.input_tokens or 0,
            output_tokens=message.usage.output_tokens or 0,
            cache_creation_input_tokens=message.usage.cache_creation_input_tokens or 0,
            cache_read_input_tokens=message.usage.cache_read_input_tokens or 0,
        )


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
    pause = error.response.headers.get("retry-after")
    return Cause(
        errors.code_of_status(error.status_code, error.type),
        f"HTTP {error.status_code} {str(error.type)[:40]}",
        errors.parse_retry_after(pause, datetime.now(UTC)),
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
