"""The event loop that the service and its commands run on."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on uvloop, or on asyncio's loop where there is no uvloop."""
    try:
        from uvloop import new_event_loop
    except ImportError:  # on Windows
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)
