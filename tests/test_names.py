"""Every public class and every module has a name of its own, whatever its package."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("service", "eventstore", "projections", "sql")
SHARED_MODULES = {
    *("__init__", "__main__", "errors", "endpoints", "handlers", "bodies", "answers", "app_keys"),
}
"""Each feature may have one of these."""


def sources() -> Iterator[Path]:
    return (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def doubles(places: dict[str, list[Path]]) -> dict[str, list[str]]:
    return {
        name: [str(path.relative_to(ROOT)) for path in paths]
        for name, paths in places.items()
        if len(paths) > 1
    }


def test_no_two_public_classes_have_one_name() -> None:
    places = defaultdict(list)
    for path in sources():
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(path)
    assert len(places) > 300
    assert doubles(places) == {}


def test_no_two_modules_have_one_name() -> None:
    places = defaultdict(list)
    for path in sources():
        if path.stem not in SHARED_MODULES:
            places[path.stem].append(path)
    assert len(places) > 200
    assert doubles(places) == {}
