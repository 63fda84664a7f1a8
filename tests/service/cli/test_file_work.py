"""Files, folders, streams and arguments that a command cannot use get precise errors."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from eventstore.running_log import running_log
from service.cli.text_parameters import TEXT
from tests.disks import full_beyond
from tests.eventstore.building import Learner, append_steps, dialogue, experience_created
from tests.eventstore.sealing.sealed import Sealed
from tests.running import ROOT, environment_of
from tests.service.cli.command_runs import HEAD, Ended, Run, all_commands, ask, file_with, now

E9 = os.fsdecode(b"Zo\xe9")
"""A word in Latin-1."""

STATEMENTS = ("analytics", "statements", "--format", "xapi", "--iri", "https://colloquy.example")


def outputs(place: Path) -> Iterator[tuple[object, ...]]:
    """Every command that writes a file or folder, with this path as its target."""
    yield "audit", "export", "--all", "--out", place
    yield "audit", "replay", 1, "--html", place
    yield "analytics", "export", "--all", "--out", place
    yield "analytics", "report", "--course", 1, "--out", place
    yield *STATEMENTS, "--out", place
    yield *STATEMENTS, "--out", place.with_name("records"), "--checkpoint", place
    yield "learner", "record", 101, "--html", place


def one_line(ended: Ended) -> str:
    """The last line of a refused command's error."""
    assert ended.code in (1, 2), ended
    assert "Traceback" not in ended.err, ended.err
    assert "database" not in ended.err, ended.err
    return ended.err.splitlines()[-1]


@pytest.fixture
def home(database_url: str, tmp_path: Path) -> dict[str, str]:
    """The settings of a log with one long conversation, sealed, in a course with a learner."""

    async def make() -> None:
        async with running_log(database_url) as (log, _pool, _notifier):
            await append_steps(log, [experience_created(), *dialogue(Learner(), exchanges=12)])
            await Sealed(database_url, tmp_path, log).seal()

    now(make)
    return {"DATABASE_URL": database_url, "COLLOQUY_HOME": str(tmp_path)}


@pytest.fixture
def on_log(run: Run, home: dict[str, str], tmp_path: Path) -> Run:
    """Runs a command there."""
    file = file_with(tmp_path, f"{HEAD}\n1,101,Ada,learner,active\n", "ada")
    assert run("roster", "import", file, **home).code == 0
    return lambda *words: run(*words, **home)


def test_every_command_that_writes_reports_a_full_disk(on_log: Run, tmp_path: Path) -> None:
    for words in outputs(tmp_path / "full"):
        with full_beyond(250):
            told = one_line(on_log(*words))
        assert told.startswith(f"colloquy: {tmp_path}/") or f" {tmp_path}/" in told, told
        assert told.endswith("File too large"), told
        for left in (tmp_path / "full", tmp_path / "records"):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def test_a_disk_that_fills_up_within_a_bundle_is_reported_at_once(
    on_log: Run, tmp_path: Path
) -> None:
    """Not half a minute later as a silent database; and the export can be resumed."""
    out = tmp_path / "bundle"
    with full_beyond(9_000):
        told = one_line(on_log("audit", "export", "--all", "--out", out))
    assert told == f"colloquy: cannot write {out}/events.ndjson: File too large"
    assert on_log("audit", "export", "--all", "--out", out).code == 0


def test_every_command_that_writes_reports_an_unusable_path(on_log: Run, tmp_path: Path) -> None:
    """Below a file, a file for a folder, a folder for a file, links in a circle, a long name."""
    file = file_with(tmp_path, "mine", "mine")
    circle = tmp_path / "circle"
    circle.symlink_to(tmp_path / "back")
    (tmp_path / "back").symlink_to(circle)
    for place in (
        file / "below",
        file / "deep" / "below",
        tmp_path / ("x" * 300),
        tmp_path / "no/x",
    ):
        for words in outputs(place):
            if place.parent.name == "no" and words[1] == "export":
                continue  # folders are made
            assert place.name in one_line(on_log(*words))
    for words in outputs(circle):
        ended = on_log(*words)
        assert "Traceback" not in ended.err
        assert "database" not in ended.err
    assert file.read_text() == "mine"


def test_what_is_no_text_is_refused_before_anything_is_done(on_log: Run, database_url: str) -> None:
    head = ask(database_url, "SELECT position FROM log_heads")
    for words in (
        ["hold", "place", 101, "--reason", E9],
        ["hold", "release", 1, "--reason", E9],
        ["learner", "erase", 101, "--yes", "--reason", E9],
        ["account", "create", E9],
        ["account", "link", "--account", 1, "--user", 101, E9],
        ["token", "create", "--user", 101, "--scope", E9],
        ["log", "show", "--stream", E9],
        ["log", "show", "--reason", E9],
        ["audit", "events", "--type", E9],
        ["audit", "replay", 1, "--at", E9],
        ["analyst", "create", E9, "--account", 1],
        ["projections", "pause", E9],
        ["analytics", "export", E9, "--out", "nowhere"],
        ["analytics", "dictionary", "--table", E9],
        [*STATEMENTS, "--since", E9],
        ["serve", "--host", E9],
        ["account", "create", "a\0b"],
        ["hold", "place", 101, "--reason", "a\0b"],
    ):
        ended = on_log(*words)
        assert (ended.code, ended.out) == (2, ""), (words, ended)
        assert one_line(ended).startswith("Error: "), ended.err
    assert ask(database_url, "SELECT position FROM log_heads") == head


def test_all_string_parameters_of_all_commands_are_text() -> None:
    """So that the next one is, too."""

    result = [parameter for _, command in all_commands() for parameter in command.params]
    assert TEXT in [parameter.type for parameter in result]
    assert click.STRING not in [parameter.type for parameter in result]


def test_file_names_need_not_be_text(on_log: Run, tmp_path: Path) -> None:
    """To the system a name is bytes."""
    page, bundle, records = (tmp_path / f"{E9}{n}" for n in range(3))
    assert on_log("learner", "record", 101, "--html", page).code == 0
    assert on_log(*STATEMENTS, "--out", records).code == 0
    ended = on_log("audit", "export", "--all", "--out", bundle, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert "\\udce9" in ended.out
    assert stat.S_IMODE(page.stat().st_mode) == 0o600  # it has what a learner said
    assert (bundle / "manifest.json").exists()
    told = one_line(on_log("analytics", "export", "--all", "--out", tmp_path / E9))
    assert told.endswith("its name is not UTF-8")  # as the library that writes Parquet wants it


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["closed", "full", "left"])
def test_standard_output_that_cannot_be_written_is_reported(
    stream: str, home: dict[str, str]
) -> None:
    """Closed by a shell's `>&-`, on a full disk, or abandoned by its reader, as with `head`."""
    for words in (["log", "show", "--json"], ["seal", "key"], STATEMENTS):
        command = [sys.executable, "-m", "service.cli", *words]
        redirected = {
            "closed": '"$@" >&-',
            "full": '"$@" >/dev/full',
            "left": 'set -o pipefail; "$@" | true',
        }[stream]
        ended = subprocess.run(
            ["bash", "-c", f"{redirected}", "sh", *command],
            env=environment_of(home),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        err = [line for line in ended.stderr.splitlines() if not line.startswith('{"event"')]
        match stream:
            case "closed":
                assert (ended.returncode, [line for line in err if "records" not in line]) == (
                    0,
                    [],
                )
            case "full":
                assert ended.returncode == 1
                assert err == ["colloquy: standard output: No space left on device"]
            case _:
                assert (ended.returncode, err) == (1, [])
