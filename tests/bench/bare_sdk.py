"""A bare loop of the SDK's calls, as the service makes them; a process of its own for benchmarks.

Reads [base URL, calls one by one, tasks at once, calls of each task] as JSON from standard
input; writes the milliseconds to the first words of the former and the calls a second of the
latter.
"""

import asyncio
import json
import sys
import time
from typing import Any

from anthropic import AsyncAnthropic, DefaultAioHttpClient

_CONVERSATION: list[Any] = [
    {"role": role, "content": "I think that the Moon pulls the near side more strongly. " * 3}
    for role in ("user", "assistant") * 3
] + [{"role": "user", "content": "And the far side?"}]
_SYSTEM: list[Any] = [
    {"type": "text", "text": "Ask. " * 1500, "cache_control": {"type": "ephemeral"}}
]


async def _call(client: AsyncAnthropic) -> float:
    began = time.perf_counter()
    first = 0.0
    async with client.messages.stream(
        model="claude-haiku-5-5",
        max_tokens=1024,
        system=_SYSTEM,
        messages=_CONVERSATION,
        cache_control={"type": "ephemeral"},
    ) as stream:
        async for event in stream:
            if event.type == "text" and not first:
                first = (time.perf_counter() - began) * 1000
    return first


async def _main() -> None:
    url, alone, tasks, each = json.load(sys.stdin)
    async with AsyncAnthropic(
        api_key="none", base_url=url, max_retries=0, http_client=DefaultAioHttpClient()
    ) as client:
        await _call(client)
        times = [await _call(client) for _ in range(alone)]

        async def work() -> None:
            for _ in range(each):
                await _call(client)

        await asyncio.gather(*(work() for _ in range(tasks)))  # connections are made here
        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(tasks)))
        took = time.perf_counter() - began
    print(json.dumps([times, tasks * each / took]))


if __name__ == "__main__":
    from service.process.event_loop import run

    run(_main())
