"""What a machine can check in the documents: links, paths, commands, settings, pages."""

import re
import shlex
from pathlib import Path

import click
import pytest

from service.cli import colloquy
from service.settings import _VARIABLES, Settings
from tests.bench.measuring import BEGIN, END, PAGE
from tests.docs.__main__ import DOCS, PAGES
from tests.docs.markdown import anchors, blocks, codes, links, pages, rows
from tests.running import ROOT

NAMES = ("service/", "eventstore/", "projections/", "sql/", "tests/", "docs/")
OPERATIONS = DOCS / "operations.md"
HINT = "run `make docs`"


def test_each_link_leads_to_a_file_and_a_section() -> None:
    broken = []
    for page in pages():
        for file, anchor in links(page):
            target = (page.parent / file).resolve() if file else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(f"{page.relative_to(ROOT)}: {file}#{anchor}")
    assert not broken


def test_each_named_path_exists() -> None:
    missing = [
        f"{page.relative_to(ROOT)}: {path}"
        for page in pages()
        for path in codes(page)
        if path.startswith(NAMES) and not re.search(r"[\s*<]|NNNN", path)
        if not (ROOT / path).exists()
    ]
    assert not missing


def test_each_page_is_reached_from_the_readme() -> None:
    """Directly: the table of documents is the index."""
    linked = {(ROOT / file).resolve() for file, _ in links(ROOT / "README.md") if file}
    assert {page for page in pages() if page.parent in (ROOT, DOCS)} - linked == {
        ROOT / "README.md"
    }


def test_the_readme_is_short() -> None:
    """Six to eight kilobytes; more belongs to `docs/`."""
    assert 6_000 <= len((ROOT / "README.md").read_bytes()) <= 8_192


@pytest.mark.parametrize("name", PAGES)
def test_each_generated_page_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text("utf-8") == PAGES[name](), HINT


def test_the_benchmarks_find_the_place_of_their_table() -> None:
    text = PAGE.read_text("utf-8")
    assert PAGE.parent == DOCS
    assert (text.count(BEGIN), text.count(END)) == (1, 1)
    assert text.index(BEGIN) < text.index("| what | ours | beside |") < text.index(END)


def test_each_setting_is_described_with_its_default() -> None:
    defaults = {}
    for variables, default, meaning in rows(OPERATIONS, "Settings"):
        assert meaning, variables
        for variable in variables.split(", "):
            defaults[variable.strip("`")] = default
    assert set(defaults) == set(_VARIABLES.values())
    shipped = Settings()
    for field, variable in _VARIABLES.items():
        value = getattr(shipped, field)
        if value is None or value == "":  # its cell explains the default in words
            continue
        text = str(value).lower() if isinstance(value, bool) else f"{value}".removesuffix(".0")
        assert defaults[variable] == f"`{text}`", variable


def test_each_event_of_the_log_to_watch_is_one_that_is_logged() -> None:
    sources = "".join(
        path.read_text("utf-8")
        for folder in ("service", "eventstore", "projections")
        for path in (ROOT / folder).rglob("*.py")
    )
    named = [row[0] for row in rows(OPERATIONS, "What to watch") if len(row) == 2]
    events = [event for cell in named for event in re.findall(r"`(\w+)`", cell)]
    assert events
    assert [event for event in events if f'"{event}"' not in sources] == []


def _commands(page: Path) -> list[str]:
    """Each call of `colloquy` in the blocks for a shell, up to a pipe or a comment."""
    text = "\n".join(blocks(page, "sh")).replace("\\\n", " ")
    text = re.sub(r"\$\((colloquy [^)]*)\)", r"\n\1\n", text)
    calls = re.findall(r"^(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?colloquy ([^#|\n]+)", text, re.MULTILINE)
    return [re.sub(r"  .*", "", call) for call in calls]


def _fault(call: str) -> str | None:
    """The first word of a command line that is no command or option."""
    words = shlex.split(call)
    command: click.Command = colloquy
    context = click.Context(colloquy)
    while isinstance(command, click.Group) and words:
        child = command.get_command(context, words[0])
        if child is None:
            return f"{call}: no {words[0]}"
        command, words = child, words[1:]
    known = {name for parameter in command.params for name in parameter.opts}
    if "psql" in call:
        return None
    wrong = [word for word in words if word.startswith("--") and word not in known]
    return f"{call}: no {wrong[0]}" if wrong else None


def test_each_command_in_an_example_exists() -> None:
    calls = [call for page in pages() if page != DOCS / "cli.md" for call in _commands(page)]
    assert len(calls) > 30
    assert [fault for fault in map(_fault, calls) if fault] == []
