"""Folders of user-defined projections."""

from pathlib import Path

from projections.definitions import Definition
from projections.user_defined import UserDefinedProjection, user_defined_projections, write_template

NAME = "hourly"


def started(folder: Path, name: str = NAME) -> Path:
    """The folder of the template."""
    write_template(folder, name)
    return folder / name


def changed(folder: Path, file: str, before: str, after: str) -> None:
    """Replaces a text in a file, which must contain it."""
    path = folder / file
    text = path.read_text()
    assert before in text, f"{before!r} is not in {file}"
    path.write_text(text.replace(before, after))


def read(folder: Path) -> UserDefinedProjection:
    """The projection in a folder."""
    return user_defined_projections(folder.parent)[folder.name]


def definition_in(folder: Path) -> Definition:
    """The definition in a projection's folder."""
    return read(folder).readable()
