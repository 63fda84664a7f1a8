"""Every command that shows texts or names first records its reader."""

import getpass
from pathlib import Path
from typing import Any

import click
import pytest

from eventstore.envelope import Actor, RecordedEvent
from eventstore.privacy_events import HistoryRead
from service.access_log import system_user
from tests.eventstore.sealing.sealed import tamper
from tests.running import read_log
from tests.service.cli.command_runs import Run, all_commands, now, refused
from tests.service.cli.hostile import USER, filled

MINE = f"access-{USER}"
WHY = "complaint of 3 May"

RECORDED: dict[str, tuple[tuple[object, ...], str, str]] = {
    "log show": (("--conversation", 1), "log show --conversation 1", MINE),
    "audit events": (("--user", USER), f"audit events --user {USER}", MINE),
    "audit replay": ((1,), "audit replay 1", MINE),
    "audit verify": ((), "audit verify", "access"),
    "audit export": ((), "audit export conversation 1", MINE),
    "analytics statements": (
        ("--format", "xapi", "--iri", "https://a.example"),
        "analytics statements xapi to a file, positions 1 to 10",
        "access",
    ),
    "learner record": ((USER,), "learner record", MINE),
    "learner erase": ((USER, "--yes"), "learner erase", MINE),
    "hold list": ((), "hold list", "access"),
    "token list": ((), "token list", "access"),
}
"""What each is asked here, and how and where it stands in the log."""

SHOW_NOBODYS = {
    *("serve", "migrate", "doctor", "db url"),  # nothing of the roster or the log
    *("account create", "account list", "account link"),  # institutions; what was typed
    *("roster import", "experience import", "token create", "token revoke"),  # numbers
    *("hold place", "hold release"),  # numbers
    *("retention set", "retention show", "retention run"),  # numbers and counts
    *("projections status", "projections rebuild", "projections pause", "projections resume"),
    *("projections diff", "projections new", "projections check", "projections drop"),  # keys
    *("analyst create", "analyst list", "analyst grant", "analyst revoke", "analyst remove"),
    *("analytics export", "analytics check", "analytics report", "analytics dictionary"),
    *("seal status", "seal key", "seal rotate-key"),
}
"""Commands that show neither texts nor names of people."""

CANNOT = {"db psql"}
"""Whoever owns the database reads it as they like; docs/audit.md says so."""


def readings(url: str) -> list[RecordedEvent]:
    """The recorded reads, except those that the test has recorded."""
    log = now(lambda: read_log(url))
    return [e for e in log if isinstance(e.event, HistoryRead) and e.event.operator]


@pytest.fixture
def filled_database(database_url: str) -> str:
    filled(database_url)
    return database_url


def test_of_every_command_it_is_known_whether_it_shows_anybodys_words() -> None:
    known = {" ".join(w) for w, c in all_commands() if not isinstance(c, click.Group)}
    assert known == set(RECORDED) | SHOW_NOBODYS | CANNOT


@pytest.mark.parametrize("command", sorted(set(RECORDED) - {"audit export"}))
def test_a_read_is_recorded_with_reader_object_reason_and_learner(
    command: str, on_database: Run, filled_database: str
) -> None:
    words, what, stream = RECORDED[command]
    if command == "learner erase":
        assert on_database("hold", "release", 1, "--reason", "over").code == 0
    ended = on_database(*command.split(), *words, "--reason", WHY)
    assert ended.code == 0, ended.err
    [read] = readings(filled_database)
    assert isinstance(read.event, HistoryRead)
    assert (read.event.what, read.event.reason, read.stream) == (what, WHY, stream)
    assert (read.event.operator, read.metadata.actor) == (
        getpass.getuser(),
        Actor(None, "operator"),
    )
    learner = USER if stream == MINE else None
    assert read.event.learner_id == learner


def test_an_auditor_may_give_their_user_id(on_database: Run, filled_database: str) -> None:
    for command in ("log show", "audit events", "token list", "learner record 101"):
        ended = on_database(*command.split(), "--as", USER)
        assert ended.code == 0, ended.err
    assert {read.metadata.actor for read in readings(filled_database)} == {Actor(USER, "auditor")}
    assert {read.event.operator for read in readings(filled_database)} == {system_user()}  # type: ignore[union-attr]  # all are readings
    assert refused(on_database("log", "show", "--as", 4040)) == "there is no user 4040"
    assert len(readings(filled_database)) == 4


@pytest.mark.parametrize(
    ("words", "learner", "conversation"),
    [
        (("--stream", f"dialogue-1-{USER}"), USER, None),
        (("--stream", f"access-{USER}"), USER, None),
        (("--stream", f"learner-{USER}"), USER, None),
        (("--stream", "dialogue-1-999"), 999, None),
        (("--stream", "ada lovelace's"), None, None),
        (("--conversation", 1), USER, 1),
        (("--conversation", 999), None, 999),
        ((), None, None),
    ],
)
def test_a_read_by_stream_name_is_recorded_for_its_learner(
    words: tuple[object, ...],
    learner: int | None,
    conversation: int | None,
    on_database: Run,
    filled_database: str,
) -> None:
    assert on_database("log", "show", *words).code == 0
    [read] = readings(filled_database)
    assert isinstance(read.event, HistoryRead)
    assert (read.event.learner_id, read.event.conversation_id) == (learner, conversation)
    assert "ada" not in read.event.what, "what is no stream's name is kept from the log"


@pytest.mark.parametrize("command", sorted(set(RECORDED) - {"audit verify", "audit export"}))
def test_nothing_is_shown_if_the_read_cannot_be_recorded(
    command: str, on_database: Run, filled_database: str
) -> None:
    refuse = (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation'; END $$",
        "CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW"
        " WHEN (NEW.type = 'history_read.v1') EXECUTE FUNCTION refuse()",
    )
    if command == "learner erase":
        assert on_database("hold", "release", 1, "--reason", "over").code == 0
    now(lambda: tamper(filled_database, *refuse))
    ended = on_database(*command.split(), *RECORDED[command][0], "--reason", WHY)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "colloquy: the read could not be recorded\n"


@pytest.mark.parametrize("command", sorted(set(RECORDED) - {"learner erase"}))
def test_a_setting_can_ask_why(
    command: str, run: Run, filled_database: str, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"DATABASE_URL": filled_database}
    words = (1, "--out", tmp_path / "bundle") if command == "audit export" else RECORDED[command][0]
    ended = run(*command.split(), *words, COLLOQUY_AUDIT_REASON="required", **settings)
    assert "a reason is required: give --reason" in refused(ended)
    assert readings(filled_database) == []
