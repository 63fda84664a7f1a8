"""Loads SQL texts by name, so that no other module contains SQL."""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import msgspec

_ROOT = files("sql")
_REPLAYED = re.compile(
    r"\bread\.(active_conversations|conversations|conversation_messages|message_feedback)\b"
)


class Migration(msgspec.Struct, frozen=True):
    """One numbered, forward-only change of the schema."""

    number: int
    name: str
    text: str


class ProjectionFiles(msgspec.Struct, frozen=True):
    """The files of one projection, in ``sql/projections/<name>``."""

    name: str
    settings: dict[str, Any]
    tables: str
    statements: tuple[str, ...]


@cache
def query(name: str) -> str:
    """The statement in ``sql/queries/<area>/<name>.sql``; names are unique over all areas.

    Raises:
        FileNotFoundError: There is no such statement.
    """
    for area in (_ROOT / "queries").iterdir():
        path = area / f"{name}.sql"
        if path.is_file():
            return path.read_text("utf-8")
    raise FileNotFoundError(f"there is no query {name}")


@cache
def in_replay(statement: str) -> str:
    """The statement over the temporary views of `replay_conversation_v1`."""
    return _REPLAYED.sub(r"pg_temp.\1", statement)


def migrations() -> list[Migration]:
    """All migrations in the order of their numbers, which are consecutive from 1."""
    ordered = [
        Migration(int(path.name[:4]), path.name.removesuffix(".sql"), path.read_text("utf-8"))
        for path in _sql_files(_ROOT / "migrations")
    ]
    assert [m.number for m in ordered] == list(range(1, len(ordered) + 1))
    return ordered


@cache
def rights() -> tuple[str, ...]:
    """The statements of ``sql/rights.sql``."""
    lines = (_ROOT / "rights.sql").read_text("utf-8").splitlines()
    return tuple(line for line in lines if not line.startswith("--"))


def projections() -> list[ProjectionFiles]:
    """All projections, by name."""
    folders = sorted((_ROOT / "projections").iterdir(), key=lambda folder: folder.name)
    return [_projection(folder) for folder in folders if folder.is_dir()]


def template(name: str) -> dict[str, str]:
    """The files of a template for user-defined projections, by file name.

    Args:
        name: Of the projection and its table.
    """
    paths = (_ROOT / "templates" / "projection").iterdir()
    return {path.name: path.read_text("utf-8").replace("NAME", name) for path in paths}


def _projection(folder: Traversable) -> ProjectionFiles:
    return ProjectionFiles(
        name=folder.name,
        settings=tomllib.loads((folder / "projection.toml").read_text("utf-8")),
        tables=(folder / "tables.sql").read_text("utf-8"),
        statements=tuple(
            path.read_text("utf-8") for path in _sql_files(folder) if path.name != "tables.sql"
        ),
    )


def _sql_files(folder: Traversable) -> Iterator[Traversable]:
    paths = (path for path in folder.iterdir() if path.name.endswith(".sql"))
    return iter(sorted(paths, key=lambda path: path.name))
