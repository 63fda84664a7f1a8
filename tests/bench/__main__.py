"""``python -m tests.bench [NAME…]``: runs the benchmarks and prints one table of ratios.

With ``--write`` all of them are run, and the table goes into `docs/benchmarks.md`.
"""

import sys
from collections.abc import Awaitable, Callable

from service.process.event_loop import run
from tests.bench.analysing import bench_analytics
from tests.bench.appending import bench_append
from tests.bench.auditing import bench_audit
from tests.bench.counting import bench_rows
from tests.bench.measuring import SCALE, Row, benchmark_server, commit, table, write_table
from tests.bench.posting import bench_post
from tests.bench.reading import bench_get
from tests.bench.rebuilding import bench_rebuild
from tests.bench.sealing import bench_seal
from tests.bench.starting import bench_start
from tests.bench.streaming import bench_stream

BENCHMARKS: dict[str, Callable[[str], Awaitable[list[Row]]]] = {
    "rows": bench_rows,
    "append": bench_append,
    "get": bench_get,
    "post": bench_post,
    "stream": bench_stream,
    "rebuild": bench_rebuild,
    "seal": bench_seal,
    "start": bench_start,
    "audit": bench_audit,
    "analytics": bench_analytics,
}


async def _run(name: str, url: str) -> list[Row]:
    return await BENCHMARKS[name](url)


def main() -> None:
    write = sys.argv[1:] == ["--write"]
    if write and SCALE != 1:
        sys.exit("figures of the page are measured at full scale: unset COLLOQUY_BENCH_SCALE")
    if write and commit().endswith("+"):
        sys.exit("commit first: the page names the commit that its figures are of")
    chosen = list(BENCHMARKS) if write else sys.argv[1:] or list(BENCHMARKS)
    unknown = set(chosen) - set(BENCHMARKS)
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    rows: list[Row] = []
    with benchmark_server() as url:
        for name in chosen:
            print(f"… {name}", file=sys.stderr, flush=True)
            rows += run(_run(name, url))
    print(table(rows))
    if write:
        write_table(rows)


if __name__ == "__main__":
    main()
