"""Rebuilds all followed projections in a process of its own.

It does so once and fast, or gently again and again until nobody holds its standard input any
more. It writes how many seconds it took and the most memory it had, before and after, as JSON.
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
    """The most memory that this process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _is_wanted() -> bool:
    """Whether somebody holds the standard input."""
    return AGAIN in sys.argv and not select.select([sys.stdin], [], [], 0)[0]


def _main() -> None:
    jobs = GENTLE if AGAIN in sys.argv else FAST
    while True:
        before = _peak()
        seconds = run(_rebuild(os.environ["DATABASE_URL"], jobs))
        print(json.dumps({"seconds": seconds, "before": before, "peak": _peak()}), flush=True)
        if not _is_wanted():
            break


if __name__ == "__main__":
    _main()
