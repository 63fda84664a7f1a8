"""Commands for projections: those of operators, and those of authors."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from eventstore.log import EventLog
from projections.status import ProjectionStatus
from projections.user_defined import write_template
from service.cli.projections.status_commands import on_screen
from tests.databases import name_of
from tests.eventstore.building import Learner, append_steps, dialogue
from tests.running import colloquy, environment_of, fetch_value, service_process
from tests.service.cli.command_runs import Run, ask, refused

NAME = "hourly"
UPSERT = """
    ON CONFLICT (account_id, course_id, hour)
    DO UPDATE SET messages = n.messages + excluded.messages, position = excluded.position;"""
COUNTED = "SELECT count(*) FROM analytics.hourly"
GENERATION = "SELECT max(generation) FROM projections WHERE name = 'hourly'"


@pytest.fixture
async def talked(log: EventLog) -> None:
    """A learner has talked."""
    await append_steps(log, dialogue(Learner(), 3))


@pytest.fixture
def own(run: Run, database_url: str, tmp_path: Path) -> Run:
    """Runs a command with a folder for user-defined projections."""
    settings = {"DATABASE_URL": database_url, "COLLOQUY_PROJECTIONS": str(tmp_path)}
    return lambda *arguments: run(*arguments, **settings)


def raised(folder: Path, before: int, after: int) -> None:
    """Raises the version in a projection's settings."""
    path = folder / NAME / "projection.toml"
    path.write_text(path.read_text().replace(f"version = {before} ", f"version = {after} "))


def test_a_form_that_becomes_slow_in_large_tables_is_warned_of(own: Run, tmp_path: Path) -> None:
    own("projections", "new", NAME)
    (tmp_path / NAME / "2_forget.sql").write_text(
        "DELETE FROM hourly h USING events e WHERE e.account_id = apply.account"
        " AND e.position > apply.after_position AND e.position <= apply.upto_position"
        " AND e.type = 'message_posted.v1' AND h.account_id = e.account_id AND h.position < 0"
    )
    checked = own("projections", "check", NAME)
    assert checked.code == 0
    assert "hourly: warning: 2_forget.sql: DELETE … USING joins in an order" in checked.err
    assert "1_count.sql" not in checked.err


def test_a_projection_of_ones_own_is_begun_checked_installed_and_dropped(
    own: Run, database_url: str, tmp_path: Path
) -> None:
    begun = own("projections", "new", NAME)
    assert sorted(begun.out.split()) == sorted(map(str, (tmp_path / NAME).iterdir()))
    assert "exists already" in refused(own("projections", "new", NAME))
    told = own("projections", "check", NAME).out
    assert told.startswith("hourly: its statements work; the log is empty")
    assert own("migrate").out == "hourly\n"
    assert own("migrate").out == "up to date\n"
    assert ask(database_url, COUNTED) == 0
    assert own("projections", "rebuild", NAME).out.startswith("hourly: 0 events, ready after ")
    assert ask(database_url, GENERATION) == 2
    assert own("projections", "diff", NAME).code == 0
    assert own("projections", "pause", NAME).out == "hourly is paused\n"
    assert "give --yes" in refused(own("projections", "drop", NAME))
    assert NAME in own("projections", "status").out
    assert own("projections", "drop", NAME, "--yes").out == "hourly is dropped\n"
    assert ask(database_url, "SELECT to_regclass('analytics.hourly')") is None
    assert ask(database_url, "SELECT count(*) FROM projection_pauses") == 0
    assert (tmp_path / NAME / "tables.sql").exists()
    assert "no projection hourly of your own" in refused(own("projections", "drop", NAME))
    assert "of your own" in refused(own("projections", "drop", "turn_facts"))


@pytest.mark.parametrize("name", ["Hourly", "1x", "a-b", "../x", "x" * 42, "turn_facts"])
def test_a_name_that_cannot_be_one_is_refused(name: str, own: Run, tmp_path: Path) -> None:
    assert name in refused(own("projections", "new", name))
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_there_is_no_projection_of_ones_own(on_database: Run) -> None:
    told = refused(on_database("projections", "new", NAME))
    assert told == "COLLOQUY_PROJECTIONS names no folder for projections"
    assert "COLLOQUY_PROJECTIONS has none" in refused(on_database("projections", "check", NAME))


WRONG = {
    "description = 7": (
        "description = ",
        "projection.toml: Expected str, got int - at $.description",
    ),
    "no description": ("", "projection.toml: Object missing required field description"),
    "unknown key": ('colour = "blue"\ndescription = ', "unknown field colour"),
    "another mode": (
        'mode = "inline"\ndescription = ',
        "Invalid enum value 'inline' - at $.mode; it may be followed",
    ),
    "no TOML": ("description == ", "projection.toml: Invalid"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_settings_that_are_wrong_are_named(wrong: str, own: Run, tmp_path: Path) -> None:
    own("projections", "new", NAME)
    path = tmp_path / NAME / "projection.toml"
    instead, reason = WRONG[wrong]
    text = path.read_text()
    line = next(line for line in text.splitlines() if line.startswith("description"))
    rest = line.removeprefix("description = ")
    changed = {"description = 7": "description = 7", "no description": ""}
    path.write_text(text.replace(line, changed.get(wrong, instead + rest)))
    ended = own("projections", "check", NAME)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("colloquy: hourly: ")
    assert reason in ended.err


@pytest.mark.parametrize(
    ("file", "before", "after", "reason"),
    [
        (
            "projection.toml",
            "message_posted.v1",
            "message_sent.v1",
            "no events of type message_sent",
        ),
        ("projection.toml", '["message_posted.v1"]', "[]", "lacks message_posted.v1"),
        (
            "1_count.sql",
            "message_posted.v1",
            "message_posted",
            "not an event type: use message_posted.v1",
        ),
        ("1_count.sql", UPSERT, ";", "needs ON CONFLICT … DO UPDATE"),
        ("projection.toml", "days = { hourly", "days = { daily", "days names daily"),
        ("projection.toml", '"hour" }', '"course_id" }', "hourly.course_id, which days names"),
        (
            "projection.toml",
            'tables = ["hourly"]',
            'tables = ["turn_facts"]',
            "turn_facts cannot be",
        ),
        ("projection.toml", "version = 1 ", "version = 0 ", "version must be between"),
        (
            "projection.toml",
            "additive = true",
            "additive = false",
            "1 row in one range, 1 this way)",
        ),
        (
            "1_count.sql",
            "count(*)",
            "(sum(e.position) / 2)::bigint",
            "sums of fractions",
        ),
        (
            "tables.sql",
            "position   bigint NOT NULL",
            "position   int NOT NULL",
            "no column position",
        ),
        ("tables.sql", "account_id bigint NOT NULL", "account_id bigint", ""),
        ("tables.sql", "(account_id, course_id, hour)", "(course_id, account_id, hour)", "begins"),
        ("tables.sql", "COMMENT ON TABLE", "-- COMMENT ON TABLE", "no COMMENT ON TABLE hourly"),
        ("tables.sql", "COMMENT ON COLUMN hourly.hour", "-- ", "no COMMENT ON COLUMN hourly.hour"),
        ("tables.sql", "CREATE TABLE hourly", "CREATE TABLE weekly", 'relation "hourly" does not'),
    ],
)
def test_what_is_missing_or_wrong_is_named(
    own: Run,
    talked: None,
    tmp_path: Path,
    file: str,
    before: str,
    after: str,
    reason: str,
) -> None:
    own("projections", "new", NAME)
    path = tmp_path / NAME / file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    ended = own("projections", "check", "--all")
    if after == "account_id bigint":  # being in the primary key makes it NOT NULL
        assert ended.code == 0
        return
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("colloquy: hourly: ")
    assert reason in ended.err


async def test_a_broken_projection_does_not_stop_the_service_from_starting(
    database_url: str, tmp_path: Path
) -> None:
    """The log names it, and the other projection is installed."""
    broken, works = tmp_path / "own" / "broken", tmp_path / "own"
    write_template(works, "broken")
    write_template(works, NAME)
    (broken / "1_count.sql").write_text("DELETE FROM events;")
    environment = {"DATABASE_URL": database_url, "COLLOQUY_PROJECTIONS": str(works)}
    async with service_process(environment) as process:
        assert await process.stop() == 0
    assert await fetch_value(database_url, COUNTED) == 0
    assert await fetch_value(database_url, "SELECT to_regclass('analytics.broken')") is None
    code, out, err = await colloquy(environment, "migrate")
    assert (code, out) == (0, "up to date\n")
    (line,) = [msgspec.json.decode(line) for line in err.splitlines()]
    assert (line["event"], line["projection"]) == ("projection_refused", "broken")
    assert "permission denied for table events" in line["reason"]


def test_a_change_without_a_new_version_leaves_the_old_one(
    own: Run, database_url: str, tmp_path: Path
) -> None:
    own("projections", "new", NAME)
    own("migrate")
    statement = tmp_path / NAME / "1_count.sql"
    statement.write_text(statement.read_text().replace("count(*)", "2 * count(*)"))
    ended = own("migrate")
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "up to date")
    still = "hourly: v1 was installed with other files, and still follows those: raise version"
    assert still in ended.out  # the log
    assert refused(own("projections", "rebuild", NAME)).startswith(still)
    checked = own("projections", "check", NAME)
    assert checked.code == 1
    assert still in checked.err
    assert f"WRONG  {still}" in own("doctor").out
    assert ask(database_url, GENERATION) == 1
    raised(tmp_path, 1, 2)
    assert "WRONG  your projection hourly: not installed yet" in own("doctor").out
    assert own("migrate").out == "hourly\n"
    assert ask(database_url, "SELECT version FROM projections WHERE name = 'hourly'") == 2
    raised(tmp_path, 2, 1)
    own("migrate")
    assert ask(database_url, "SELECT version FROM projections WHERE name = 'hourly'") == 2


def test_a_word_that_is_the_beginning_of_a_type_may_be_a_value(
    own: Run, talked: None, tmp_path: Path
) -> None:
    """It is taken for a mistyped event type only if no statement has the whole type."""
    own("projections", "new", NAME)
    statement = tmp_path / NAME / "1_count.sql"
    statement.write_text(
        statement.read_text().replace("GROUP BY", "AND 'message_posted' <> '' GROUP BY")
    )
    ended = own("projections", "check", NAME)
    assert (ended.code, ended.err) == (0, "")
    assert "rows made: 1 of hourly" in ended.out


def test_doctor_tells_of_a_folder_that_is_not_there(run: Run, database_url: str) -> None:
    ended = run("doctor", DATABASE_URL=database_url, COLLOQUY_PROJECTIONS="/nowhere/at/all")
    assert "WRONG  COLLOQUY_PROJECTIONS: /nowhere/at/all: No such file" in ended.out


def test_pausing_and_resuming_tell_what_they_did(on_database: Run) -> None:
    for _ in range(2):
        assert on_database("projections", "pause", "turn_facts").code == 0
    (row,) = [r for r in on_database("projections", "status", "--json").json if r["paused"]]
    assert row["name"] == "turn_facts"
    assert "paused" in on_database("projections", "status").out
    assert on_database("projections", "resume", "turn_facts").out == "turn_facts goes on\n"
    again = on_database("projections", "resume", "turn_facts")
    assert (again.code, again.out) == (0, "turn_facts was not paused, and goes on\n")
    assert "there is no projection x; there are" in refused(
        on_database("projections", "pause", "x")
    )
    told = refused(on_database("projections", "pause", "conversations"))
    assert told.startswith("conversations is updated in the transaction of each append")


def test_a_projection_that_is_older_in_the_database_can_be_compared(
    on_database: Run, database_url: str
) -> None:
    make_older = "UPDATE projections SET version = 0 WHERE name = 'conversations' RETURNING 1"
    assert ask(database_url, make_older) == 1
    assert refused(on_database("projections", "status")).endswith("run `colloquy migrate`")
    ended = on_database("projections", "diff", "conversations")
    assert ended.code == 0
    assert "the live v0 and v" in ended.out
    assert ask(database_url, "SELECT count(*) FROM projections WHERE state = 'building'") == 0


def test_a_watch_outlives_a_database_that_is_away(database_url: str, server_url: str) -> None:
    name = name_of(database_url)
    away = f"ALTER DATABASE {name} ALLOW_CONNECTIONS"
    process = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "projections", "status", "--watch"],
        env=environment_of({"DATABASE_URL": database_url}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stderr
    try:
        while b"active_conversations" not in process.stdout.readline():
            assert process.poll() is None
        ask(server_url, f"{away} false")
        assert process.stderr.readline().startswith(b"the database does not answer: ")
        ask(server_url, f"{away} true")
        while b"active_conversations" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0


@pytest.mark.parametrize("terminal", [False, True], ids=["piped", "on a terminal"])
def test_a_watch_shows_again_and_again_and_ends_with_ctrl_c(
    terminal: bool, database_url: str
) -> None:
    ours, theirs = pty.openpty() if terminal else os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "projections", "status", "--watch"],
        env=environment_of({"DATABASE_URL": database_url}),
        stdout=theirs,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    try:
        printed = b""
        deadline = time.monotonic() + 60
        while printed.count(b"turn_facts ") < 2 and time.monotonic() < deadline:
            if select.select([ours], [], [], 0.1)[0]:
                printed += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        os.close(ours)
    assert (process.returncode, err) == (0, b"")
    assert printed.count(b"turn_facts ") >= 2
    assert (b"\x1b[2J" in printed) == terminal


def test_a_watch_fits_the_terminal_and_keeps_what_needs_a_look() -> None:
    def row(account_id: int, *, position: int = 9, **more: object) -> ProjectionStatus:
        known = {"version": 1, "generation": 1, "mode": "followed", "state": "live", "head": 9}
        fine = dict.fromkeys(("lag_seconds", "error", "error_position", "error_type", "error_at"))
        rest = {"name": "turn_facts", "paused": False, "position": position} | known | fine | more
        return msgspec.convert({"account_id": account_id, **rest}, ProjectionStatus)

    rows = [row(number) for number in range(1, 31)]
    rows[20] = row(21, position=4, lag_seconds=1.5)
    rows[25] = row(26, paused=True)
    rows[29] = row(30, error="x" * 400, error_position=5, error_type="message_posted.v1")
    few = on_screen(rows, 100, 40)
    assert [line.split("account ")[1].split()[0] for line in few] == [str(n) for n in range(1, 31)]
    printed = on_screen(rows, 80, 20)
    assert [line.split("account ")[1].split()[0] for line in printed[:4]] == ["30", "26", "21", "1"]
    for line, said in zip(
        printed, ("stopped at event 5", "paused", "5 events, 1.5 s behind"), strict=False
    ):
        assert said in line
    assert sum(-(-len(line) // 80) for line in printed) <= 19
    assert printed[-1] == f"and {31 - len(printed)} more, no worse; all without --watch"
