"""``DATABASE_URL=… python -m tests.bench.term [EVENTS [COURSES]]``: writes a term."""

import os
import sys

from service.cli.progress import progress_bar
from service.process.event_loop import run
from tests.bench.term import Term, write_term

if __name__ == "__main__":
    sizes = dict(zip(("events", "courses"), map(int, sys.argv[1:]), strict=False))
    run(write_term(os.environ["DATABASE_URL"], Term(**sizes), progress_bar("Writing a term")))
