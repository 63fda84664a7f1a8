"""`colloquy analytics export`, `check` and `dictionary` as analysts use them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from eventstore.connections import close_pool, open_pool
from eventstore.running_log import running_log
from tests.eventstore.building import Learner, append_steps
from tests.projections.viewing import catch_up
from tests.running import ROOT
from tests.service.cli.command_runs import Run, ask, now, refused

HINT = "change its interface's version and run `make docs`"


@pytest.fixture
def said(database_url: str) -> Callable[[], None]:
    """A learner posts a message in a conversation, and the tables have both."""

    async def say() -> None:
        learner = Learner()
        steps = [learner.asks_to_open(), learner.opens(), learner.says()]
        async with running_log(database_url) as (log, _, notifier):
            await append_steps(log, steps)
            workers = await open_pool(database_url, "colloquy_worker", 2)
            try:
                await catch_up(workers, notifier)
            finally:
                await close_pool(workers)

    return lambda: now(say)


def test_export_tells_what_it_wrote_and_that_nothing_is_new(
    on_database: Run, said: Callable[[], None], tmp_path: Path
) -> None:
    said()
    out = tmp_path / "out"
    ended = on_database("analytics", "export", "turn_facts", "--out", out)
    assert (ended.code, ended.err) == (0, "")
    assert " ".join(ended.out.split()) == (
        "turn_facts account 1 1 file written (2 rows), 0 unchanged; cut at position 3 of 3"
    )
    again = on_database("analytics", "export", "turn_facts", "--out", out)
    assert again.out.splitlines()[1:] == ["nothing new"]
    checked = on_database("analytics", "check", out)
    assert checked.code == 0
    assert checked.out.startswith("1 file, 2 rows, ")
    (file,) = out.rglob("*.parquet")
    file.write_bytes(b"")
    damaged = on_database("analytics", "check", out)
    assert (damaged.code, damaged.out) == (
        1,
        f"{file.relative_to(out)}: is not what was written\n",
    )


def test_export_warns_of_a_table_that_is_behind_or_waits_for_it(
    on_database: Run, said: Callable[[], None], database_url: str, tmp_path: Path
) -> None:
    said()
    pause = "INSERT INTO projection_pauses (name) VALUES ('turn_facts')"
    ask(database_url, pause)
    ended = on_database("analytics", "export", "--all", "--out", tmp_path / "out")
    assert ended.code == 0
    assert ended.err == (
        "colloquy: warning: turn_facts of account 1 is 0 events (0.0 s) behind the log; "
        "it is paused\n"
    )
    back = "UPDATE projection_checkpoints SET position = 2 WHERE name = 'turn_facts'"
    ask(database_url, back)
    command = ("analytics", "export", "--all", "--out", tmp_path / "out", "--fresh", "0.2")
    why = refused(on_database(*command))
    assert why.startswith("after 0.2 s turn_facts of account 1 is 1 event (")
    assert why.endswith("behind the log; it is paused")


def test_what_cannot_be_exported_is_said_in_a_line(on_database: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    why = refused(on_database("analytics", "export", "feelings", "--out", out))
    assert why.startswith("there is no table feelings; there are conversation_facts, ")
    why = refused(on_database("analytics", "export", "--all", "--account", 9, "--out", out))
    assert why == "there is no account 9: see `colloquy account list`"
    why = refused(on_database("analytics", "export", "--all", "--since", 999, "--out", out))
    assert why == "--since 999: the log ends at 0"
    (tmp_path / "thesis.txt").touch()
    why = refused(on_database("analytics", "export", "--all", "--out", tmp_path))
    assert why.endswith("holds something else than an export: it has no manifest.ndjson")
    assert refused(on_database("analytics", "check", tmp_path)).endswith(
        "it has no manifest.ndjson"
    )


@pytest.mark.parametrize(
    "options", [[], ["turn_facts", "--all"], ["--all", "--since", "yesterday"], ["--all", "--x"]]
)
def test_wrong_usage_is_a_usage_error(on_database: Run, tmp_path: Path, options: list[str]) -> None:
    assert on_database("analytics", "export", *options, "--out", tmp_path / "out").code == 2


def test_the_dictionary_matches_the_database(on_database: Run) -> None:
    """Queries depend on the columns of an interface."""
    ended = on_database("analytics", "dictionary")
    assert ended.out == (ROOT / "docs/dictionary.md").read_text("utf-8"), HINT
    tables = on_database("analytics", "dictionary", "--format", "json").json
    assert {table["table"] for table in tables} >= {"turn_facts", "experience_funnel", "freshness"}
    for table in tables:
        assert table["grain"]
        for column in table["columns"]:
            assert column["meaning"], (table["table"], column["name"])
    (one,) = on_database(
        "analytics", "dictionary", "--table", "turn_facts", "--format", "json"
    ).json
    assert (one["interface"], one["key"], one["day"]) == (
        1,
        ["account_id", "turn_id"],
        "requested_at",
    )
    why = refused(on_database("analytics", "dictionary", "--table", "feelings"))
    assert why.startswith("there is no table feelings; there are ")
