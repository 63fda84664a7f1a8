"""A later export into the same folder writes only what has changed."""

import re
from datetime import date
from pathlib import Path

import pytest

from eventstore.connections import Connection
from projections.definitions import definition
from projections.parallel_build import silent
from projections.rebuild import rebuild
from service.analytics.errors import ExportRefused
from service.analytics.table_files.folder_check import check_folder
from service.analytics.table_files.manifest import MANIFEST, Manifest
from tests.disks import full_beyond
from tests.eventstore.building import Learner
from tests.projections.analysing import Analysis
from tests.projections.viewing import with_version
from tests.service.analytics.table_files.exports import files_in, rows_of, stamps, take

DAY_1, DAY_2 = date(2031, 3, 1), date(2031, 3, 2)


def whole(out: Path) -> None:
    """Checks that the folder equals its manifest."""
    assert check_folder(out, silent).problems == []


async def test_an_export_without_changes_writes_nothing(
    ada: Learner, database_url: str, out: Path
) -> None:
    assert (await take(database_url, out)).files
    before = stamps(out)
    assert not (await take(database_url, out)).files
    assert stamps(out) == before
    whole(out)


async def test_a_day_is_written_again_when_a_row_of_it_has_changed(
    ada: Learner, analysis: Analysis, database_url: str, out: Path
) -> None:
    """A vote on the second day changes the conversation's row, which belongs to the first day."""
    await take(database_url, out)
    before = stamps(out)
    await analysis.happens(ada.gets_feedback(ada.replies[-1]))
    await analysis.sees("feedback_facts", "vote")
    taken = await take(database_url, out)
    assert set(taken.files) == {
        (table, 1) for table in ("conversation_facts", "daily_course_activity", "feedback_facts")
    }
    changed = {name for name, stamp in stamps(out).items() if before.get(name) != stamp}
    assert changed == {
        "conversation_facts/account=1/date=2031-03-01/conversation_facts.parquet",
        "daily_course_activity/account=1/date=2031-03-02/daily_course_activity.parquet",
        "feedback_facts/account=1/date=2031-03-02/feedback_facts.parquet",
        MANIFEST,
    }
    assert rows_of(out, "conversation_facts", "liked") == [(1,)]
    whole(out)


async def test_a_full_disk_is_reported_and_the_next_export_continues(
    ada: Learner, analysis: Analysis, database_url: str, out: Path
) -> None:
    """The disk is full when a line of the manifest is written in part."""
    await take(database_url, out, "ndjson")
    room = (out / MANIFEST).stat().st_size + 10
    await analysis.happens(ada.gets_feedback(ada.replies[-1]))
    await analysis.sees("feedback_facts", "vote")
    with full_beyond(room), pytest.raises(ExportRefused, match=r"cannot write .*File too large"):
        await take(database_url, out, "ndjson")
    assert (out / MANIFEST).stat().st_size == room
    assert (await take(database_url, out, "ndjson")).files
    whole(out)


async def test_an_unreadable_manifest_is_reported(database_url: str, out: Path) -> None:
    (out / MANIFEST).mkdir(parents=True)
    with pytest.raises(ExportRefused, match=f"cannot read .*{MANIFEST}: Is a directory"):
        await take(database_url, out)
    with pytest.raises(ExportRefused, match=f"cannot read .*{MANIFEST}: Is a directory"):
        check_folder(out, silent)


async def test_the_manifest_has_the_position_of_each_file_and_table(
    ada: Learner, analysis: Analysis, database_url: str, out: Path
) -> None:
    first = (await take(database_url, out, table="turn_facts")).written[0].position
    await analysis.happens(ada.says())
    await analysis.sees("turn_facts", "turn_id")
    await take(database_url, out, table="turn_facts")
    manifest = Manifest(out)
    days = manifest.days("turn_facts", 1)
    assert {day: (line.rows, line.position) for day, line in days.items()} == {
        DAY_1: (2, first),
        DAY_2: (2, first + 1),
    }
    cut = manifest.cut("turn_facts", 1)
    assert cut is not None
    assert (cut.position, cut.head, cut.lag_events) == (first + 1, first + 1, 0)
    lines = (out / MANIFEST).read_bytes().splitlines()
    assert len(lines) == 3, "lines that hold no more are left out"


async def test_since_leaves_other_days_unchanged(
    ada: Learner, database_url: str, out: Path
) -> None:
    taken = await take(database_url, out, table="turn_facts", since=DAY_2)
    assert [line.date for line in Manifest(out).files] == [DAY_2]
    assert taken.files == {("turn_facts", 1): 1}
    cut = Manifest(out).cut("turn_facts", 1)
    assert cut is not None
    assert cut.since == DAY_2
    head = taken.written[0].head
    assert not (await take(database_url, out, table="turn_facts", since=head)).files
    await take(database_url, out, table="turn_facts")
    assert {line.date for line in Manifest(out).files} == {DAY_1, DAY_2}
    assert (await take(database_url, out, table="turn_facts", full=True)).files == {
        ("turn_facts", 1): 2
    }


async def test_another_format_replaces_all_files(
    ada: Learner, database_url: str, out: Path
) -> None:
    await take(database_url, out, table="turn_facts")
    await take(database_url, out, "csv", table="turn_facts", since=DAY_2)
    assert {path.suffix for path in files_in(out)} == {".csv", ".ndjson"}
    assert [path.name for path in files_in(out)].count("turn_facts.csv") == 2
    whole(out)


async def test_another_version_is_written_again(ada: Learner, database_url: str, out: Path) -> None:
    await take(database_url, out, table="turn_facts")
    newer = definition("turn_facts").version + 1
    await rebuild(database_url, with_version(definition("turn_facts"), newer))
    assert (await take(database_url, out, table="turn_facts")).files == {("turn_facts", 1): 2}
    assert {line.version for line in Manifest(out).files} == {newer}


async def test_a_restored_log_is_written_again(ada: Learner, database_url: str, out: Path) -> None:
    """A restored database may have other events at these positions."""
    await take(database_url, out, table="turn_facts")
    text = (out / MANIFEST).read_text()
    (out / MANIFEST).write_text(text.replace('"position":', '"position":9'))
    assert (await take(database_url, out, table="turn_facts")).files == {("turn_facts", 1): 2}


async def test_the_folder_of_another_database_is_refused_and_unchanged(
    ada: Learner, term: str, database_url: str, out: Path
) -> None:
    await take(database_url, out)
    before = stamps(out)
    with pytest.raises(ExportRefused, match="has account 1 of another database: its log begins"):
        await take(term, out, account=1)
    assert stamps(out) == before
    await take(database_url, out)


async def test_a_manifest_without_its_log_gets_the_log(
    ada: Learner, term: str, database_url: str, out: Path
) -> None:
    await take(database_url, out)
    lines = (out / MANIFEST).read_bytes().splitlines()
    older = [re.sub(rb',"log":"[^"]+"', b"", line) for line in lines]
    assert older != lines
    (out / MANIFEST).write_bytes(b"\n".join(older) + b"\n")
    await take(database_url, out)
    with pytest.raises(ExportRefused, match="of another database"):
        await take(term, out, account=1)


async def test_a_row_that_moves_to_another_day_is_in_one_file(
    ada: Learner, owner: Connection, database_url: str, out: Path
) -> None:
    schema = await owner.fetchval("SELECT schema_name FROM projections WHERE name = 'turn_facts'")
    await take(database_url, out, table="turn_facts")
    await owner.execute(
        f"UPDATE {schema}.turn_facts SET requested_at = requested_at - interval '1 day' "
        "WHERE requested_at >= '2031-03-02'"
    )
    taken = await take(database_url, out, table="turn_facts")
    assert (taken.written[0].files, taken.written[0].removed) == (1, 1)
    assert len(rows_of(out, "turn_facts")) == 3
    whole(out)


async def test_a_missing_or_shortened_file_is_written_again(
    ada: Learner, database_url: str, out: Path
) -> None:
    await take(database_url, out, table="turn_facts")
    missing, shortened = (out / line.path for line in Manifest(out).files)
    missing.unlink()
    shortened.write_bytes(shortened.read_bytes()[:-1])
    assert len(check_folder(out, silent).problems) == 2
    assert (await take(database_url, out, table="turn_facts")).files == {("turn_facts", 1): 2}
    whole(out)


async def test_a_changed_file_is_detected_and_written_again_on_request(
    ada: Learner, database_url: str, out: Path
) -> None:
    await take(database_url, out, "csv", table="turn_facts")
    path = out / Manifest(out).files[0].path
    path.write_bytes(path.read_bytes().replace(b"completed", b"cancelled"))
    name = str(path.relative_to(out))
    assert check_folder(out, silent).problems == [f"{name}: is not what was written"]
    assert not (await take(database_url, out, "csv", table="turn_facts")).files
    again = await take(database_url, out, "csv", table="turn_facts", check=True)
    assert again.files == {("turn_facts", 1): 1}
    (out / "turn_facts" / "more.csv").touch()
    assert check_folder(out, silent).problems == ["turn_facts/more.csv: is not in the manifest"]


async def test_an_incomplete_line_is_ignored(ada: Learner, database_url: str, out: Path) -> None:
    await take(database_url, out, table="turn_facts")
    lines = (out / MANIFEST).read_bytes().splitlines(keepends=True)
    (out / MANIFEST).write_bytes(lines[0] + lines[1][:40])
    assert (await take(database_url, out, table="turn_facts")).files == {("turn_facts", 1): 1}
    assert len(Manifest(out).files) == 2
    whole(out)
