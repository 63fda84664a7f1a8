"""The roster file is imported completely or not at all, and every bad line is named."""

import pytest

from eventstore.connections import Connection
from service.identity.errors import RosterError
from service.identity.roster import Enrollment, import_roster, parse_roster

HEAD = "course_id,user_id,name,role,status"


def lines(*rows: str) -> list[str]:
    return [row + "\n" for row in (HEAD, *rows)]


def enrollment(
    user: int = 5, name: str = "Ada", role: str = "learner", status: str = "active", course: int = 1
) -> Enrollment:
    return Enrollment(
        course_id=course,
        user_id=user,
        name=name,
        role=role,  # type: ignore[arg-type]
        status=status,  # type: ignore[arg-type]
    )


def reasons(*rows: str) -> list[str]:
    """The lines of the refusal, after the first."""
    with pytest.raises(RosterError) as refused:
        parse_roster(lines(*rows))
    first, *others = str(refused.value).split("\n")
    assert first == "nothing is imported"
    return others


async def roster_of(owner: Connection) -> list[tuple[object, ...]]:
    rows = await owner.fetch(
        "SELECT course_id, user_id, name, role, status FROM enrollments"
        " JOIN users USING (account_id, user_id) ORDER BY course_id, user_id"
    )
    return [tuple(row) for row in rows]


def test_rows_are_read_with_their_columns_in_any_order() -> None:
    assert parse_roster(
        ["status,name,role,user_id,course_id\n", '"active","Ada, Countess",teacher,5,1\n']
    ) == [enrollment(name="Ada, Countess", role="teacher")]


def test_case_and_outer_spaces_do_not_matter_and_a_student_is_a_learner() -> None:
    rows = [" course_id , user_id,name,role,status\n", " 1 , 5,  Ada , Student ,ACTIVE\n"]
    assert parse_roster(rows) == [enrollment()]


def test_blank_lines_are_skipped_and_no_rows_are_fine() -> None:
    assert parse_roster(lines("", "1,5,Ada,learner,active", "")) == [enrollment()]
    assert parse_roster(lines()) == []


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("x,5,Ada,learner,active", "course_id: Expected int, got str"),
        ("0,5,Ada,learner,active", "course_id: Expected int >= 1"),
        ("1,-5,Ada,learner,active", "user_id: Expected int >= 1"),
        ("1,9223372036854775808,Ada,learner,active", "user_id: Expected int <= "),
        ("1,5,,learner,active", "name: must have a character that is visible"),
        ("1,5,  ,learner,active", "name: must have"),
        ("1,5,\u200b,learner,active", "name: must have"),
        ("1,5,\u3164\u2800,learner,active", "name: must have"),
        (f"1,5,{'x' * 256},learner,active", "name: Expected str of length <= 255"),
        ("1,5,A\0a,learner,active", "name: must not contain the NUL character"),
        ("1,5,Ada,king,active", "role: Invalid enum value 'king'"),
        ("1,5,Ada,learner,asleep", "status: Invalid enum value 'asleep'"),
        ("1,5,Ada,learner", "there must be 5 values"),
        ("1,5,Ada,learner,active,more", "there must be 5 values"),
        ('1,5,"Ada,learner,active', "unexpected end of data"),
    ],
)
def test_a_bad_row_is_named_by_its_line(row: str, reason: str) -> None:
    (told,) = reasons("1,6,Grace,learner,active", row)
    assert told.startswith(f"line 3: {reason}"), told


def test_all_bad_rows_are_named_and_after_twenty_only_counted() -> None:
    told = reasons(*["x,5,Ada,learner,active"] * 25)
    assert [line.partition(":")[0] for line in told[:20]] == [f"line {n}" for n in range(2, 22)]
    assert told[20:] == ["… and 5 more"]


@pytest.mark.parametrize(
    "head", ["", "course_id,user_id,name,role", f"{HEAD},email", "a,b,c,d,e", f"{HEAD},role"]
)
def test_wrong_columns_are_refused_with_the_right_ones(head: str) -> None:
    with pytest.raises(RosterError, match=f"line 1: the columns must be {HEAD}, not "):
        parse_roster([head + "\n", "1,5,Ada,learner,active\n"])


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(RosterError, match="not nothing"):
        parse_roster([])


def test_a_row_that_is_said_twice_counts_once() -> None:
    """A user of two sections of a course is exported like this; spaces and case do not matter."""
    again = "1, 5 ,Ada ,Student,ACTIVE"
    assert parse_roster(lines("1,5,Ada,learner,active", again)) == [enrollment()]
    other = enrollment(course=2, role="ta")
    assert parse_roster(lines("1,5,Ada,learner,active", "2,5,Ada,ta,active")) == [
        enrollment(),
        other,
    ]


def test_rows_that_contradict_each_other_are_named_with_both_lines() -> None:
    """It is unknown which one is right; the last one used to count without a message."""
    assert reasons(
        "1,5,Ada,learner,active",
        "1,5,Ada,teacher,active",
        "1,5,Ada,learner,deleted",
        "2,5,Adele,learner,active",
        "2,6,Bo,learner,active",
    ) == [
        "line 3: line 2 has user 5 in course 1 as learner, active, not as teacher, active",
        "line 4: line 2 has user 5 in course 1 as learner, active, not as learner, deleted",
        "line 5: line 2 calls user 5 'Ada', not 'Adele'",
    ]


async def test_an_import_adds_and_changes_and_removes_nothing(owner: Connection) -> None:
    await import_roster(owner, 1, [enrollment(), enrollment(6, "Grace")])
    await import_roster(owner, 1, [enrollment(name="Ada L.", role="ta"), enrollment(course=2)])
    assert await roster_of(owner) == [
        (1, 5, "Ada", "ta", "active"),
        (1, 6, "Grace", "learner", "active"),
        (2, 5, "Ada", "learner", "active"),
    ]


async def test_an_import_that_fails_leaves_the_roster_as_it_was(owner: Connection) -> None:
    await import_roster(owner, 1, [enrollment()])
    unfit = enrollment(6, "Grace", role="king")  # nobody has checked it
    with pytest.raises(Exception, match="enrollments_role_check"):
        await import_roster(owner, 1, [enrollment(5, "Changed"), unfit])
    assert await roster_of(owner) == [(1, 5, "Ada", "learner", "active")]


async def test_a_row_costs_the_same_in_a_large_roster_as_in_a_small_one(owner: Connection) -> None:
    """Even if tables were analyzed while they were empty."""
    read = (
        "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int FROM pg_stat_xact_user_tables"
    )
    await owner.execute("ANALYZE")
    async with owner.transaction():
        await import_roster(owner, 1, [enrollment(user) for user in range(1, 501)])
        assert await owner.fetchval(read) <= 4 * 500
