"""No file imports, by whatever way, one that imports it."""

from graphlib import CycleError, TopologicalSorter

import grimp

PACKAGES = ("service", "eventstore", "projections", "sql")

KNOWN = {("service.analytics.table_files.writers", "service.analytics.table_files.parquet")}
"""Imports, from and to, that are to go: each closes a circle today. This list only shrinks."""


def test_there_is_no_circle_between_files() -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    stale = {(start, end) for start, end in KNOWN if end not in imports.get(start, set())}
    assert stale == set(), "remove what is mended from the list"
    kept = {
        module: {end for end in ends if (module, end) not in KNOWN}
        for module, ends in imports.items()
    }
    try:
        TopologicalSorter(kept).prepare()
    except CycleError as error:
        raise AssertionError(" imports ".join(reversed(error.args[1]))) from None
