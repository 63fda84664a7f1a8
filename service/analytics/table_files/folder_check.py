"""Checks the files of an export against its manifest."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from projections.parallel_build import Progress
from service.analytics.errors import ExportRefused
from service.analytics.table_files.export_folder import DRAFT, Digest, digest
from service.analytics.table_files.manifest import MANIFEST, FileLine, Manifest
from service.file_work import is_left_by_system, reason_of


class Checked(msgspec.Struct, frozen=True):
    """The numbers of files, rows and bytes in the manifest, and the problems of the files."""

    files: int
    rows: int
    bytes: int
    problems: list[str]


def check_folder(folder: Path, progress: Progress) -> Checked:
    """Reads every file of an export.

    Args:
        progress: Called with the number of bytes read and to read.

    Raises:
        ExportRefused: The folder has no export, or its manifest cannot be read.
    """
    try:
        if not (folder / MANIFEST).exists():
            raise ExportRefused(f"{folder} holds no export: it has no {MANIFEST}")
        lines = Manifest(folder).files
        total = sum(line.bytes for line in lines)
        problems: list[str] = []
        done = 0
        for line in lines:
            problems += _problems(folder, line)
            done += line.bytes
            progress(done, total)
        problems += _strays(folder, {line.path for line in lines})
    except OSError as error:
        raise ExportRefused(f"cannot read {folder}: {reason_of(error)}") from error
    return Checked(len(lines), sum(line.rows for line in lines), total, problems)


def _problems(folder: Path, line: FileLine) -> Iterator[str]:
    path = folder / line.path
    if not path.is_file():
        yield f"{line.path}: is missing"
    elif digest(path) != Digest(line.bytes, line.sha256):
        yield f"{line.path}: is not what was written"


def _strays(folder: Path, known: set[str]) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if is_left_by_system(path.name):
            continue
        if not path.is_dir() and name not in known and name not in (MANIFEST, DRAFT):
            yield f"{name}: is not in the manifest"
