"""``python -m tests.docs``: regenerates the generated pages of `docs/`."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.docs.cli import cli_page
from tests.docs.dictionary import dictionary_page
from tests.docs.endpoints import endpoints_page
from tests.docs.events import events_page

DOCS = Path(__file__).parents[2] / "docs"
PAGES: Mapping[str, Callable[[], str]] = {
    "cli.md": cli_page,
    "endpoints.md": endpoints_page,
    "events.md": events_page,
}
"""The generators of the pages that need no database."""


async def main() -> None:
    """Writes all pages."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), "utf-8")
    (DOCS / "dictionary.md").write_text(await dictionary_page(), "utf-8")


if __name__ == "__main__":
    asyncio.run(main())
