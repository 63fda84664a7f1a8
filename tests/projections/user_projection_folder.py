"""Projections as users write them, in a folder."""

from pathlib import Path

from projections.definitions import Definition
from projections.user_defined import UserDefinedProjection, user_defined_projections, write_template

NAME = "hourly"


def started(folder: Path, name: str = NAME) -> Path:
    """The folder of a projection that works: the one to begin with."""
    write_template(folder, name)
    return folder / name


def changed(folder: Path, file: str, before: str, after: str) -> None:
    """Changes the text of a file, which must be there."""
    path = folder / file
    text = path.read_text()
    assert before in text, f"{before!r} is not in {file}"
    path.write_text(text.replace(before, after))


def read(folder: Path) -> UserDefinedProjection:
    """What a projection's folder says."""
    return user_defined_projections(folder.parent)[folder.name]


def definition_in(folder: Path) -> Definition:
    """The definition in a projection's folder."""
    return read(folder).readable()
