"""What the tree promises of its imports, beside the contracts of layers."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ("dialogue", "turns", "model", "identity", "evaluations/evaluations.py", "access_log.py")


def modules(part: str) -> list[Path]:
    place = ROOT / "service" / part
    found = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    assert found
    return found


def imported(path: Path) -> set[str]:
    """The dotted names that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("part", CORE)
def test_the_core_knows_nothing_of_the_web_framework(part: str) -> None:
    """Fetching key sets is a client's work, which aiohttp does as well."""
    for path in modules(part):
        framework = {name for name in imported(path) if name.startswith("aiohttp.web")}
        assert not framework, path


def test_reading_the_log_loads_no_web_framework() -> None:
    """Loading it takes longer than reading the log."""
    module = "service.cli.log_commands"
    done = subprocess.run(
        (sys.executable, "-c", f"import sys, {module}; print('aiohttp' in sys.modules)"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
