"""`colloquy audit`: its output, and the record of the read."""

import getpass
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eventstore.envelope import RecordedEvent
from eventstore.privacy_events import HistoryRead
from eventstore.running_log import running_log
from tests.eventstore.building import Learner, append_steps, experience_created
from tests.running import ROOT, environment_of, read_log
from tests.service.cli.command_runs import Run, now, refused

USER = 101


@pytest.fixture
def talked(database_url: str) -> int:
    """A conversation with a reply that failed; the position of the log's end."""
    return now(lambda: _talk(database_url))


async def _talk(database_url: str) -> int:
    learner = Learner(USER)
    steps = [
        experience_created(),
        learner.asks_to_open(),
        learner.opens("What do you see?"),
        learner.says("The \x1b[31msea."),
        learner.is_answered("And why?"),
        learner.says("I do not know."),
        learner.is_not_answered("model_overloaded", partial="It is"),
    ]
    async with running_log(database_url) as (log, _, _):
        return (await append_steps(log, steps))[-1].position


def reads(database_url: str) -> list[RecordedEvent]:
    events = now(lambda: read_log(database_url))
    return [event for event in events if isinstance(event.event, HistoryRead)]


def test_events_are_found_by_filters_and_the_read_is_recorded(
    on_database: Run, database_url: str, talked: int
) -> None:
    asked = ("audit", "events", "--user", USER, "--type", "message_posted.v1", "--reason", "a case")
    result = on_database(*asked, "--json").json
    assert [event["content"] for event in result] == ["The \x1b[31msea.", "I do not know."]
    [read] = reads(database_url)
    assert read.event == HistoryRead(
        what="audit events --user 101 --type message_posted.v1",
        learner_id=USER,
        reason="a case",
        operator=getpass.getuser(),
    )
    assert (read.metadata.actor.id, read.metadata.actor.role) == (None, "operator")


def test_each_event_is_one_line_without_control_characters(on_database: Run, talked: int) -> None:
    ended = on_database("audit", "events", "--conversation", 1, "--type", "message_posted.v1")
    assert ended.code == 0
    assert "The \\x1b[31msea." in ended.out
    assert len(ended.out.splitlines()) == 2


def test_times_and_positions_limit_the_events(on_database: Run, talked: int) -> None:
    later = on_database("audit", "events", "--after", talked - 2, "--json").json
    assert [e["position"] for e in later] == [talked - 1, talked, talked + 1]
    assert on_database("audit", "events", "--to", "2001-01-01", "--json").out == ""


def test_a_replay_shows_what_was_seen_and_what_was_not(on_database: Run, talked: int) -> None:
    printed = on_database("audit", "replay", 1).out
    seen, _, steps = printed.partition("Step by step")
    assert "And why?" in seen
    assert "I do not know." not in seen
    assert "I do not know." in steps
    assert "model_overloaded" in steps
    assert "It is" in steps
    assert "claude-sonnet" in steps


def test_a_replay_at_an_earlier_position_knows_nothing_of_later(
    on_database: Run, talked: int
) -> None:
    lines = on_database("audit", "replay", 1, "--at", 3).out
    assert "What do you see?" in lines
    assert "And why?" not in lines
    [replayed] = on_database("audit", "replay", 1, "--at", 3, "--json").json
    assert [m["text"] for m in replayed["seen"]["messages"]] == [
        "Let us begin.",
        "What do you see?",
    ]


def test_a_page_is_written_for_its_owner_only(
    on_database: Run, talked: int, tmp_path: Path
) -> None:
    file = tmp_path / "replay.html"
    assert on_database("audit", "replay", 1, "--html", file).code == 0
    assert file.read_text().startswith("<!doctype html>")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    ended = on_database("audit", "replay", 1, "--html", tmp_path / "no" / "replay.html")
    assert ended.code == 1


def test_a_reason_can_be_required(run: Run, database_url: str, talked: int) -> None:
    settings = {"DATABASE_URL": database_url, "COLLOQUY_AUDIT_REASON": "required"}
    for asked in (("audit", "events"), ("audit", "replay", 1)):
        assert "--reason" in refused(run(*asked, **settings))
    assert reads(database_url) == []
    assert run("audit", "replay", 1, "--reason", "a case", **settings).code == 0
    [read] = reads(database_url)
    assert (read.event.learner_id, read.event.reason) == (USER, "a case")  # type: ignore[union-attr]  # a HistoryRead


def test_a_missing_conversation_or_position_is_one_line(on_database: Run, talked: int) -> None:
    assert refused(on_database("audit", "replay", 77)) == "there is no conversation 77"
    assert "--from" in refused(on_database("audit", "events", "--from", "soon"))
    assert refused(on_database("audit", "events", "--account", 9)).startswith("there is no account")
    assert on_database("audit", "replay", 1, "--at", talked + 50).code == 2
    assert on_database("audit", "replay", 1, "--json", "--step").code == 2
    assert on_database("audit", "events", "--follow", "--to", "2001-01-01").code == 2


def command(database_url: str, *words: str, **streams: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "service.cli", "audit", *words],
        env=environment_of({"DATABASE_URL": database_url}),
        cwd=ROOT,
        **streams,
    )


def test_a_live_tail_continues_until_a_signal(database_url: str, talked: int) -> None:
    tail = command(database_url, "events", "--follow", "--json", stdout=subprocess.PIPE)
    assert tail.stdout is not None
    first = [tail.stdout.readline() for _ in range(talked + 1)]
    assert b"history_read.v1" in first[-1]
    now(lambda: _talk_more(database_url))
    assert b"opening_requested.v1" in tail.stdout.readline()
    tail.terminate()
    assert tail.wait(20) == 0
    tail.stdout.close()


async def _talk_more(database_url: str) -> None:
    async with running_log(database_url) as (log, _, _):
        await append_steps(log, [Learner(102, conversation_ids=iter([2])).asks_to_open()])


def test_on_a_terminal_it_waits_for_enter_after_each_step(database_url: str, talked: int) -> None:
    ours, theirs = pty.openpty()
    replay = command(database_url, "replay", "1", "--step", stdin=theirs, stdout=theirs)
    os.close(theirs)
    printed = b""
    for number in range(1, 6):
        while printed.count("Enter … ".encode()) < number:
            printed += os.read(ours, 4096)
        assert replay.poll() is None
        os.write(ours, b"\n")
    while b"No reply came of it" not in printed:
        printed += os.read(ours, 4096)
    assert replay.wait(20) == 0
    os.close(ours)
