"""Files and checkpoints: what broke off is gone on with, nothing twice and nothing missing."""

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
from service.analytics.errors import CheckpointUnfit, ExportFileUnfit
from service.analytics.learning_records.batches import Batch, Record
from service.analytics.learning_records.export import Exporter, Wanted
from service.analytics.learning_records.export_cursor import Checkpoint, CheckpointFile, Export
from service.analytics.learning_records.record_file import RecordFile
from service.analytics.learning_records.sending import Range, Sending, Sent
from service.analytics.learning_records.source_events import LearningLog
from service.audit.recording import CommandReads, Reader
from tests.disks import full_beyond
from tests.service.analytics.talking import export_to, lines, talk

Parts = tuple[EventLog, AccountPool, Notifier]
EXPORT = export_to()
LOG = "018cc251-f400-7000-8000-000000000001"
TORN = b'{"id":"torn'


async def nothing() -> None:
    """Nothing is to be recorded here."""


def wanted(file: Path, checkpoint: Path, *, until: int | None = None) -> Wanted:
    return Wanted(
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
    kept_in: CheckpointFile,
    positions: Range,
    stop_after: int | None = None,
) -> Sent:
    """One run in batches of three; told to stop after so many, as by Ctrl-C."""
    stop = asyncio.Event()
    batches = 0

    def progress(_done: int, _total: int) -> None:
        nonlocal batches
        batches += 1
        if batches == stop_after:
            stop.set()

    sink = RecordFile.resume(file, kept_in.read(EXPORT, LOG))
    sending = Sending(
        first_event=LOG,
        log=LearningLog(pool),
        export=EXPORT,
        sink=sink,
        size=3,
        kept_in=kept_in,
        before_first=nothing,
        progress=progress,
        stop=stop,
    )
    try:
        return await sending.run(positions)
    finally:
        sink.close()


async def test_a_run_that_was_told_to_stop_is_gone_on_with(
    log_parts: Parts, tmp_path: Path
) -> None:
    log, pool, _ = log_parts
    await talk(log, exchanges=10)
    head = await log.head(1)
    file, kept_in = tmp_path / "records", CheckpointFile(tmp_path / "checkpoint")
    first = await export_some(pool, file, kept_in, Range(0, head), stop_after=2)
    assert first.records == 6
    assert first.position < head
    then = await export_some(pool, file, kept_in, Range(first.position, head))
    assert then.position == head
    assert file.read_bytes().splitlines() == await lines(pool)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("torn", [b"", TORN, b"{}\n" * 5 + TORN])
async def test_what_no_checkpoint_covers_is_cut_off(
    log_parts: Parts, tmp_path: Path, torn: bytes
) -> None:
    """A crash may leave lines, and a part of one, after the last checkpoint."""
    log, pool, _ = log_parts
    await talk(log, exchanges=10)
    head = await log.head(1)
    file, kept_in = tmp_path / "records", CheckpointFile(tmp_path / "checkpoint")
    first = await export_some(pool, file, kept_in, Range(0, head), stop_after=2)
    kept = kept_in.read(EXPORT, LOG)
    assert kept is not None
    kept_in.keep(msgspec.structs.replace(kept, finished=False))
    with file.open("ab") as out:
        out.write(torn)
    await export_some(pool, file, kept_in, Range(first.position, head))
    assert file.read_bytes().splitlines() == await lines(pool)


async def test_a_finished_run_goes_on_in_the_same_file_or_in_a_new_one(
    log_parts: Parts, tmp_path: Path
) -> None:
    log, pool, _ = log_parts
    await talk(log, exchanges=9)
    exporter = Exporter(log, pool, CommandReads(log, pool, reason_required=False))
    one, two, checkpoint = tmp_path / "one", tmp_path / "two", tmp_path / "checkpoint"
    for file, until in ((one, 5), (one, 11), (two, 16)):
        await exporter.run(wanted(file, checkpoint, until=until), silent, asyncio.Event())
    assert one.read_bytes() + two.read_bytes() == b"".join(
        line + b"\n" for line in await lines(pool, upto=16)
    )
    two.unlink()  # taken away by whoever wanted it
    sent, positions = await exporter.run(wanted(two, checkpoint), silent, asyncio.Event())
    assert positions.after == 16
    assert len(two.read_bytes().splitlines()) == sent.records > 0


async def test_an_unfinished_file_must_be_finished_first(tmp_path: Path) -> None:
    kept = Checkpoint(export=EXPORT, position=7, file=str(tmp_path / "one"), size=3)
    with pytest.raises(ExportFileUnfit, match=r"broke off in .*one"):
        RecordFile.resume(tmp_path / "two", kept)


async def test_a_file_that_lacks_what_was_written_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "one"
    kept = Checkpoint(export=EXPORT, position=7, file=str(file), size=30)
    with pytest.raises(ExportFileUnfit, match="No such file"):
        RecordFile.resume(file, kept)
    file.write_bytes(b"short")
    with pytest.raises(ExportFileUnfit, match="shorter than the 30 bytes"):
        RecordFile.resume(file, kept)


async def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "thesis"
    file.write_text("Chapter 1")
    with pytest.raises(ExportFileUnfit, match="is there already"):
        RecordFile.resume(file, None)
    assert file.read_text() == "Chapter 1"


async def test_a_pipe_is_no_file_to_export_to(tmp_path: Path) -> None:
    """It has no size, so that nothing could be said of what is in it."""
    os.mkfifo(tmp_path / "pipe")
    begun = Checkpoint(export=EXPORT, position=7, file=str(tmp_path / "pipe"), size=3)
    for kept in (None, begun):
        with pytest.raises(ExportFileUnfit, match=r"pipe is no regular file: leave --out away"):
            RecordFile.resume(tmp_path / "pipe", kept)


async def test_a_full_disk_is_told_and_leaves_what_the_checkpoint_says(
    log_parts: Parts, tmp_path: Path
) -> None:
    log, pool, _ = log_parts
    await talk(log, exchanges=10)
    head = await log.head(1)
    file, kept_in = tmp_path / "records", CheckpointFile(tmp_path / "checkpoint")
    with full_beyond(4_000), pytest.raises(ExportFileUnfit, match="records: File too large"):
        await export_some(pool, file, kept_in, Range(0, head))
    kept = kept_in.read(EXPORT, LOG)
    assert kept is not None
    assert 0 < kept.size < 4_000
    await export_some(pool, file, kept_in, Range(kept.position, head))
    assert file.read_bytes().splitlines() == await lines(pool)


async def test_a_run_that_broke_off_before_its_first_line_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "one"
    kept = Checkpoint(export=EXPORT, position=0, file=str(file))
    for _ in range(2):
        out = RecordFile.resume(file, kept)
        assert out.size == 0
        await out.take(Batch([Record("1", 1, b"{}", frozenset())], 1))
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
    file = CheckpointFile(tmp_path / "checkpoint")
    file.keep(Checkpoint(export=EXPORT, position=7))
    changed: Export = msgspec.structs.replace(EXPORT, **other)
    with pytest.raises(CheckpointUnfit, match="of another export: xapi of account 1"):
        file.read(changed, LOG)


async def test_a_checkpoint_of_another_database_is_refused(
    log_parts: Parts, tmp_path: Path
) -> None:
    log, pool, _ = log_parts
    await talk(log, exchanges=1)
    checkpoint = tmp_path / "checkpoint"
    exporter = Exporter(log, pool, CommandReads(log, pool, reason_required=False))
    await exporter.run(wanted(tmp_path / "one", checkpoint), silent, asyncio.Event())
    kept = CheckpointFile(checkpoint).read(EXPORT, await LearningLog(pool).first_event(1))
    assert kept is not None
    CheckpointFile(checkpoint).keep(msgspec.structs.replace(kept, log=LOG))
    with pytest.raises(CheckpointUnfit, match=f"of another database: its log begins .* {LOG}"):
        await exporter.run(wanted(tmp_path / "one", checkpoint), silent, asyncio.Event())
    CheckpointFile(checkpoint).keep(msgspec.structs.replace(kept, log=None))
    await exporter.run(wanted(tmp_path / "one", checkpoint), silent, asyncio.Event())


def test_a_checkpoint_is_used_by_one_run_at_a_time(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / "checkpoint")
    with file.held(), pytest.raises(CheckpointUnfit, match="in use"), file.held():
        pass
    with file.held():
        assert file.read(EXPORT, LOG) is None


@pytest.mark.parametrize("damage", [b"", b"{}", b"not at all"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "checkpoint").write_bytes(damage)
    with pytest.raises(CheckpointUnfit, match="is not a checkpoint"):
        CheckpointFile(tmp_path / "checkpoint").read(EXPORT, LOG)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / "no" / "checkpoint")
    with pytest.raises(CheckpointUnfit, match="No such file"):
        file.keep(Checkpoint(export=EXPORT, position=1))
    with pytest.raises(CheckpointUnfit, match="No such file"), file.held():
        pass


async def test_a_checkpoint_ahead_of_the_log_is_refused(log_parts: Parts, tmp_path: Path) -> None:
    """The log is another one, or was restored from before."""
    log, pool, _ = log_parts
    kept_in = CheckpointFile(tmp_path / "checkpoint")
    kept_in.keep(Checkpoint(export=EXPORT, position=99))
    with pytest.raises(CheckpointUnfit, match="position 99, but the log ends at 0"):
        await Exporter(log, pool, CommandReads(log, pool, reason_required=False)).run(
            wanted(tmp_path / "one", kept_in.path), silent, asyncio.Event()
        )
