"""An auditor finds every change that the database's owner makes."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from eventstore.connections import connect
from eventstore.envelope import NewEvent
from eventstore.events import AnyEvent
from eventstore.log import EventLog
from eventstore.privacy_events import LearnerErased, TextExpired
from eventstore.sealing.checkpoint_files import read_notes
from eventstore.sealing.signed_checkpoint import Checkpoint, read_note, sign
from eventstore.sealing.signing_keys import KeyLocation, open_signer, read_signer
from sql.loader import query
from tests.eventstore.building import ACCOUNT, append, messages
from tests.eventstore.sealing.sealed import Sealed, owning, tamper

LINES = 12


@pytest.fixture
async def sealed(database_url: str, log: EventLog, tmp_path: Path) -> Sealed:
    """Two checkpoints, of 8 and 12 events, in two conversations."""
    made = Sealed(database_url, tmp_path, log)
    await made.say(8)
    await made.seal()
    await made.say(4, conversation_id=2)
    await made.seal()
    return made


async def found(sealed: Sealed) -> tuple[int | None, str]:
    """The first finding."""
    report = await sealed.verify()
    assert report.problem is not None, "nothing was found"
    assert report.findings > 0
    return report.position, report.problem


async def test_a_log_that_nobody_touched_is_verified(sealed: Sealed) -> None:
    await sealed.say(3)
    report = await sealed.verify()
    assert report.problem is None
    assert (report.events, report.texts, report.removed) == (15, 15, 0)
    assert (report.sealed, report.unsealed) == (12, 3)
    assert (report.checkpoints, report.outside, report.findings) == (2, 2, 0)
    assert (report.log, report.outside_upto) == ("colloquy-test/1", 12)


async def test_an_empty_log_is_verified(database_url: str, log: EventLog, tmp_path: Path) -> None:
    report = await Sealed(database_url, tmp_path, log).verify()
    assert (report.problem, report.events, report.sealed_at) == (None, 0, None)


async def test_the_verified_line_is_the_leaf_that_the_sealer_hashes(sealed: Sealed) -> None:
    """The verifier repeats the expression, which nobody can replace in the database."""
    connection = await connect(sealed.url)
    rows = await connection.fetch(query("copy_lines"), ACCOUNT, 0, 99)
    lines = await connection.fetch("SELECT event_line_v1(e) FROM events e ORDER BY position")
    await connection.close()
    assert [row[2] for row in rows] == [line[0] for line in lines]
    assert len(rows) == LINES


CHANGES = {
    "text": ("UPDATE event_content SET content = 'x' WHERE position = 5", 5, "text or salt"),
    "salt": (
        "UPDATE event_content SET salt = uuid_send(gen_random_uuid()) WHERE position = 5",
        5,
        "text or salt",
    ),
    "text moved into the salt": (
        "ALTER TABLE event_content DROP CONSTRAINT event_content_salt;"
        "UPDATE event_content SET salt = salt || convert_to(left(content, 3), 'UTF8'),"
        " content = substr(content, 4) WHERE position = 5",
        5,
        "the event's salt has 19 bytes and not 16",
    ),
    "subject": (
        "UPDATE event_content SET subject_id = 999 WHERE position = 10",
        10,
        "kept as words of user 999, the log says of user 102",
    ),
    "timestamp": (
        "UPDATE events SET recorded_at = recorded_at + interval '1 us' WHERE position = 12",
        12,
        "not the one that was sealed",
    ),
    "timestamp before": (
        "UPDATE events SET recorded_at = recorded_at - interval '1 hour' WHERE position = 5",
        5,
        "before the one that it follows",
    ),
    "timestamp without end": (
        "UPDATE events SET recorded_at = 'infinity' WHERE position = 5",
        5,
        "not of the form of all events",
    ),
    "timestamp without beginning": (
        "UPDATE events SET recorded_at = '-infinity' WHERE position = 12",
        12,
        "not of the form of all events",
    ),
    "actor": (
        "UPDATE events SET metadata = jsonb_set(metadata, '{actor,id}', '7') WHERE position = 5",
        5,
        "not the one that was sealed",
    ),
    "data": (
        'UPDATE events SET data = data || \'{"model": "other"}\' WHERE position = 9',
        9,
        "not the one that was sealed",
    ),
    "type": (
        "UPDATE events SET type = 'message_sent.v1' WHERE position = 1",
        1,
        "not the one that was sealed",
    ),
    "commitment": (
        "UPDATE events e SET content_hash = sha256(c.salt || convert_to('x', 'UTF8')) "
        "FROM event_content c WHERE c.position = e.position AND e.position = 5",
        5,
        "text or salt",
    ),
    "stream": ("UPDATE events SET stream = 'other' WHERE position = 5", 5, "revision 5 of other"),
    "deleted": ("DELETE FROM events WHERE position = 5", 5, "events 5 to 5 are missing"),
    "deleted first": ("DELETE FROM events WHERE position = 1", 1, "events 1 to 1 are missing"),
    "missing text": (
        "DELETE FROM event_content WHERE position = 5",
        5,
        "text is missing, and no erasure",
    ),
    "stray text": (
        "INSERT INTO event_content VALUES (1, 40, 101, uuid_send(gen_random_uuid()), 'x')",
        40,
        "a text, but no event",
    ),
    "head back": ("UPDATE log_heads SET position = 10 WHERE account_id = 1", 11, "ends at 10"),
    "head on": ("UPDATE log_heads SET position = 20 WHERE account_id = 1", 13, "13 to 20 are"),
    "tail": ("DELETE FROM events WHERE position > 10", 11, "11 to 12 are missing at"),
    "tile": (
        "UPDATE tree_tiles SET hashes = set_byte(hashes, 32 * 6 + 1, "
        "(get_byte(hashes, 32 * 6 + 1) + 1) % 256)",
        7,
        "not the one that was sealed",
    ),
    "tiles gone": ("DELETE FROM tree_tiles", 1, "stored tree ends before"),
    "root": ("UPDATE tree_heads SET root = sha256('x') WHERE size = 8", 8, "not what its note"),
    "note": (
        "UPDATE tree_heads SET note = replace(note, 'time 2', 'time 3') WHERE size = 8",
        8,
        "not genuine",
    ),
    "sealed when": (
        "UPDATE tree_heads SET sealed_at = now() + interval '1 day' WHERE size = 8",
        8,
        "not what its note",
    ),
    "replayed": (
        "UPDATE tree_heads SET note = (SELECT note FROM tree_heads WHERE size = 8) WHERE size = 12",
        12,
        "not what its note",
    ),
    "checkpoint gone": ("DELETE FROM tree_heads WHERE size = 8", 8, "lacks the checkpoint of 8"),
    "last gone": ("DELETE FROM tree_heads WHERE size = 12", 12, "lacks the checkpoint of 12"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_is_found_where_it_was_made(sealed: Sealed, change: str) -> None:
    statement, position, problem = CHANGES[change]
    await tamper(sealed.url, statement)
    where, what = await found(sealed)
    assert (where, problem in what) == (position, True), what


REMOVALS: dict[str, tuple[str, AnyEvent]] = {
    "expiry": (
        "dialogue-1-101",
        TextExpired(conversation_id=1, user_id=101, texts=8, rule="course", days=1),
    ),
    "erasure": (
        "learner-101",
        LearnerErased(
            user_id=101, reason="asked", texts=8, conversations=1, names=0, identities=0, tokens=0
        ),
    ),
}


@pytest.mark.parametrize("removal", REMOVALS)
async def test_a_text_that_an_earlier_removal_should_have_taken_is_found(
    sealed: Sealed, removal: str
) -> None:
    """All texts of the conversation but one are deleted."""
    stream, event = REMOVALS[removal]
    await append(sealed.log, stream, NewEvent(event=event))
    await tamper(sealed.url, "DELETE FROM event_content WHERE position <= 8 AND position <> 3")
    where, what = await found(sealed)
    assert (where, what) == (
        3,
        f"the text is there, but {event.__struct_config__.tag} at position 13 removed it",
    )


@pytest.mark.parametrize("removal", REMOVALS)
async def test_a_text_after_a_removal_is_no_finding(sealed: Sealed, removal: str) -> None:
    stream, event = REMOVALS[removal]
    await append(sealed.log, stream, NewEvent(event=event))
    await tamper(sealed.url, "DELETE FROM event_content WHERE position <= 8")
    await sealed.say(1)
    report = await sealed.verify()
    assert (report.problem, report.removed, report.texts) == (None, 8, 5)


async def test_a_text_in_no_dialogue_is_found(sealed: Sealed) -> None:
    (message,) = messages(1, 9)
    await append(sealed.log, "notes", message)
    assert await found(sealed) == (13, "the log does not say whose words the text is")


async def test_an_event_without_a_valid_time_hides_no_later_finding(sealed: Sealed) -> None:
    await tamper(sealed.url, "UPDATE events SET recorded_at = 'infinity' WHERE position = 5")
    report = await sealed.verify()
    assert (report.position, report.events, report.texts) == (5, LINES, LINES - 1)


async def test_an_inserted_event_is_found(sealed: Sealed) -> None:
    """All later events and the head move up by one."""
    columns = "account_id, {}, stream, {}, {}, type, conversation_id, data, metadata, content_hash"
    target = columns.format("position", "revision", "event_id")
    source = columns.format("5", "5", "gen_random_uuid()")
    await tamper(
        sealed.url,
        "UPDATE events SET position = -position - 1, revision = CASE stream "
        "WHEN 'dialogue-1-101' THEN -revision - 1 ELSE revision END WHERE position >= 5",
        "UPDATE events SET position = -position, revision = abs(revision) WHERE position < 0",
        "UPDATE event_content SET position = -position - 1 WHERE position >= 5",
        "UPDATE event_content SET position = -position WHERE position < 0",
        f"INSERT INTO events ({target}, recorded_at) SELECT {source}, recorded_at "
        "FROM events WHERE position = 4",
        "INSERT INTO event_content SELECT account_id, 5, subject_id, salt, content "
        "FROM event_content WHERE position = 4",
        "UPDATE log_heads SET position = 13 WHERE account_id = 1",
    )
    assert await found(sealed) == (5, "the event is not the one that was sealed")


async def test_swapped_events_are_found(sealed: Sealed) -> None:
    swap = (
        "UPDATE {} SET position = -position WHERE position IN (5, 7)",
        "UPDATE {} SET position = position + 12 WHERE position < 0",
    )
    await tamper(sealed.url, *(s.format(t) for t in ("events", "event_content") for s in swap))
    where, what = await found(sealed)
    assert (where, "has revision 7 of dialogue-1-101, not 5" in what) == (5, True)


DROPPED = (
    "DELETE FROM events WHERE position > 8",
    "DELETE FROM event_content WHERE position > 8",
    "UPDATE log_heads SET position = 8 WHERE account_id = 1",
)
DROPPED_TREE = (
    "UPDATE tree_tiles SET hashes = substr(hashes, 1, 8 * 32)",
    "DELETE FROM tree_heads WHERE size > 8",
)


async def test_a_tail_dropped_without_the_tree_is_found(sealed: Sealed) -> None:
    await tamper(sealed.url, *DROPPED)
    assert await found(sealed) == (9, "the stored tree has 12 leaves, the log 8 events")


async def test_a_tail_dropped_with_the_tree_is_found_by_the_files(sealed: Sealed) -> None:
    await tamper(sealed.url, *DROPPED, *DROPPED_TREE)
    where, what = await found(sealed)
    assert where == 9
    assert "the log ends here, but " in what
    assert "has a checkpoint of 12 events" in what


async def rewrite(sealed: Sealed, place: KeyLocation, tmp_path: Path) -> None:
    """Changes an old text, and rebuilds tree and checkpoints consistently."""
    files = tmp_path / "of-the-attacker"
    await tamper(
        sealed.url,
        "UPDATE event_content SET content = 'I never said that' WHERE position = 5",
        "UPDATE events e SET content_hash = sha256(c.salt || convert_to(c.content, 'UTF8')) "
        "FROM event_content c WHERE c.position = e.position AND e.position = 5",
        "DELETE FROM tree_tiles",
        "DELETE FROM tree_heads",
    )
    await sealed.seal(files, place)


async def test_a_rewritten_history_is_found_without_the_key(sealed: Sealed, tmp_path: Path) -> None:
    await rewrite(sealed, KeyLocation(tmp_path / "theirs", name="colloquy-test"), tmp_path)
    where, what = await found(sealed)
    assert where == 1
    assert "has another root than " in what


async def test_a_rewritten_history_is_found_though_signed_with_the_key(
    sealed: Sealed, tmp_path: Path
) -> None:
    await rewrite(sealed, sealed.place, tmp_path)
    where, what = await found(sealed)
    assert where == 1
    assert "another root than " in what
    # With their files as well, nobody can tell; so auditors keep copies of their own.
    assert (await sealed.verify(tmp_path / "of-the-attacker" / "1")).problem is None


async def test_files_may_lag_but_not_differ_or_be_missing(sealed: Sealed) -> None:
    await sealed.say(1)
    kept = {path.name: path.read_bytes() for path in sealed.files.iterdir()}
    await sealed.seal()
    for name, content in kept.items():
        (sealed.files / name).write_bytes(content)
    report = await sealed.verify()
    assert (report.problem, report.outside_upto, report.sealed) == (None, 12, 13)
    shutil.rmtree(sealed.files)
    where, what = await found(sealed)
    assert where is None
    assert what.startswith("nothing was compared with the database: ")


def days(sealed: Sealed) -> list[Path]:
    """The files of checkpoints: one a day, and midnight may have passed between the two."""
    return sorted(sealed.files.glob("*.checkpoints"))


async def test_a_forged_checkpoint_in_the_files_is_found(sealed: Sealed, tmp_path: Path) -> None:
    path = days(sealed)[-1]
    stranger = KeyLocation(tmp_path / "stranger", name="colloquy-test")
    await sealed.seal(tmp_path / "nowhere", stranger)
    said = Checkpoint("colloquy-test/1", 12, bytes(32), datetime.now(UTC))
    forged = sign(said, "colloquy-test", read_signer(stranger).private)
    path.write_text("".join(f"{note}\n" for note in (*read_notes(path)[:-1], forged)))
    where, what = await found(sealed)
    assert where == 9
    assert "none of the keys has signed" in what


async def test_an_older_checkpoint_in_the_files_is_found(sealed: Sealed) -> None:
    first, last = days(sealed)[0], days(sealed)[-1]
    with last.open("a") as file:
        file.write(read_notes(first)[0] + "\n")
    where, what = await found(sealed)
    assert (where, what.endswith("has 8 events after 12")) == (8, True)


async def test_a_checkpoint_of_another_log_is_found(sealed: Sealed) -> None:
    """Signed by the same key for another account."""
    signer = read_signer(sealed.place)
    path = days(sealed)[-1]
    said = Checkpoint("colloquy-test/2", 14, bytes(32), datetime.now(UTC))
    with path.open("a") as file:
        file.write(sign(said, signer.name, signer.private) + "\n")
    where, what = await found(sealed)
    assert (where, what.endswith("is of another log: colloquy-test/2")) == (13, True)


async def test_a_checkpoint_of_another_log_by_a_trusted_key_is_found(
    sealed: Sealed, tmp_path: Path
) -> None:
    """Two logs with one account number, whose keys the auditor both trusts."""
    other = open_signer(KeyLocation(tmp_path / "other", name="colloquy-other"))
    head = await last_note(sealed)
    said = msgspec.structs.replace(read_note(head), origin="colloquy-other/1")
    await tamper(
        sealed.url,
        f"UPDATE tree_heads SET note = '{sign(said, other.name, other.private)}' WHERE size = 12",
    )
    with sealed.place.vkeys.open("a") as file:
        file.write(f"{other.public}\n")
    where, what = await found(sealed)
    assert (where, what) == (12, "a checkpoint in the database is of another log: colloquy-other/1")


async def test_a_logs_name_does_not_depend_on_the_signer(sealed: Sealed, tmp_path: Path) -> None:
    other = KeyLocation(tmp_path / "other", name="colloquy-other")
    await sealed.say(1)
    await sealed.seal(place=other)
    assert read_note(await last_note(sealed)).origin == "colloquy-test/1"
    with sealed.place.vkeys.open("a") as file:
        file.write(f"{read_signer(other).public}\n")
    assert (await sealed.verify()).problem is None


async def last_note(sealed: Sealed) -> str:
    connection = await connect(sealed.url)
    try:
        row = await connection.fetchrow(query("get_tree_head"), ACCOUNT, None)
    finally:
        await connection.close()
    assert row is not None
    return str(row["note"])


async def test_a_change_is_found_in_a_tree_of_three_levels(
    database_url: str, log: EventLog, tmp_path: Path
) -> None:
    made = Sealed(database_url, tmp_path, log)
    await made.say(1)
    async with owning(database_url) as connection:
        await connection.execute(
            "INSERT INTO events SELECT account_id, position + n, stream, revision + n, "
            "gen_random_uuid(), type, conversation_id, data, metadata, NULL, recorded_at "
            "FROM events, generate_series(1, 70003) n"
        )
        await connection.execute("UPDATE log_heads SET position = 70004 WHERE account_id = 1")
    await made.seal()
    assert (await made.verify()).problem is None
    await tamper(database_url, "DELETE FROM tree_tiles WHERE level = 1 AND index = 1")
    assert await found(made) == (65_537, "tile 1 of level 1 of the tree is missing")
    for position in (70_000, 257, 256, 3):
        change = f"UPDATE events SET data = data - 'model' WHERE position = {position}"
        await tamper(database_url, change)
        assert await found(made) == (position, "the event is not the one that was sealed")
