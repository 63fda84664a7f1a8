"""Rebuilds all followed projections in a process of its own.

It does so once and fast, or gently and repeatedly until its standard input is closed. It writes
its seconds and its peak memory before and after as JSON.
"""

import json
import os
import resource
import select
import sys
import time

from projections.definitions import definitions
from projections.parallel_build import FAST, GENTLE
from projections.rebuild import rebuild_all
from service.process.event_loop import run

AGAIN = "again"


async def _rebuild(url: str, jobs: int) -> float:
    followed = [known for known in definitions().values() if known.mode == "followed"]
    began = time.perf_counter()
    async for _ in rebuild_all(url, followed, jobs=jobs):
        pass
    return time.perf_counter() - began


def _peak() -> float:
    """The peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _is_input_open() -> bool:
    """Whether the standard input is still open."""
    return AGAIN in sys.argv and not select.select([sys.stdin], [], [], 0)[0]


def _main() -> None:
    jobs = GENTLE if AGAIN in sys.argv else FAST
    while True:
        before = _peak()
        seconds = run(_rebuild(os.environ["DATABASE_URL"], jobs))
        print(json.dumps({"seconds": seconds, "before": before, "peak": _peak()}), flush=True)
        if not _is_input_open():
            break


if __name__ == "__main__":
    _main()
