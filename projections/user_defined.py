"""User-defined projections: a folder with a subfolder for each projection."""

import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import msgspec

from eventstore.errors import PathUntrusted
from eventstore.events import AnyEvent
from eventstore.trusted_paths import check_trusted, make_trusted_folder, read_trusted
from projections.definitions import Definition, definitions
from projections.errors import FilesExist, ProjectionRefused, UnknownProjection
from sql import loader

_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_TYPES = frozenset(str(kind.__struct_config__.tag) for kind in get_args(AnyEvent))
_SETTINGS = "projection.toml"
_TABLES = "tables.sql"
_MAX_VERSION = 10_000
_READERS = ("colloquy_service", "colloquy_auditor", "colloquy_analyst")


class _Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings in `projection.toml` of a user-defined projection."""

    description: str
    version: int
    tables: tuple[str, ...]
    consumes: tuple[str, ...]
    interface: int = 1
    order: Literal["rising", "any"] = "rising"
    additive: bool = False
    days: dict[str, str] = {}
    mode: Literal["followed"] = "followed"
    schema: Literal["analytics"] = "analytics"


class UserDefinedProjection(msgspec.Struct, frozen=True):
    """A projection's folder: its definition, or why it cannot be read.

    Attributes:
        files: Names of the statements' files, in the order of the statements.
    """

    name: str
    definition: Definition | ProjectionRefused
    files: tuple[str, ...] = ()

    def readable(self) -> Definition:
        """The definition.

        Raises:
            ProjectionRefused: The message names the file.
        """
        if isinstance(self.definition, ProjectionRefused):
            raise self.definition
        return self.definition


def user_defined_projections(folder: Path | None) -> dict[str, UserDefinedProjection]:
    """All projections of a folder by name, including those that cannot be read.

    Raises:
        ProjectionRefused: The folder itself cannot be read.
    """
    if folder is None:
        return {}
    try:
        check_trusted(folder.absolute())
        subfolders = sorted(path for path in folder.iterdir() if path.is_dir())
    except PathUntrusted as error:
        raise ProjectionRefused(f"COLLOQUY_PROJECTIONS: {error}") from error
    except OSError as error:
        raise ProjectionRefused(f"COLLOQUY_PROJECTIONS: {folder}: {error.strerror}") from error
    return {path.name: _read(path) for path in subfolders if not path.name.startswith((".", "_"))}


def all_definitions(folder: Path | None) -> dict[str, Definition]:
    """This program's projections and the readable ones of a folder, by name."""
    projections = user_defined_projections(folder).values()
    readable = (one.definition for one in projections if isinstance(one.definition, Definition))
    return definitions() | {definition.name: definition for definition in readable}


def find_user_defined(folder: Path | None, name: str) -> UserDefinedProjection:
    """The projection of that name.

    Raises:
        UnknownProjection: The message lists the known ones.
    """
    known = user_defined_projections(folder)
    if name not in known:
        there = f"there are {', '.join(known)}" if known else "COLLOQUY_PROJECTIONS has none"
        raise UnknownProjection(f"there is no projection {name} of your own; {there}")
    return known[name]


def write_template(folder: Path | None, name: str) -> list[Path]:
    """Writes a small working projection as a template; returns the paths of its files.

    Raises:
        ProjectionRefused: The name is invalid, or no folder is set.
        FilesExist: The folder exists already.
    """
    if folder is None:
        raise ProjectionRefused("COLLOQUY_PROJECTIONS names no folder for projections")
    _check_name(name)
    target = folder / name
    try:
        make_trusted_folder(folder.absolute(), 0o755)
        target.mkdir()
        try:
            return [_write(target / file, text) for file, text in loader.template(name).items()]
        except OSError:
            shutil.rmtree(target, ignore_errors=True)
            raise
    except PathUntrusted as error:
        raise ProjectionRefused(f"COLLOQUY_PROJECTIONS: {error}") from error
    except FileExistsError as error:
        raise FilesExist(f"{error.filename} exists already") from error
    except OSError as error:
        raise ProjectionRefused(f"{error.filename or target}: {error.strerror}") from error


def _write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def _read(folder: Path) -> UserDefinedProjection:
    try:
        _check_name(folder.name)
        statements = _statements(folder)
        definition = _definition(folder, tuple(statements.values()))
        return UserDefinedProjection(folder.name, definition, tuple(statements))
    except ProjectionRefused as error:
        return UserDefinedProjection(folder.name, ProjectionRefused(f"{folder.name}: {error}"))


def _statements(folder: Path) -> dict[str, str]:
    texts = {path.name: _text(path) for path in sorted(folder.glob("[!.]*.sql"))}
    texts.pop(_TABLES, None)
    if not texts:
        raise ProjectionRefused("there is no file with a statement, such as 1_count.sql")
    return texts


def _definition(folder: Path, statements: tuple[str, ...]) -> Definition:
    settings = _settings(_text(folder / _SETTINGS))
    for fault in _faults(settings, statements):
        raise ProjectionRefused(f"{_SETTINGS}: {fault}")
    return Definition(
        name=folder.name,
        readers=_READERS,
        confined=True,
        definition=_text(folder / _TABLES),
        statements=statements,
        **msgspec.structs.asdict(settings),
    )


def _settings(text: str) -> _Settings:
    try:
        given: dict[str, Any] = tomllib.loads(text)
        return msgspec.convert(given, _Settings)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        fault = str(error).replace("`", "")
        raise ProjectionRefused(f"{_SETTINGS}: {fault}{_allowed(fault)}") from error


def _allowed(fault: str) -> str:
    """The permitted words of a setting, if its value is not one of them."""
    if "enum value" not in fault:
        return ""
    words = get_args(get_type_hints(_Settings)[fault.rpartition("$.")[2]])
    return f"; it may be {' or '.join(words)}"


def _faults(settings: _Settings, statements: tuple[str, ...]) -> Iterator[str]:
    if not settings.description.strip():
        yield "description is empty"
    for key in ("version", "interface"):
        if not 1 <= getattr(settings, key) <= _MAX_VERSION:
            yield f"{key} must be between 1 and {_MAX_VERSION}"
    yield from _table_faults(settings)
    yield from _type_faults(settings, statements)


def _table_faults(settings: _Settings) -> Iterator[str]:
    ours = {"freshness", *(table for known in definitions().values() for table in known.tables)}
    if not settings.tables or len(set(settings.tables)) < len(settings.tables):
        yield "tables must name at least one table, and each table once"
    for table in settings.tables:
        if not _NAME.fullmatch(table) or table in ours:
            yield f"tables: {table} cannot be the name of a user-defined table"
    for table in settings.days.keys() - set(settings.tables):
        yield f"days names {table}, which is not among the tables"


def _type_faults(settings: _Settings, statements: tuple[str, ...]) -> Iterator[str]:
    for kind in settings.consumes:
        if kind not in _TYPES:
            yield f"consumes: there are no events of type {kind}"
    named = {kind for kind in _TYPES if any(f"'{kind}'" in text for text in statements)}
    for kind in sorted(named - set(settings.consumes)):
        yield f"consumes lacks {kind}, which a statement names"
    for kind in sorted(set(settings.consumes) - named):
        bare = kind.partition(".")[0]
        if any(f"'{bare}'" in text for text in statements):
            yield f"a statement names {bare}, which is not an event type: use {kind}"
    if not settings.consumes:
        yield "consumes is empty: the projection would never run"


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ProjectionRefused(
            f"{name!r} cannot be a name: a name has at most 41 lowercase letters, digits and _, "
            "and begins with a letter"
        )
    if name in definitions():
        raise ProjectionRefused(f"{name} is a projection of Colloquy")


def _text(path: Path) -> str:
    try:
        text = read_trusted(path.absolute()).decode("utf-8-sig")
    except PathUntrusted as error:
        raise ProjectionRefused(str(error)) from error
    except OSError as error:
        raise ProjectionRefused(f"{path.name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ProjectionRefused(f"{path.name} is not UTF-8") from error
    if "\0" in text:
        raise ProjectionRefused(f"{path.name} has a NUL character")
    return text
