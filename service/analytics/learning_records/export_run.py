"""Exports learning records: reads the log, converts events, delivers them, saves its cursor."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from projections.parallel_build import Progress
from service.analytics.learning_records.batches import RECORDERS, Batch, batches
from service.analytics.learning_records.export_cursor import CursorFile, ExportCursor, ExportScope
from service.analytics.learning_records.iris import Names
from service.analytics.learning_records.record_file import RecordFile
from service.analytics.learning_records.record_store import RecordStore
from service.analytics.learning_records.source_events import LearningLog

Sink = RecordFile | RecordStore


class PositionRange(msgspec.Struct, frozen=True):
    """Positions of the log above `after`, up to `upto`."""

    after: int
    upto: int


class ExportResult(msgspec.Struct, frozen=True):
    """The result of an export: the number of records, and the position up to which all are done."""

    records: int
    position: int


class ExportRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of an export.

    Attributes:
        first_event: Id of the log's first event.
        size: Number of records in a batch.
        cursor_file: Stores the export's progress; None for an export that cannot be resumed.
        before_first: Awaited before the first record is delivered.
        progress: Called with the number of positions read and to read.
        stop: Ends the run after the current batch.
    """

    log: LearningLog
    first_event: str | None
    export: ExportScope
    sink: Sink
    size: int
    cursor_file: CursorFile | None
    before_first: Callable[[], Awaitable[None]]
    progress: Progress
    stop: asyncio.Event

    async def run(self, positions: PositionRange) -> ExportResult:
        """Exports the records of a range, or the first part of it if it is stopped.

        Raises:
            ServiceError: The sink or the checkpoint failed. Records up to the last checkpoint are
                delivered.
        """
        delivered, begun, position = 0, False, positions.after
        self._save_cursor(position, finished=False)
        async for batch in self._batches(positions):
            if batch.records:
                if not begun:
                    await self.before_first()
                    begun = True
                delivered += await self.sink.deliver(batch)
                self._save_cursor(batch.upto, finished=False)
            position = batch.upto
            self.progress(position - positions.after, positions.upto - positions.after)
            if self.stop.is_set():
                break
        self._save_cursor(position, finished=True)
        return ExportResult(delivered, position)

    async def _batches(self, positions: PositionRange) -> AsyncIterator[Batch]:
        recorder = RECORDERS[self.export.format]
        names = Names(self.export.base, self.export.account_id)
        windows = self.log.windows(
            self.export.account_id,
            recorder.types,
            after=positions.after,
            upto=positions.upto,
            course_id=self.export.course_id,
        )
        async for window in windows:
            for batch in batches(recorder, names, window, self.size):
                yield batch

    def _save_cursor(self, position: int, *, finished: bool) -> None:
        if self.cursor_file is None:
            return
        file = self.sink if isinstance(self.sink, RecordFile) else None
        self.cursor_file.save(
            ExportCursor(
                export=self.export,
                position=position,
                file=str(file.path) if file else None,
                size=file.size if file else 0,
                finished=finished,
                log=self.first_event,
            )
        )
