"""`colloquy account`, and commands with `--account`."""

from pathlib import Path

import msgspec
import pytest

from tests.service.cli.command_runs import EXPERIENCE, HEAD, Run, file_with, refused


@pytest.fixture
def second(on_database: Run) -> str:
    """The number of a second institution."""
    made = on_database("account", "create", "Another school")
    assert made.code == 0
    return made.out.strip()


def test_an_institution_gets_a_number_and_is_listed(on_database: Run, second: str) -> None:
    assert second == "2"
    listed = [line.split(maxsplit=1) for line in on_database("account", "list").out.splitlines()]
    assert listed == [["1", "Default account"], ["2", "Another school"]]


def test_what_nobody_would_see_is_no_name_and_no_reason(on_database: Run, second: str) -> None:
    for unseen in ("", " ", "\t\n", "\u200b", "\u3164\u2800", "\u2060 \ufeff"):
        for words in (
            ("account", "create", unseen),
            ("account", "link", "--account", second, "--user", 5, unseen),
            ("hold", "place", 5, "--reason", unseen),
            ("hold", "release", 1, "--reason", unseen),
            ("learner", "erase", 5, "--yes", "--reason", unseen),
        ):
            ended = on_database(*words)
            assert (ended.code, ended.out) == (2, ""), words
            assert "visible" in ended.err, ended.err
    assert len(on_database("account", "list").out.splitlines()) == 2


def test_each_institution_has_its_own_roster_tokens_experiences_and_log(
    on_database: Run, second: str, tmp_path: Path
) -> None:
    roster = file_with(tmp_path, f"{HEAD}\n7,5,Ada,teacher,active\n", "roster")
    draft = file_with(tmp_path, msgspec.json.encode(EXPERIENCE).decode(), "draft")
    of_second = ("--account", second)
    assert on_database("roster", "import", roster, *of_second).code == 0
    assert on_database("token", "create", "--user", 5, *of_second).code == 0
    assert on_database("experience", "import", "--course", 7, draft, *of_second).out == "1\n"
    assert len(on_database("log", "show", "--json", *of_second).json) == 1
    assert "user 5 (Ada)" in on_database("token", "list", *of_second).out
    # And nothing of it in the first.
    assert on_database("log", "show", "--json").json == []
    assert on_database("token", "list").out == ""
    assert "user 5 is not in the roster" in refused(on_database("token", "create", "--user", 5))
    assert "no course 7" in refused(on_database("experience", "import", "--course", 7, draft))


def test_a_users_name_at_the_identity_provider_is_linked_and_can_change(
    on_database: Run, ada: int
) -> None:
    for _ in range(2):
        linked = on_database("account", "link", "--account", 1, "--user", ada, "ada@example.edu")
        assert linked.out == "ada@example.edu is user 5\n"
    told = refused(on_database("account", "link", "--account", 1, "--user", 6, "bo"))
    assert told == "user 6 is not in the roster: import them first"


def test_an_institution_that_there_is_not_is_named(on_database: Run, tmp_path: Path) -> None:
    roster = file_with(tmp_path, f"{HEAD}\n7,5,Ada,teacher,active\n", "roster")
    draft = file_with(tmp_path, msgspec.json.encode(EXPERIENCE).decode(), "draft")
    for words in (
        ("roster", "import", roster),
        ("token", "create", "--user", 5),
        ("token", "list"),
        ("token", "revoke", 1),
        ("experience", "import", "--course", 7, draft),
        ("log", "show"),
    ):
        told = refused(on_database(*words, "--account", 9))
        assert told == "there is no account 9: see `colloquy account list`"
