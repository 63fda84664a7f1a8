"""`colloquy audit verify` and `colloquy audit export` as auditors use them."""

import shutil
from pathlib import Path

import pytest

from eventstore.connections import connect
from eventstore.running_log import running_log
from eventstore.sealing.signing_keys import KeyLocation, list_keys, open_signer
from service.identity.roster import Enrollment, import_roster
from tests.eventstore.building import Learner, append_steps, experience_created
from tests.eventstore.sealing.sealed import Sealed, tamper
from tests.service.audit.bundling import problem
from tests.service.cli.command_runs import Ended, Run, ask, now, refused

READS = "SELECT string_agg(data->>'what', ',' ORDER BY position) FROM events WHERE type = $1"


@pytest.fixture
def sealed(database_url: str, tmp_path: Path) -> Sealed:
    """Four messages, sealed in a home that the commands find."""

    async def make() -> Sealed:
        async with running_log(database_url) as (log, _pool, _notifier):
            made = Sealed(database_url, tmp_path, log)
            await made.say(4)
            await made.seal()
            return made

    return now(make)


def audit(run: Run, sealed: Sealed, *words: object, **settings: str) -> Ended:
    home = {"DATABASE_URL": sealed.url, "COLLOQUY_HOME": str(sealed.home)}
    return run("audit", *words, **{**home, **settings})


def reads(sealed: Sealed) -> list[str]:
    """The recorded commands."""
    return str(ask(sealed.url, READS, "history_read.v1") or "").split(",")


def test_verify_tells_what_it_saw_and_is_recorded(run: Run, sealed: Sealed) -> None:
    ended = audit(run, sealed, "verify", "--reason", "yearly")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[0] == ("account 1: 4 events, 4 texts, 0 removed as the log says")
    assert "not sealed yet: 0 events" in ended.out
    assert ended.out.splitlines()[1] == "log colloquy-test/1"
    assert ended.out.endswith("verified: nothing is wrong in what was compared\n")
    assert reads(sealed) == ["audit verify"]
    why = "SELECT data->>'reason' || ' ' || stream FROM events WHERE type = 'history_read.v1'"
    assert ask(sealed.url, why) == "yearly access"
    again = audit(run, sealed, "verify", "--json")
    assert (again.code, again.json[0]["unsealed"], again.json[0]["problem"]) == (0, 1, None)


def test_verify_ends_with_1_and_the_first_bad_position(run: Run, sealed: Sealed) -> None:
    now(lambda: tamper(sealed.url, "UPDATE event_content SET content = 'x' WHERE position = 3"))
    ended = audit(run, sealed, "verify")
    assert ended.code == 1
    assert ended.out.splitlines()[-1] == (
        "NOT VERIFIED (1 finding). First: position 3: the event's text or salt is not what the "
        "event commits to"
    )
    told = audit(run, sealed, "verify", "--json")
    assert (told.code, told.json[0]["position"]) == (1, 3)


def test_an_auditor_verifies_with_keys_and_files_of_their_own(
    run: Run, sealed: Sealed, tmp_path: Path
) -> None:
    kept = shutil.copytree(sealed.folder, tmp_path / "kept")
    keys = tmp_path / "keys-of-mine"
    keys.write_text("".join(f"{key}\n" for key in list_keys(sealed.place)))
    shutil.rmtree(sealed.folder)
    shutil.rmtree(sealed.home / "keys")
    own = ("--vkey", keys, "--checkpoints", kept)
    assert audit(run, sealed, "verify", *own).code == 0
    shutil.copytree(kept / "1", kept / "1.before")
    assert "1.before" in refused(audit(run, sealed, "verify", *own))
    shutil.rmtree(kept / "1.before")
    shutil.copy(kept / "1" / "latest", kept / "latest")
    assert "is not read: the files belong into" in refused(audit(run, sealed, "verify", *own))
    (kept / "latest").unlink()
    assert audit(run, sealed, "verify").code == 1
    empty = tmp_path / "empty"
    empty.mkdir()
    ended = audit(run, sealed, "verify", "--vkey", keys, "--checkpoints", empty)
    assert "nothing was compared with the database: " in ended.out
    keys.write_text("# none\n")
    assert refused(audit(run, sealed, "verify", *own)).endswith("holds no key")


def test_export_makes_a_bundle_and_is_recorded(run: Run, sealed: Sealed, tmp_path: Path) -> None:
    ended = audit(run, sealed, "export", 1, "--out", tmp_path / "one")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        f"{tmp_path / 'one'}: 4 events and 4 texts, cut at the checkpoint of 4 events; "
        "not sealed then and so not exported: 1 event\n"
    )
    assert problem(tmp_path / "one") == ""
    for words in (("--user", 101), ("--course", 1), ("--all",)):
        folder = tmp_path / str(words[0])
        told = audit(run, sealed, "export", *words, "--out", folder, "--json")
        assert (told.code, told.json[0]["events"]) == (0, 4)
        assert problem(folder) == ""
    assert reads(sealed) == [
        *("audit export conversation 1", "audit export user 101"),
        *("audit export course 1", "audit export all"),
    ]
    assert "holds a finished bundle" in refused(
        audit(run, sealed, "export", 1, "--out", tmp_path / "one")
    )


def test_export_tells_where_the_keys_are_that_do_not_fit(
    run: Run, sealed: Sealed, tmp_path: Path
) -> None:
    home = tmp_path / "another-home"
    open_signer(KeyLocation(home / "keys"))
    told = refused(
        audit(run, sealed, "export", 1, "--out", tmp_path / "one", COLLOQUY_HOME=str(home))
    )
    assert told == (
        f"a checkpoint does not fit the keys in {home / 'keys' / 'vkeys'}: "
        "none of the keys has signed this checkpoint"
    )
    assert list((tmp_path / "one").iterdir()) == []


def test_a_reason_can_be_required(run: Run, sealed: Sealed, tmp_path: Path) -> None:
    for words in (("verify",), ("export", "--all", "--out", tmp_path / "all")):
        told = refused(audit(run, sealed, *words, COLLOQUY_AUDIT_REASON="required"))
        assert told == "a reason is required: give --reason"
        why = ("--reason", "complaint 7")
        assert audit(run, sealed, *words, *why, COLLOQUY_AUDIT_REASON="required").code == 0
    told = refused(audit(run, sealed, "verify", "--reason", "x" * 501))
    assert told == "reason must be 500 characters or fewer"


def test_export_wants_one_selection_and_an_account_that_there_is(
    run: Run, sealed: Sealed, tmp_path: Path
) -> None:
    out = ("--out", tmp_path / "out")
    for words in ((), (1, "--all"), ("--course", 1, "--user", 2)):
        assert audit(run, sealed, "export", *words, *out).code == 2
    for command in (("verify",), ("export", "--all", *out)):
        told = refused(audit(run, sealed, *command, "--account", 9))
        assert told == "there is no account 9: see `colloquy account list`"
    told = refused(audit(run, sealed, "export", "--all", "--size", 3, *out))
    assert told == "account 1 has no checkpoint of 3 events: see `colloquy seal status`"


def test_what_an_auditor_keeps_is_proved_by_size_or_by_file(
    run: Run, sealed: Sealed, tmp_path: Path
) -> None:
    kept = shutil.copytree(sealed.files, tmp_path / "kept")
    assert audit(run, sealed, "export", 1, "--out", tmp_path / "first").code == 0
    now(sealed.seal)
    keys = sealed.place.vkeys
    for number, place in enumerate((4, kept, kept / "latest")):
        out = tmp_path / str(number)
        done = audit(run, sealed, "export", 1, "--out", out, "--prove", place)
        assert (done.code, problem(out, keys, kept)) == (0, ""), done
    out = tmp_path / "out"
    (tmp_path / "words").write_text("and so on")
    for place, why in (
        (0, "0 is not in the range"),
        (tmp_path / "nowhere", "does not exist"),
        (tmp_path / "words", "there is something else: 'and so on'"),
        (77, "account 1 has no checkpoint of 77 events"),
    ):
        ended = audit(run, sealed, "export", 1, "--out", out, "--prove", place)
        assert ended.code != 0, ended
        assert why in ended.err


def test_an_export_that_reads_a_learners_words_is_in_their_record(
    run: Run, database_url: str, tmp_path: Path
) -> None:
    async def talk() -> None:
        learner = Learner(101)
        steps = [experience_created(), learner.asks_to_open(), learner.opens("What do you see?")]
        async with running_log(database_url) as (log, _pool, _notifier):
            await append_steps(log, steps)
            sealed = Sealed(database_url, tmp_path, log)
            await sealed.seal()
        connection = await connect(database_url)
        row = Enrollment(course_id=1, user_id=101, name="L", role="learner", status="active")
        await import_roster(connection, 1, [row])
        await connection.close()

    now(talk)
    settings = {"DATABASE_URL": database_url, "COLLOQUY_HOME": str(tmp_path)}
    for number, words in enumerate(((1,), ("--course", 1), ("--all",))):
        out = tmp_path / f"bundle-{number}"
        assert run("audit", "export", *words, "--out", out, **settings).code == 0
    for course in (2, 1):
        assert run("audit", "events", "--course", course, **settings).code == 0
    streams = "SELECT string_agg(stream, ',' ORDER BY position) FROM events WHERE type = $1"
    assert ask(database_url, streams, "history_read.v1") == "access-101" + 4 * ",access"
    told = run("learner", "record", 101, "--json", **settings).json[0]["reads"]
    assert [(read["what"], read["conversation_id"], read["course_id"]) for read in told] == [
        (told[0]["what"], None, 1),
        ("audit export all", None, None),
        ("audit export course", None, 1),
        ("audit export conversation", 1, None),
    ]
    printed = run("learner", "record", 101, **settings).out
    for what in ("audit events of course 1", "audit export all", "audit export course of course 1"):
        assert what in printed
