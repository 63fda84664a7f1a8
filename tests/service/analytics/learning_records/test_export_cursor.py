"""Files and checkpoints: an interrupted export resumes without repeated or missing records."""

import asyncio
import os
import stat
from pathlib import Path

import msgspec
import pytest

from eventstore.connections import AccountPool
from eventstore.log import EventLog
from eventstore.notifier import Notifier
from projections.parallel_build import silent
from service.access_log import Reader
from service.analytics.errors import CursorUnfit, ExportFileUnfit
from service.analytics.learning_records.batches import Batch, Record
from service.analytics.learning_records.export_cursor import CursorFile, ExportCursor, ExportScope
from service.analytics.learning_records.export_run import ExportResult, ExportRun, PositionRange
from service.analytics.learning_records.record_export import RecordExporter, RecordExportRequest
from service.analytics.learning_records.record_file import RecordFile
from service.analytics.learning_records.source_events import LearningLog
from service.audit.service import AuditService
from tests.disks import full_beyond
from tests.service.analytics.course_history import export_to, lines, talk

Parts = tuple[EventLog, AccountPool, Notifier]
EXPORT = export_to()
LOG = "018cc251-f400-7000-8000-000000000001"
TORN = b'{"id":"torn'


async def nothing() -> None:
    """Records nothing."""


def request(file: Path, checkpoint: Path, *, until: int | None = None) -> RecordExportRequest:
    return RecordExportRequest(
        export=EXPORT,
        out=file,
        checkpoint=checkpoint,
        since=None,
        until=until,
        batch=100,
        authorization=None,
        reader=Reader(operator="root"),
    )


async def export_some(
    pool: AccountPool,
    file: Path,
    cursor_file: CursorFile,
    positions: PositionRange,
    stop_after: int | None = None,
) -> ExportResult:
    """One run in batches of three, stopped after a number of batches as by Ctrl-C."""
    stop = asyncio.Event()
    batches = 0

    def progress(_done: int, _total: int) -> None:
        nonlocal batches
        batches += 1
        if batches == stop_after:
            stop.set()

    sink = RecordFile.resume(file, cursor_file.read(EXPORT, LOG))
    sending = ExportRun(
        first_event=LOG,
        log=LearningLog(pool),
        export=EXPORT,
        sink=sink,
        size=3,
        cursor_file=cursor_file,
        before_first=nothing,
        progress=progress,
        stop=stop,
    )
    try:
        return await sending.run(positions)
    finally:
        sink.close()


async def test_a_stopped_run_is_resumed(log_parts: Parts, tmp_path: Path) -> None:
    log, pool, _ = log_parts
    await talk(log, exchanges=10)
    head = await log.head(1)
    file, cursor_file = tmp_path / "records", CursorFile(tmp_path / "checkpoint")
    first = await export_some(pool, file, cursor_file, PositionRange(0, head), stop_after=2)
    assert first.records == 6
    assert first.position < head
    then = await export_some(pool, file, cursor_file, PositionRange(first.position, head))
    assert then.position == head
    assert file.read_bytes().splitlines() == await lines(pool)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("torn", [b"", TORN, b"{}\n" * 5 + TORN])
async def test_lines_after_the_last_checkpoint_are_cut_off(
    log_parts: Parts, tmp_path: Path, torn: bytes
) -> None:
    """A crash may leave lines and a partial line after the last checkpoint."""
    log, pool, _ = log_parts
    await talk(log, exchanges=10)
    head = await log.head(1)
    file, cursor_file = tmp_path / "records", CursorFile(tmp_path / "checkpoint")
    first = await export_some(pool, file, cursor_file, PositionRange(0, head), stop_after=2)
    cursor = cursor_file.read(EXPORT, LOG)
    assert cursor is not None
    cursor_file.save(msgspec.structs.replace(cursor, finished=False))
    with file.open("ab") as out:
        out.write(torn)
    await export_some(pool, file, cursor_file, PositionRange(first.position, head))
    assert file.read_bytes().splitlines() == await lines(pool)


async def test_a_finished_export_continues_in_the_same_file_or_a_new_one(
    log_parts: Parts, tmp_path: Path
) -> None:
    log, pool, _ = log_parts
    await talk(log, exchanges=9)
    exporter = RecordExporter(log, pool, AuditService(log, pool, reason_required=False))
    one, two, checkpoint = tmp_path / "one", tmp_path / "two", tmp_path / "checkpoint"
    for file, until in ((one, 5), (one, 11), (two, 16)):
        await exporter.run(request(file, checkpoint, until=until), silent, asyncio.Event())
    assert one.read_bytes() + two.read_bytes() == b"".join(
        line + b"\n" for line in await lines(pool, upto=16)
    )
    two.unlink()  # taken away by whoever wanted it
    sent, positions = await exporter.run(request(two, checkpoint), silent, asyncio.Event())
    assert positions.after == 16
    assert len(two.read_bytes().splitlines()) == sent.records > 0


async def test_an_unfinished_file_must_be_finished_first(tmp_path: Path) -> None:
    cursor = ExportCursor(export=EXPORT, position=7, file=str(tmp_path / "one"), size=3)
    with pytest.raises(ExportFileUnfit, match=r"broke off in .*one"):
        RecordFile.resume(tmp_path / "two", cursor)


async def test_a_file_shorter_than_its_checkpoint_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "one"
    cursor = ExportCursor(export=EXPORT, position=7, file=str(file), size=30)
    with pytest.raises(ExportFileUnfit, match="No such file"):
        RecordFile.resume(file, cursor)
    file.write_bytes(b"short")
    with pytest.raises(ExportFileUnfit, match="shorter than the 30 bytes"):
        RecordFile.resume(file, cursor)


async def test_an_unknown_file_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "thesis"
    file.write_text("Chapter 1")
    with pytest.raises(ExportFileUnfit, match="is not empty, and no checkpoint continues it"):
        RecordFile.resume(file, None)
    assert file.read_text() == "Chapter 1"


async def test_a_pipe_is_refused(tmp_path: Path) -> None:
    """It has no size that a checkpoint could record."""
    os.mkfifo(tmp_path / "pipe")
    begun = ExportCursor(export=EXPORT, position=7, file=str(tmp_path / "pipe"), size=3)
    for cursor in (None, begun):
        with pytest.raises(ExportFileUnfit, match=r"pipe is not a regular file: leave --out away"):
            RecordFile.resume(tmp_path / "pipe", cursor)


async def test_a_full_disk_is_reported_and_the_checkpoint_holds(
    log_parts: Parts, tmp_path: Path
) -> None:
    log, pool, _ = log_parts
    await talk(log, exchanges=10)
    head = await log.head(1)
    file, cursor_file = tmp_path / "records", CursorFile(tmp_path / "checkpoint")
    with full_beyond(4_000), pytest.raises(ExportFileUnfit, match="records: File too large"):
        await export_some(pool, file, cursor_file, PositionRange(0, head))
    cursor = cursor_file.read(EXPORT, LOG)
    assert cursor is not None
    assert 0 < cursor.size < 4_000
    await export_some(pool, file, cursor_file, PositionRange(cursor.position, head))
    assert file.read_bytes().splitlines() == await lines(pool)


async def test_a_run_interrupted_before_its_first_line_restarts(tmp_path: Path) -> None:
    file = tmp_path / "one"
    cursor = ExportCursor(export=EXPORT, position=0, file=str(file))
    for _ in range(2):
        out = RecordFile.resume(file, cursor)
        assert out.size == 0
        await out.deliver(Batch([Record("1", 1, b"{}", frozenset())], 1))
        assert out.size == 3
        out.close()


@pytest.mark.parametrize(
    "other",
    [
        {"account_id": 2},
        {"format": "caliper"},
        {"base": "https://other.example.edu"},
        {"course_id": 7},
        {"store": "https://lrs.example.edu"},
    ],
)
def test_a_checkpoint_of_another_export_is_refused(
    tmp_path: Path, other: dict[str, object]
) -> None:
    file = CursorFile(tmp_path / "checkpoint")
    file.save(ExportCursor(export=EXPORT, position=7))
    changed: ExportScope = msgspec.structs.replace(EXPORT, **other)
    with pytest.raises(CursorUnfit, match="of another export: xapi of account 1"):
        file.read(changed, LOG)


async def test_a_checkpoint_of_another_database_is_refused(
    log_parts: Parts, tmp_path: Path
) -> None:
    log, pool, _ = log_parts
    await talk(log, exchanges=1)
    checkpoint = tmp_path / "checkpoint"
    exporter = RecordExporter(log, pool, AuditService(log, pool, reason_required=False))
    await exporter.run(request(tmp_path / "one", checkpoint), silent, asyncio.Event())
    cursor = CursorFile(checkpoint).read(EXPORT, await LearningLog(pool).first_event(1))
    assert cursor is not None
    CursorFile(checkpoint).save(msgspec.structs.replace(cursor, log=LOG))
    with pytest.raises(CursorUnfit, match=f"of another database: its log begins .* {LOG}"):
        await exporter.run(request(tmp_path / "one", checkpoint), silent, asyncio.Event())
    CursorFile(checkpoint).save(msgspec.structs.replace(cursor, log=None))
    await exporter.run(request(tmp_path / "one", checkpoint), silent, asyncio.Event())


def test_a_checkpoint_is_used_by_one_run_at_a_time(tmp_path: Path) -> None:
    file = CursorFile(tmp_path / "checkpoint")
    with file.locked(), pytest.raises(CursorUnfit, match="in use"), file.locked():
        pass
    with file.locked():
        assert file.read(EXPORT, LOG) is None


@pytest.mark.parametrize("damage", [b"", b"{}", b"not at all"])
def test_a_file_without_a_checkpoint_is_refused(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "checkpoint").write_bytes(damage)
    with pytest.raises(CursorUnfit, match="is not a checkpoint"):
        CursorFile(tmp_path / "checkpoint").read(EXPORT, LOG)


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    file = CursorFile(tmp_path / "no" / "checkpoint")
    with pytest.raises(CursorUnfit, match="No such file"):
        file.save(ExportCursor(export=EXPORT, position=1))
    with pytest.raises(CursorUnfit, match="No such file"), file.locked():
        pass


async def test_a_checkpoint_ahead_of_the_log_is_refused(log_parts: Parts, tmp_path: Path) -> None:
    """The log is another one, or was restored from an earlier backup."""
    log, pool, _ = log_parts
    cursor_file = CursorFile(tmp_path / "checkpoint")
    cursor_file.save(ExportCursor(export=EXPORT, position=99))
    with pytest.raises(CursorUnfit, match="position 99, but the log ends at 0"):
        await RecordExporter(log, pool, AuditService(log, pool, reason_required=False)).run(
            request(tmp_path / "one", cursor_file.path), silent, asyncio.Event()
        )
