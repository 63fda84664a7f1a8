"""Migrations, stored examples of events and prompts stay as they landed: databases hold them."""

import hashlib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LANDED = ROOT / "tests" / "landed.sha256"
KEPT = ("sql/migrations/*.sql", "tests/eventstore/golden/*.json", "service/model/prompts/*.md")


def test_each_kept_file_is_as_it_landed_and_each_landed_file_is_kept() -> None:
    """A new file adds its line, as `sha256sum` writes it; no line is ever changed."""
    present = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(ROOT)}"
        for pattern in KEPT
        for path in ROOT.glob(pattern)
    ]
    assert sorted(present) == sorted(LANDED.read_text("utf-8").splitlines())
