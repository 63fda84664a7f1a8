"""Sections, links and code of Markdown pages."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.running import ROOT

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_NO_PAGES = {"service", "node_modules", ".venv", ".git"}


def pages() -> list[Path]:
    """All pages of the documentation, without the prompts below `service/`."""
    paths = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "tests").rglob("*.md")]
    return sorted(path for path in paths if not _NO_PAGES & set(path.relative_to(ROOT).parts))


def prose(path: Path) -> str:
    """A page without its blocks of code."""
    return _FENCE.sub("", path.read_text("utf-8"))


def blocks(path: Path, language: str) -> list[str]:
    """The blocks of code in a language."""
    return [code for name, code in _FENCE.findall(path.read_text("utf-8")) if name == language]


def links(path: Path) -> Iterator[tuple[str, str]]:
    """File and anchor of each link within the project; the file is empty for the same page."""
    for target in _LINK.findall(_CODE.sub("", prose(path))):
        if not target.startswith(("https://", "http://")):
            file, _, anchor = target.partition("#")
            yield file, anchor


def anchors(path: Path) -> set[str]:
    """What can stand behind the `#` of a link to the page."""
    found: set[str] = set()
    for heading in _HEADING.findall(prose(path)):
        plain = re.sub(r"[^\w\- ]", "", _LINK.sub("", heading).lower()).replace(" ", "-")
        number, anchor = 0, plain
        while anchor in found:
            number += 1
            anchor = f"{plain}-{number}"
        found.add(anchor)
    return found


def codes(path: Path) -> list[str]:
    """What stands between backquotes in the prose."""
    return _CODE.findall(prose(path))


def rows(path: Path, section: str) -> list[list[str]]:
    """The cells of the rows of all tables in a section, without their heads."""
    text = path.read_text("utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    marks = [number for number, line in enumerate(lines) if line.startswith("|---")]
    heads = {number - offset for number in marks for offset in (0, 1)}
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for n, line in enumerate(lines) if n not in heads]
    return [[cell.strip() for cell in row] for row in cells]
