"""Only `serve` and `migrate` create a database; other commands say that there is none."""

from pathlib import Path

import click

from tests.service.cli.command_runs import HEAD, Run, all_commands, file_with, refused

MAKERS = {("serve",), ("migrate",)}
WITHOUT = {("seal", "key"), ("projections", "new"), ("analytics", "check")}
"""Commands that need no database."""

XAPI = ("--format", "xapi", "--iri", "https://colloquy.example")


def commands_on(folder: Path) -> dict[tuple[str, ...], tuple[object, ...]]:
    """All other commands, with valid arguments."""
    roster = file_with(folder, f"{HEAD}\n1,5,Ada,learner,active\n", "roster")
    tides = '{"title": "T", "learning_objective": "o", "pedagogical_guidance": "g"}'
    return {
        ("account", "create"): ("X",),
        ("account", "list"): (),
        ("account", "link"): ("--account", 1, "--user", 1, "sub"),
        ("roster", "import"): (roster,),
        ("token", "create"): ("--user", 1),
        ("token", "list"): (),
        ("token", "revoke"): (1,),
        ("experience", "import"): ("--course", 1, file_with(folder, tides, "tides")),
        ("log", "show"): (),
        ("learner", "erase"): (1, "--reason", "x", "--yes"),
        ("learner", "record"): (1,),
        ("hold", "place"): (1, "--reason", "x"),
        ("hold", "release"): (1, "--reason", "x"),
        ("hold", "list"): (),
        ("retention", "set"): ("--account-wide", "--keep"),
        ("retention", "show"): (),
        ("retention", "run"): (),
        ("projections", "status"): (),
        ("projections", "rebuild"): ("--all",),
        ("projections", "pause"): ("turn_facts",),
        ("projections", "resume"): ("turn_facts",),
        ("projections", "diff"): ("turn_facts",),
        ("projections", "check"): ("--all",),
        ("projections", "drop"): ("mine", "--yes"),
        ("analytics", "export"): ("--all", "--out", folder / "export"),
        ("analytics", "report"): ("--course", 1, "--out", folder / "page"),
        ("analytics", "dictionary"): (),
        ("analytics", "statements"): XAPI,
        ("analyst", "create"): ("grace", "--account", 1),
        ("analyst", "list"): (),
        ("analyst", "grant"): ("grace", "--account", 1),
        ("analyst", "revoke"): ("grace", "--account", 1),
        ("analyst", "remove"): ("grace",),
        ("seal", "status"): (),
        ("seal", "rotate-key"): (),
        ("audit", "events"): (),
        ("audit", "replay"): (1,),
        ("audit", "verify"): (),
        ("audit", "export"): ("--all", "--out", folder / "bundle"),
        ("db", "url"): (),
        ("db", "psql"): (),
        ("doctor",): (),
    }


def test_no_other_command_creates_a_database(run: Run, tmp_path: Path) -> None:
    """All commands are listed, so that a new one must be added. No file is created."""
    commands, home = commands_on(tmp_path), tmp_path / "home"
    leaves = {words for words, it in all_commands() if not isinstance(it, click.Group)}
    assert leaves - MAKERS - WITHOUT == set(commands)
    before = sorted(tmp_path.rglob("*"))
    for path, words in commands.items():
        ended = run(*path, *words, COLLOQUY_HOME=str(home))
        assert (ended.code, ended.err.count("\n")) == (1, 1), (path, ended)
        assert ended.err.startswith(f"colloquy: there is no database in {home}: "), ended.err
        assert "colloquy serve" in ended.err
        assert "DATABASE_URL" in ended.err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_home_without_data_of_its_own_has_no_database(run: Run, tmp_path: Path) -> None:
    """The home of a service with another database; of one that never started; a file."""
    elsewhere, empty, file = (tmp_path / name for name in ("elsewhere", "empty", "file"))
    (elsewhere / "keys").mkdir(parents=True, mode=0o700)
    (empty / "postgres").mkdir(parents=True)
    file.touch()
    before = sorted(tmp_path.rglob("*"))
    for home in (elsewhere, empty, file):
        told = refused(run("log", "show", COLLOQUY_HOME=str(home)))
        assert told.startswith(f"there is no database in {home}: ")
    assert sorted(tmp_path.rglob("*")) == before
