"""Imports rosters: users and their enrollments, all or nothing."""

import csv
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from eventstore.connections import Connection
from service.escaping import is_blank
from service.identity.errors import RosterError
from sql.loader import query

COLUMNS = ("course_id", "user_id", "name", "role", "status")
_MAX_ERRORS = 20
"""Errors that a message lists at most."""

Id = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
Name = Annotated[str, msgspec.Meta(max_length=255)]
Role = Literal["learner", "observer", "teacher", "ta", "designer"]
Status = Literal["active", "invited", "inactive", "completed", "deleted"]


class Enrollment(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the roster: a user's enrollment in a course."""

    course_id: Id
    user_id: Id
    name: Name
    role: Role
    status: Status


def parse_roster(lines: Iterable[str]) -> list[Enrollment]:
    """The rows of a CSV file with the columns of `COLUMNS`, in any order.

    `student` means the role `learner`. Case and outer spaces do not matter. Repeated rows count
    once.

    Raises:
        RosterError: A line is invalid, or two lines contradict each other. The message names each
            bad line.
    """
    reader = csv.DictReader(lines, strict=True, skipinitialspace=True)
    rows = _Rows()
    errors: list[str] = []
    try:
        _check_columns(reader.fieldnames)
        for row in reader:
            try:
                rows.add(_enrollment(row), reader.line_num)
            except (ValueError, msgspec.ValidationError) as error:
                errors.append(f"line {reader.line_num}: {_reason(error)}")
    except csv.Error as error:
        errors.append(f"line {reader.reader.line_num}: {error}")
    except UnicodeDecodeError:
        errors.append(f"after line {reader.line_num}: the file is not UTF-8")
    if errors:
        more = [f"… and {len(errors) - _MAX_ERRORS} more"] if len(errors) > _MAX_ERRORS else []
        raise RosterError("nothing is imported", *errors[:_MAX_ERRORS], *more)
    return rows.enrollments


class _Rows:
    """Enrollments by line, without contradictions."""

    def __init__(self) -> None:
        self._places: dict[tuple[int, int], tuple[Enrollment, int]] = {}
        self._names: dict[int, tuple[str, int]] = {}

    def add(self, row: Enrollment, line: int) -> None:
        """Adds a row; raises `ValueError` if it contradicts an earlier one."""
        name, there = self._names.setdefault(row.user_id, (row.name, line))
        if name != row.name:
            raise ValueError(f"line {there} calls user {row.user_id} {name!r}, not {row.name!r}")
        place = (row.course_id, row.user_id)
        known, there = self._places.setdefault(place, (row, line))
        if known != row:
            raise ValueError(
                f"line {there} has user {row.user_id} in course {row.course_id} as "
                f"{known.role}, {known.status}, not as {row.role}, {row.status}"
            )

    @property
    def enrollments(self) -> list[Enrollment]:
        """The enrollments, in the order of the file."""
        return [row for row, _ in self._places.values()]


async def import_roster(
    connection: Connection, account_id: int, enrollments: list[Enrollment]
) -> None:
    """Adds or changes users and enrollments in one transaction.

    When it returns, no request that was permitted by an earlier role is recorded any more.
    """
    courses = sorted({e.course_id for e in enrollments})
    async with connection.transaction():
        # PostgreSQL plans the foreign keys' checks with the first row, and keeps these plans.
        await connection.execute(query("read_by_index"))
        await connection.executemany(query("upsert_course"), [(account_id, c) for c in courses])
        await connection.executemany(
            query("upsert_user"), [(account_id, e.user_id, e.name) for e in enrollments]
        )
        await connection.executemany(
            query("upsert_enrollment"),
            [(account_id, e.course_id, e.user_id, e.role, e.status) for e in enrollments],
        )
    # Outside the transaction, which would block all appends, and deadlock with an erasure.
    await connection.execute(query("await_appends"), account_id)


def _check_columns(header: Iterable[str] | None) -> None:
    names = [name.strip() for name in header or ()]
    if sorted(names) != sorted(COLUMNS):
        raise RosterError(
            f"line 1: the columns must be {','.join(COLUMNS)}, not {','.join(names) or 'nothing'}"
        )


def _enrollment(row: dict[str | None, str | list[str] | None]) -> Enrollment:
    if None in row or None in row.values():
        raise ValueError(f"there must be {len(COLUMNS)} values")
    values = {str(name).strip(): str(value).strip() for name, value in row.items()}
    values |= {column: values[column].lower() for column in ("role", "status")}
    if is_blank(values["name"]):
        raise ValueError("name: must have a character that is visible")
    if "\0" in values["name"]:
        raise ValueError("name: must not contain the NUL character")
    if values["role"] == "student":
        values["role"] = "learner"
    return msgspec.convert(values, Enrollment, strict=False)


def _reason(error: Exception) -> str:
    text, _, path = str(error).replace("`", "").partition(" - at $.")
    return f"{path}: {text}" if path else text
