"""``python -m tests.bench [NAME…]``: runs the benchmarks and prints one table of ratios."""

import sys

from service.server import run
from tests.bench.appending import bench_append
from tests.bench.measuring import Row, benchmark_server, print_table

BENCHMARKS = {"append": bench_append}


def main() -> None:
    chosen = sys.argv[1:] or list(BENCHMARKS)
    rows: list[Row] = []
    with benchmark_server() as url:
        for name in chosen:
            print(f"… {name}", file=sys.stderr, flush=True)
            rows += run(BENCHMARKS[name](url))
    print_table(rows)


main()
