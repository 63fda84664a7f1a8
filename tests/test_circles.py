"""No file imports, by whatever way, one that imports it."""

from graphlib import CycleError, TopologicalSorter

import grimp

PACKAGES = ("service", "eventstore", "projections", "sql")


def test_there_is_no_circle_between_files() -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        raise AssertionError(" imports ".join(reversed(error.args[1]))) from None
